import asyncio
import logging

import pytest

from sessionbot_kit.crew import Crew


async def test_stopping_cancels_and_waits() -> None:
    crew, ended = Crew("test"), asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    crew.start(work(), "work")
    await asyncio.sleep(0)
    await crew.stop()
    assert ended.is_set()
    assert len(crew) == 0


async def test_a_drain_lets_work_end_by_itself() -> None:
    crew, go = Crew("test"), asyncio.Event()

    async def work() -> str:
        await go.wait()
        return "done"

    task = crew.start(work(), "work")
    asyncio.get_running_loop().call_soon(go.set)
    await crew.stop(drain_s=10)
    assert task.result() == "done"


async def test_one_that_fails_is_logged_and_takes_nobody_with_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    crew, go = Crew("test"), asyncio.Event()

    async def fail() -> None:
        raise ValueError("on purpose")

    failing, working = crew.start(fail(), "failing"), crew.start(go.wait(), "working")
    await asyncio.wait([failing])
    await asyncio.sleep(0)
    assert not working.done()
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == [
        "task failed"
    ]
    await crew.stop()


async def test_work_that_starts_more_work_while_stopping_is_stopped_too() -> None:
    crew = Crew("test")

    async def hydra(heads: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            if heads:
                crew.start(hydra(heads - 1), "head")

    crew.start(hydra(3), "head")
    await asyncio.sleep(0)
    await crew.stop()
    assert len(crew) == 0


async def test_a_member_may_stop_its_own_crew() -> None:
    crew = Crew("test")
    crew.start(asyncio.Event().wait(), "other")
    last = crew.start(crew.stop(), "last")
    await last
    assert len(crew) == 0
