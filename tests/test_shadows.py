"""A kernel in the shadow sees turns, and nothing that it answers reaches anybody."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sessionbot_kit import Bot, Chat, IncomingMessage, PluginKernel, plugin
from sessionbot_kit.differences import Difference
from sessionbot_kit.events import Compared
from sessionbot_kit.kernel import Attachment

orders: list[str] = []


@plugin("!pizza")
async def pizza(chat: Chat) -> str:
    size = await chat.ask("Small or large?")
    number = await chat.once("order", lambda: _order(size))
    chat.vars["pizzas"] = int(str(chat.vars.get("pizzas", 0))) + 1
    return f"A {size} pizza, number {number}, your {chat.vars['pizzas']}."


def _order(size: str) -> int:
    orders.append(size)
    return len(orders)


@pytest.fixture(autouse=True)
def no_orders() -> None:
    orders.clear()


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Bot]:
    async with Bot(pizza, store=tmp_path / "bot.db") as bot:
        await bot.start(listen=0)
        yield bot


@asynccontextmanager
async def shadow_of(bot: Bot, *plugins: Any, **options: Any) -> AsyncIterator[Attachment]:
    url = f"ws://127.0.0.1:{bot.gateway.reception.port}"
    kernel = PluginKernel(*plugins, name="shadow")
    async with kernel, await kernel.attach(url, shadow=True, **options) as attachment:
        yield attachment


async def seen(attachment: Attachment, count: int) -> list[Difference]:
    found = []
    async for difference in attachment.differences:
        found.append(difference)
        if len(found) == count:
            break
    return found


async def test_a_shadow_says_what_it_would_have_said_and_nobody_hears_it(bot: Bot) -> None:
    @plugin("!pizza", id="pizza")
    async def politer(chat: Chat) -> str:
        size = await chat.ask("Small or large, please?")
        await chat.say("Thank you.")
        return f"Enjoy your {size} pizza."

    async with shadow_of(bot, politer) as attachment:
        assert await bot.hear("!pizza") == ["Small or large?"]
        assert await bot.hear("large") == ["A large pizza, number 1, your 1."]
        first, second = await seen(attachment, 2)
    assert (first.live, first.shadow) == (("Small or large?",), ("Small or large, please?",))
    assert second.shadow == ("Thank you.", "Enjoy your large pizza.")
    assert not first.same
    assert (await bot.sessions.list())[0].variables == {"pizzas": 1}


async def test_a_shadow_recalls_what_was_done_once_and_does_not_do_it(bot: Bot) -> None:
    async with shadow_of(bot, pizza) as attachment:
        await bot.hear("!pizza")
        await bot.hear("large")
        assert [one.same for one in await seen(attachment, 2)] == [True, True]
    assert orders == ["large"]


async def test_what_was_not_done_live_is_shown_as_would_do(bot: Bot) -> None:
    @plugin("!pizza", id="pizza")
    async def eager(chat: Chat) -> str:
        await chat.say("One moment.")
        await chat.once("table", lambda: _order("table"))
        return "never said"

    async with shadow_of(bot, eager) as attachment:
        await bot.hear("!pizza")
        (one,) = await seen(attachment, 1)
    assert (one.shadow, one.would_do, one.same) == (("One moment.",), "table", False)
    assert orders == []


async def test_a_shadow_sees_what_nobody_answers_and_errors_on_both_sides(bot: Bot) -> None:
    @plugin("!new")
    async def new(message: IncomingMessage) -> str:
        return f"new {1 // len(message.content)}"

    async with shadow_of(bot, new) as attachment:
        assert await bot.hear("!new x") == []
        assert await bot.hear("!new") == []
        good, bad = await seen(attachment, 2)
    assert (good.live, good.shadow) == ((), ("new 1",))
    assert bad.error is not None
    assert bad.error.startswith("ZeroDivisionError")


async def test_a_shadow_that_comes_in_the_middle_of_a_dialog_takes_it_up(bot: Bot) -> None:
    await bot.hear("!pizza")
    async with shadow_of(bot, pizza) as attachment:
        await bot.hear("small")
        (one,) = await seen(attachment, 1)
    assert one.shadow == ("A small pizza, number 1, your 1.",)


async def test_a_dialog_that_is_canceled_is_over_for_the_shadow_too(bot: Bot) -> None:
    async with shadow_of(bot, pizza) as attachment:
        await bot.hear("!pizza")
        await bot.hear("/cancel")
        await bot.hear("large")
        await bot.hear("!pizza")
        assert [one.text for one in await seen(attachment, 2)] == ["!pizza", "!pizza"]


async def test_the_gateway_tells_whoever_watches(bot: Bot) -> None:
    watch = bot.feed.open()
    async with shadow_of(bot, pizza) as attachment:
        await bot.hear("!pizza")
        while not isinstance(event := await watch.next(), Compared):
            pass
        assert (event.kernel, event.live, event.same) == ("shadow", ("Small or large?",), True)
        await seen(attachment, 1)
        table = attachment.diff.text()
    assert "live answers" in table
    assert "1 turns, 1 the same" in table


async def test_a_shadow_of_some_sessions_sees_no_others(bot: Bot) -> None:
    async with shadow_of(bot, pizza, only={"user": "ada"}) as attachment:
        await bot.hear("!pizza", user="bob")
        await bot.hear("!pizza", user="ada")
        (one,) = await seen(attachment, 1)
        ada = (await bot.sessions.list(user="ada"))[0]
    assert one.session_id == ada.id


async def test_a_slow_shadow_holds_nobody_up_and_misses_turns(
    bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessionbot_kit.shadows.MAX_WAITING", 1)
    go_on = asyncio.Event()

    @plugin
    async def slow() -> str:
        await go_on.wait()
        return "at last"

    async with shadow_of(bot, slow) as attachment:
        for number in range(3):
            assert await bot.hear("!pizza", user=f"user {number}") == ["Small or large?"]
        go_on.set()
        (one,) = await seen(attachment, 1)
    assert one.text == "!pizza"
    assert attachment.differences.seen == 1
