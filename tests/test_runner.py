import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from sessionbot_kit.dialog import Chat
from sessionbot_kit.extension import plugin
from sessionbot_kit.link import Offer, Result
from sessionbot_kit.models import IncomingMessage, OutgoingMessage, StoredMessage
from sessionbot_kit.runner import Runner, run

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MESSAGE = IncomingMessage(
    id="m1",
    channel_type="loopback",
    channel_id="ada",
    sender_id="ada",
    sender_name="Ada",
    content="hello",
    timestamp=NOON,
)


async def turn(function: Any, *, timeout_s: float = 10.0, **offered: Any) -> Result:
    under_test = plugin(id="under_test", default=True)(function)
    offer = Offer(
        turn="t1",
        attempt=1,
        epoch=7,
        plugin=under_test.meta.id,
        session_id="s1",
        message=MESSAGE,
        **offered,
    )
    return await run(under_test, offer, timeout_s=timeout_s)


def texts(result: Result) -> list[str]:
    assert result.error is None
    return [reply.content for reply in result.replies]


async def test_a_text_is_said() -> None:
    async def greet(message: IncomingMessage) -> str:
        return f"{message.content} {message.sender_name}"

    result = await turn(greet)
    assert texts(result) == ["hello Ada"]
    assert (result.turn, result.attempt, result.epoch) == ("t1", 1, 7)


async def test_nothing_is_said_for_none_and_for_an_empty_text() -> None:
    assert texts(await turn(lambda: None)) == []
    assert texts(await turn(lambda: "")) == []


async def test_a_list_is_said_one_after_the_other_with_names_that_repeat() -> None:
    def two() -> list[Any]:
        return ["one", MESSAGE.reply("two")]

    first, second = await turn(two), await turn(two)
    assert texts(first) == ["one", "two"]
    assert [reply.id for reply in first.replies] == ["t1/0", "t1/1"]
    assert first.replies == second.replies


async def test_an_async_iterator_is_said_part_by_part() -> None:
    async def stream() -> AsyncIterator[str]:
        yield "one"
        yield "two"

    assert texts(await turn(stream)) == ["one", "two"]


async def test_a_verb_without_await_is_told_where_await_belongs() -> None:
    async def hasty(chat: Chat) -> str:
        chat.say("first")
        return "then"

    def hastier(chat: Chat) -> str:
        chat.ask("Where?")
        return "there"

    assert "write `await chat.say(...)`" in ((await turn(hasty)).error or "")
    assert "write `async def under_test` and `await chat.ask(...)`" in (
        (await turn(hastier)).error or ""
    )


async def test_an_answer_may_go_to_another_chat() -> None:
    def forward() -> OutgoingMessage:
        return OutgoingMessage(channel_type="loopback", channel_id="bob", content="hi Bob")

    (reply,) = (await turn(forward)).replies
    assert reply.channel_id == "bob"


async def test_sync_code_runs_in_a_thread() -> None:
    assert texts(await turn(lambda: str(threading.get_ident()))) != [str(threading.get_ident())]


async def test_changed_variables_come_back_and_unchanged_ones_do_not() -> None:
    def count(chat: Chat) -> None:
        chat.vars["n"] = int(str(chat.vars["n"])) + 1

    assert (await turn(count, variables={"n": 1})).variables == {"n": 2}
    assert (await turn(lambda: None, variables={"n": 1})).variables is None


async def test_a_change_deep_inside_is_a_change_and_touches_nobody_elses_copy() -> None:
    def append(chat: Chat) -> None:
        chat.vars["list"].append(2)  # type: ignore[union-attr]  # it is a list here

    before = {"list": [1]}
    assert (await turn(append, variables=before)).variables == {"list": [1, 2]}
    assert before == {"list": [1]}


async def test_variables_that_are_not_json_end_the_turn_with_a_sentence() -> None:
    def wrong(chat: Chat) -> None:
        chat.vars["when"] = object()  # type: ignore[assignment]  # the mistake under test

    result = await turn(wrong)
    assert "chat.vars['when'] holds a value of type object; keep text" in (result.error or "")


async def test_the_window_is_the_history() -> None:
    window = tuple(
        StoredMessage(session_id="s1", seq=n, role="user", content=str(n), timestamp=NOON)
        for n in (1, 2, 3)
    )

    async def last(chat: Chat) -> str:
        return " ".join(line.content for line in await chat.history(2))

    assert texts(await turn(last, window=window)) == ["2 3"]


async def test_an_exception_is_a_result_that_leads_to_its_line() -> None:
    def boom(chat: Chat) -> str:
        chat.vars["n"] = 1
        raise ValueError("on purpose")

    result = await turn(boom)
    assert (result.error or "").startswith("ValueError: on purpose (")
    assert (result.error or "").endswith("in boom)")
    assert "test_runner.py:" in (result.error or "")
    assert (result.replies, result.variables) == ((), None)


async def test_sys_exit_ends_the_turn_and_not_the_bot() -> None:
    assert "SystemExit: 3" in ((await turn(lambda: sys.exit(3))).error or "")


async def test_endless_recursion_ends_the_turn_and_not_the_bot() -> None:
    def again() -> Any:
        return again()

    assert "RecursionError" in ((await turn(again)).error or "")


async def test_a_turn_that_takes_too_long_says_which_setting_to_raise() -> None:
    async def forever() -> None:
        await asyncio.Event().wait()

    assert (await turn(forever, timeout_s=0.01)).error == (
        "took longer than 0.01 s; raise turn_timeout_s or make it quicker"
    )


async def test_a_time_out_of_the_plugins_own_is_not_taken_for_ours() -> None:
    async def own() -> None:
        raise TimeoutError("the other server")

    assert "TimeoutError: the other server" in ((await turn(own)).error or "")


@pytest.mark.parametrize("nonsense", [7, {"a": 1}, b"bytes", object])
async def test_nonsense_is_refused_with_what_may_be_returned(nonsense: Any) -> None:
    error = (await turn(lambda: nonsense)).error or ""
    assert "return a text, an OutgoingMessage, a list of these, or None" in error


async def test_a_generator_that_is_not_async_is_told_to_become_one() -> None:
    def parts() -> Any:
        yield "one"

    assert "under_test yields without async; write `async def under_test`" in (
        (await turn(parts)).error or ""
    )


async def test_no_turn_says_more_than_a_thousand_things() -> None:
    async def flood() -> AsyncIterator[str]:
        while True:
            yield "spam"

    assert "more than 1,000 replies" in ((await turn(flood)).error or "")
    assert "1,001 replies; at most 1,000" in ((await turn(lambda: ["x"] * 1001)).error or "")


async def test_a_plugin_that_has_gone_is_an_error_with_its_name() -> None:
    offer = Offer(turn="t", attempt=1, epoch=1, plugin="gone", session_id="s", message=MESSAGE)
    result = await run(None, offer, timeout_s=1)
    assert "the plugin gone is not here any more" in (result.error or "")


async def test_an_async_plugin_that_sleeps_is_named_with_what_to_write(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @plugin
    async def lazy() -> str:
        time.sleep(0.002)  # noqa: ASYNC251 - on purpose
        return "yawn"

    runner = Runner(slow_step_s=0.001)
    result = await runner.run(lazy, Offer("t1", 1, 7, "lazy", "s1", MESSAGE))
    runner.stop()
    assert texts(result) == ["yawn"]
    (line,) = [each for each in caplog.records if each.msg == "plugin kept everybody waiting"]
    assert vars(line)["plugin"] == "lazy"
    assert "`await asyncio.sleep(...)` for time.sleep" in vars(line)["hint"]
