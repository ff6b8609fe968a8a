"""Threads of plugins that are not async: halted in any moment, they take the next call."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sessionbot_kit.watchdog import Runaway
from sessionbot_kit.workers import Worker, Workers

RACES = 1_000


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker("test")
    yield worker
    worker.stop()


def begins() -> None:
    pass


async def call(worker: Worker, function: Callable[[], Any]) -> Any:
    return await worker.call(begins, function)


async def halt_as_it_ends(worker: Worker, delay_s: float) -> None:
    """Cancel a call; its function ends so long after, while the loop is still busy with that."""
    begun, go_on = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait()

    task = asyncio.ensure_future(call(worker, work))
    await asyncio.to_thread(begun.wait)
    task.cancel()
    go_on.set()
    time.sleep(delay_s)  # noqa: ASYNC251 - this is the loop that is busy
    await asyncio.wait([task])


async def test_a_thread_lives_on_when_calls_end_and_are_halted_in_the_same_moment(
    worker: Worker,
) -> None:
    thread = await call(worker, threading.get_ident)
    for number in range(RACES):
        await halt_as_it_ends(worker, number / RACES * 0.0004)
        assert await call(worker, threading.get_ident) == thread
    assert worker.lost == 0


async def test_what_is_halted_before_it_begins_never_runs(worker: Worker) -> None:
    ran: list[int] = []
    for number in range(200):
        task = asyncio.ensure_future(call(worker, lambda: ran.append(number)))  # noqa: B023
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        seen = len(ran)
        await call(worker, begins)
        assert len(ran) == seen, "it ran after its caller was told that it would not"


async def test_a_halted_call_learns_of_it(worker: Worker) -> None:
    heard = threading.Event()

    def hang() -> None:
        try:
            while True:
                time.sleep(0.001)
        except Runaway:
            heard.set()
            raise

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await call(worker, hang)
    assert heard.is_set()
    assert worker.lost == 0


async def test_a_thread_that_died_is_replaced(worker: Worker) -> None:
    before = await call(worker, threading.current_thread)
    worker.stop()
    before.join()
    after = await call(worker, threading.current_thread)
    assert after is not before
    assert after.is_alive()


async def test_plugins_do_not_share_a_thread() -> None:
    workers = Workers()
    one = await workers.call("one", begins, threading.get_ident)
    two = await workers.call("two", begins, threading.get_ident)
    workers.stop()
    assert one != two
