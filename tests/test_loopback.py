"""Bad days: what goes wrong on a platform, and what people see of it in the end."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from sessionbot_kit import Bot, IncomingMessage, plugin
from sessionbot_kit.channels.loopback import (
    Busy,
    Down,
    Late,
    Refused,
    Slow,
    Twice,
    Unheard,
)
from sessionbot_kit.courier import Patience
from sessionbot_kit.events import Signaled
from sessionbot_kit.plugins import echo
from sessionbot_kit.testing import FakeClock

SOON = Patience(first_wait_s=0.001, longest_wait_s=0.001)


@plugin("!count")
async def count(message: IncomingMessage) -> list[str]:
    """Say one thing after the other."""
    return [str(n) for n in range(int(message.content))]


@pytest.fixture
async def bot() -> AsyncIterator[Bot]:
    async with Bot(echo, count, patience=SOON) as bot:
        yield bot


async def test_a_busy_platform_is_asked_again_when_it_said(bot: Bot) -> None:
    bot.loopback.troubles.append(Busy(retry_after=0.002))
    assert await bot.hear("!count 3") == ["0", "1", "2"]
    assert [request.what for request in bot.loopback.requests] == ["0", "0", "1", "2"]


@pytest.mark.parametrize("trouble", [Down(), Busy(0.0)])
async def test_what_failed_is_sent_again_before_what_follows(bot: Bot, trouble: Any) -> None:
    bot.loopback.troubles += [trouble] * 3
    assert await bot.hear("!count 2") == ["0", "1"]
    assert [request.what for request in bot.loopback.requests] == ["0"] * 4 + ["1"]


async def test_after_eight_tries_it_is_a_dead_letter_and_the_next_one_goes_out(bot: Bot) -> None:
    bot.loopback.troubles += [Down()] * 8
    assert await bot.hear("!count 2") == ["1"]
    (letter,) = await bot.gateway.store.dead_letters()
    assert (letter.message.content, letter.attempts) == ("0", 8)
    assert "cannot be reached" in (letter.error or "")


async def test_what_the_platform_refuses_for_good_is_tried_once(bot: Bot) -> None:
    bot.loopback.troubles.append(Refused())
    assert await bot.hear("!echo hello") == []
    assert len(bot.loopback.requests) == 1


@pytest.mark.parametrize(("keys", "seen"), [(True, ["hello"]), (False, ["hello", "hello"])])
async def test_a_lost_acknowledgment_shows_once_where_the_platform_takes_keys(
    keys: bool, seen: list[str]
) -> None:
    async with Bot(echo, patience=SOON) as bot:
        bot.loopback._keys = keys
        bot.loopback.troubles.append(Unheard())
        assert await bot.hear("!echo hello") == seen


async def test_a_slow_chat_holds_no_other_up(bot: Bot) -> None:
    let_go = asyncio.Event()
    bot.loopback.troubles.append(Slow(let_go))
    slow = await bot.loopback.hear("!echo slow", user="ada")
    await bot.gateway.turns.settle(slow.session_id)
    assert await bot.hear("!echo quick", user="bob") == ["quick"]
    assert bot.loopback.said_to("ada") == []
    let_go.set()
    await bot.gateway.settle(slow)
    assert bot.loopback.said_to("ada") == ["slow"]


async def test_a_message_that_comes_twice_is_answered_once(bot: Bot) -> None:
    bot.loopback.arrivals.append(Twice())
    assert await bot.hear("!echo hello") == ["hello"]
    await bot.settle()
    assert bot.loopback.said_to("you") == ["hello"]


async def test_messages_are_answered_in_the_order_in_which_they_arrive(bot: Bot) -> None:
    bot.loopback.arrivals.append(Late())
    async with asyncio.TaskGroup() as people:
        people.create_task(bot.loopback.hear("!echo first"))
        people.create_task(bot.loopback.hear("!echo second"))
    await bot.settle()
    assert bot.loopback.said_to("you") == ["second", "first"]


async def test_a_line_that_is_cut_is_taken_up_again() -> None:
    clock = FakeClock(datetime.now(UTC))
    async with Bot(echo, clock=clock) as bot:
        assert await bot.hear("!echo one") == ["one"]
        bot.loopback.disconnect()
        said = asyncio.get_running_loop().create_task(bot.hear("!echo two"))
        while not said.done():
            clock.turn(seconds=1)
            await asyncio.sleep(0)
        assert await said == ["two"]


async def test_what_people_do_is_shown_to_whoever_watches(bot: Bot) -> None:
    await bot.hear("!echo hello")
    watch = bot.feed.open()
    await bot.loopback.tell("reacted", "m1", "\U0001f44d")
    event = await watch.next()
    assert isinstance(event, Signaled)
    assert (event.signal.kind, event.signal.content) == ("reacted", "\U0001f44d")
    assert event.session == (await bot.sessions.list())[0].id


async def test_the_bots_status_is_shown_where_there_is_one(bot: Bot) -> None:
    await bot.gateway.presence("away")
    assert bot.loopback.status == "away"
    assert bot.gateway.supports("loopback", "presence")
    assert not bot.gateway.supports("pigeon", "presence")
