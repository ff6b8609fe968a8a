"""What bad plugins do, and what people and logs get to see of it. The next message always works."""

import asyncio
import contextlib
import logging
import sys
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sessionbot_kit import Chat, plugin
from sessionbot_kit.answering import APOLOGY
from sessionbot_kit.plugins.echo import echo
from sessionbot_kit.testing import Talk


async def error_of(talk: Talk, caplog: pytest.LogCaptureFixture, bad: Any, **options: Any) -> str:
    """What the log says, once, of a plugin that fails; and the bot goes on."""
    user = talk(plugin("!bad", id="bad")(bad), echo, **options)
    assert await user.says("!bad") == [APOLOGY]
    assert await user.says("!echo still here") == ["still here"]
    assert await user.says("!bad") == [APOLOGY]
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.message for record in errors] == ["turn failed"] * 2
    record: Any = errors[0]
    assert record.plugin == "bad"
    assert record.message_id
    return str(record.error)


async def test_it_raises(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    def bad() -> None:
        raise ValueError("on purpose")

    error = await error_of(talk, caplog, bad)
    assert error.startswith("ValueError: on purpose (")
    assert error.endswith("in bad)")


async def test_it_hangs(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    async def bad() -> None:
        await asyncio.Event().wait()

    error = await error_of(talk, caplog, bad, turn_timeout_s=0.05)
    assert error.startswith("took longer than 0.05 s; raise turn_timeout_s")


async def test_it_hangs_and_will_not_be_canceled(
    talk: Talk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessionbot_kit.watchdog.GRACE_S", 0.05)

    stubborn = True

    async def bad() -> None:
        while stubborn:
            with contextlib.suppress(BaseException):
                await asyncio.Event().wait()

    assert "took longer" in await error_of(talk, caplog, bad, turn_timeout_s=0.05)
    stubborn = False  # what is left of it ends with the test


async def test_it_keeps_the_loop_to_itself(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    async def bad() -> None:
        while True:
            pass

    error = await error_of(talk, caplog, bad, block_timeout_s=0.1)
    assert error.startswith("bad kept the loop to itself for 0.1 s and was stopped (")
    assert "write `def bad`, which runs in a thread" in error


async def test_it_keeps_the_loop_to_itself_and_catches_everything(
    talk: Talk, caplog: pytest.LogCaptureFixture
) -> None:
    async def bad() -> None:
        for _ in range(3):
            with contextlib.suppress(BaseException):
                while True:
                    pass
        raise ValueError("at last")

    assert "ValueError: at last" in await error_of(talk, caplog, bad, block_timeout_s=0.1)


async def test_it_hangs_in_a_thread(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    def bad() -> None:
        while True:
            pass

    assert "took longer" in await error_of(talk, caplog, bad, turn_timeout_s=0.05)


async def test_it_hangs_in_a_thread_and_cannot_be_stopped(
    talk: Talk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessionbot_kit.workers.HALT_S", 0.01)
    end = threading.Event()

    def bad() -> None:
        end.wait()

    try:
        assert "took longer" in await error_of(talk, caplog, bad, turn_timeout_s=0.05)
    finally:
        end.set()


async def test_it_hangs_in_too_many_threads_that_cannot_be_stopped(
    talk: Talk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessionbot_kit.workers.HALT_S", 0.01)
    monkeypatch.setattr("sessionbot_kit.workers.MAX_LOST", 1)
    end = threading.Event()

    @plugin("!bad")
    def bad() -> None:
        end.wait()

    user = talk(bad, echo, turn_timeout_s=0.05)
    try:
        for _ in range(2):
            assert await user.says("!bad") == [APOLOGY]
    finally:
        end.set()
    last: Any = caplog.records[-1]
    assert "bad hangs in 1 calls that cannot be stopped" in "".join(
        getattr(record, "error", "") for record in caplog.records
    )
    assert last


async def test_it_calls_sys_exit(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    async def bad() -> None:
        sys.exit(3)

    assert "SystemExit: 3" in await error_of(talk, caplog, bad)


async def test_it_calls_sys_exit_in_a_thread(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    assert "SystemExit: 3" in await error_of(talk, caplog, lambda: sys.exit(3))


async def test_it_recurses(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    async def bad() -> Any:
        return await bad()

    assert "RecursionError" in await error_of(talk, caplog, bad)


@pytest.mark.parametrize("nonsense", [7, {"a": 1}, b"bytes", object])
async def test_it_returns_nonsense(
    talk: Talk, caplog: pytest.LogCaptureFixture, nonsense: Any
) -> None:
    error = await error_of(talk, caplog, lambda: nonsense)
    assert "return a text, an OutgoingMessage, a list of these, or None" in error


async def test_it_returns_ten_megabytes(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    error = await error_of(talk, caplog, lambda: "x" * 10_000_000)
    assert "bad returned 10,000,000 characters; at most 1,000,000" in error


async def test_it_never_stops_talking(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    async def bad() -> AsyncIterator[str]:
        while True:
            yield "spam"

    assert "more than 1,000 replies" in await error_of(talk, caplog, bad)


async def test_it_starts_tasks_and_forgets_them(talk: Talk) -> None:
    going: list[asyncio.Task[None]] = []

    @plugin("!bad")
    async def bad(chat: Chat) -> str:
        async def forgotten() -> None:
            await asyncio.sleep(0)
            await chat.say("too late")

        going.append(asyncio.create_task(forgotten()))
        return "done"

    user = talk(bad, echo)
    assert await user.says("!bad") == ["done"]
    (outcome,) = await asyncio.gather(*going, return_exceptions=True)
    assert "chat.say came too late: its turn is over" in str(outcome)
    assert await user.says("!echo still here") == ["still here"]


async def test_it_talks_twice_at_once(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    async def bad(chat: Chat) -> None:
        await asyncio.gather(chat.typing(), chat.once("x", lambda: time.sleep(0)))
        await asyncio.gather(chat.once("a", lambda: 1), chat.once("b", lambda: 2))

    error = await error_of(talk, caplog, bad)
    assert "chat.once was called while chat.once was not done yet" in error


async def test_it_swallows_the_end_of_its_turn(talk: Talk) -> None:
    @plugin("!bad")
    async def bad(chat: Chat) -> str:
        answer = "nothing"
        with contextlib.suppress(BaseException):
            answer = await chat.ask("Well?")
        return f"you said {answer}"

    user = talk(bad, echo)
    assert await user.says("!bad") == ["Well?"]
    assert await user.says("!echo still here") == ["still here"]
    assert await user.says("yes") == ["you said yes"]


async def test_a_plugin_in_a_thread_has_one_call_at_a_time(talk: Talk) -> None:
    running: list[int] = []

    @plugin("!busy")
    def busy() -> str:
        running.append(1)
        most = len(running)
        time.sleep(0.001)
        running.pop()
        return str(most)

    people = [talk(busy, name=name) for name in ("ada",)]
    bot = await people[0].bot()
    answers = await asyncio.gather(*(bot.hear("!busy", user=f"u{n}") for n in range(20)))
    assert answers == [["1"]] * 20


async def test_waiting_for_the_thread_is_not_counted_as_the_turns_own_time(talk: Talk) -> None:
    @plugin("!slow")
    def slow() -> str:
        time.sleep(0.05)
        return "done"

    bot = await talk(slow, turn_timeout_s=0.3).bot()
    answers = await asyncio.gather(*(bot.hear("!slow", user=f"u{n}") for n in range(12)))
    assert answers == [["done"]] * 12


async def test_a_bot_stops_although_a_plugin_will_not(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessionbot_kit.watchdog.GRACE_S", 0.05)
    begun = asyncio.Event()

    @plugin("!bad")
    async def bad() -> None:
        begun.set()
        while True:
            with contextlib.suppress(BaseException):
                await asyncio.Event().wait()

    user = talk(bad, drain_s=0.05)
    bot = await user.bot()
    await bot.loopback.hear("!bad")
    await begun.wait()
    await bot.stop()
    assert not bot.running
