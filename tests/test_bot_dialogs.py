"""Dialogs in a whole bot: with a store on the disk, restarts, time that passes and edited cells."""

import logging
from pathlib import Path
from typing import Any

import pytest

from sessionbot_kit import Bot, Chat, IncomingMessage, plugin
from sessionbot_kit.answering import ANSWER_AGAIN, APOLOGY, CANCELED, NOTHING_TO_CANCEL, PUT_AWAY
from sessionbot_kit.models import StoredMessage
from sessionbot_kit.runner import BEGIN_AGAIN, NOBODY_ANSWERED
from sessionbot_kit.store import Turn
from sessionbot_kit.stores.sqlite import SqliteStore
from sessionbot_kit.testing import Talk


@plugin("!pizza")
async def pizza(chat: Chat) -> str:
    """Order a pizza."""
    size = await chat.ask("Small or large?", choices=["small", "large"])
    chat.vars["pizzas"] = int(str(chat.vars.get("pizzas", 0))) + 1
    topping = await chat.ask("With what?")
    return f"Pizza {chat.vars['pizzas']}: {size} with {topping}."


@plugin("!echo")
async def echo(message: IncomingMessage) -> str:
    return message.content


@plugin("!soon")
async def soon(chat: Chat) -> str:
    answer = await chat.ask("Now?", timeout=60, default="later")
    return f"So: {answer}."


@plugin("!tea")
async def tea(chat: Chat) -> str:
    await chat.later(180, "Tea is ready.")
    return "I tell you."


async def test_a_dialog_survives_a_restart_at_each_of_its_questions(talk: Talk) -> None:
    user = talk(pizza)
    assert await user.says("!pizza") == ["Small or large?"]
    user.restart()
    assert await user.says("green") == ["Please answer small or large."]
    user.restart()
    assert await user.says("large") == ["With what?"]
    user.restart()
    assert await user.says("basil") == ["Pizza 1: large with basil."]
    assert await user.variables() == {"pizzas": 1}


async def test_two_people_have_dialogs_of_their_own() -> None:
    async with Bot(pizza) as bot:
        assert await bot.hear("!pizza", user="ada") == ["Small or large?"]
        assert await bot.hear("large", user="bob") == []
        assert await bot.hear("large", user="ada") == ["With what?"]


async def test_the_conversation_reads_as_it_was_held(talk: Talk) -> None:
    user = talk(pizza)
    for text in ("!pizza", "large", "basil"):
        await user.says(text)
    bot = await user.bot()
    (session,) = await bot.gateway.store.sessions()
    lines = await bot.gateway.store.tail(session.id, 10)
    assert [line.content for line in lines] == [
        "!pizza",
        "Small or large?",
        "large",
        "With what?",
        "basil",
        "Pizza 1: large with basil.",
    ]


async def test_what_is_said_in_the_middle_comes_before_the_end_and_is_kept_in_order(
    talk: Talk,
) -> None:
    @plugin("!go")
    async def go(chat: Chat) -> str:
        await chat.say("first")
        await chat.once("thing", lambda: 1)
        await chat.say("second")
        return "last"

    user = talk(go)
    assert await user.says("!go") == ["first", "second", "last"]
    bot = await user.bot()
    (session,) = await bot.gateway.store.sessions()
    lines = await bot.gateway.store.tail(session.id, 10)
    assert [line.content for line in lines] == ["!go", "first", "second", "last"]
    assert await bot.gateway.store.journals(session.id) == []


class Counting(SqliteStore):
    """Counts the transactions that turns take."""

    commits = 0

    async def commit(self, turn: Turn) -> tuple[StoredMessage, ...]:
        self.commits += 1
        return await super().commit(turn)


async def test_a_question_costs_no_transaction_more_than_an_answer_and_a_step_costs_one(
    tmp_path: Path,
) -> None:
    @plugin("!step")
    async def step(chat: Chat) -> str:
        await chat.history()
        await chat.later(60, "x")
        await chat.say("one")
        return "two"

    store = Counting(tmp_path / "bot.db")
    async with Bot(pizza, echo, step, store=store) as bot:
        costs = []
        for text in ("!echo hi", "!pizza", "green", "large", "basil", "!step"):
            before = store.commits
            await bot.hear(text)
            costs.append(store.commits - before)
    assert costs == [1, 1, 1, 1, 1, 2]


# Commands while a question is open


async def test_cancel_ends_a_dialog(talk: Talk) -> None:
    user = talk(pizza)
    await user.says("!pizza")
    assert await user.says("/cancel") == [CANCELED]
    assert await user.says("large") == []
    assert await user.says("/cancel") == [NOTHING_TO_CANCEL]


async def test_with_nothing_to_cancel_the_word_may_be_a_plugins_own(talk: Talk) -> None:
    @plugin("/cancel")
    def undo() -> str:
        return "undone"

    user = talk(pizza, undo)
    assert await user.says("/cancel") == ["undone"]
    await user.says("!pizza")
    assert await user.says("/cancel") == [CANCELED]


async def test_a_command_in_the_middle_is_answered_and_the_question_stays_open(
    talk: Talk,
) -> None:
    user = talk(pizza, echo)
    await user.says("!pizza")
    assert await user.says("!echo hello") == ["hello"]
    user.restart()
    assert await user.says("large") == ["With what?"]


async def test_a_command_that_asks_takes_the_place_of_the_dialog_and_says_so(talk: Talk) -> None:
    user = talk(pizza, soon)
    await user.says("!pizza")
    assert await user.says("!soon") == [PUT_AWAY.format("pizza"), "Now?"]
    assert await user.says("large") == ["So: large."]
    assert await user.says("large") == []


async def test_the_command_of_the_open_dialog_begins_it_again(talk: Talk) -> None:
    user = talk(pizza)
    await user.says("!pizza")
    await user.says("large")
    assert await user.says("!pizza") == [PUT_AWAY.format("pizza"), "Small or large?"]
    assert await user.says("small") == ["With what?"]


async def test_an_open_dialog_goes_before_the_plugin_for_all_the_rest(talk: Talk) -> None:
    @plugin
    async def rest(message: IncomingMessage) -> str:
        return f"rest: {message.content}"

    user = talk(pizza, rest)
    assert await user.says("large") == ["rest: large"]
    await user.says("!pizza")
    assert await user.says("large") == ["With what?"]


# Time


async def test_a_question_that_nobody_answers_is_answered_by_its_default(talk: Talk) -> None:
    user = talk(soon)
    assert await user.says("!soon") == ["Now?"]
    assert await user.waits(seconds=59) == []
    assert await user.waits(seconds=1) == ["So: later."]
    assert await user.waits(hours=1) == []


async def test_an_answer_in_time_stops_the_clock(talk: Talk) -> None:
    user = talk(soon)
    await user.says("!soon")
    assert await user.says("now") == ["So: now."]
    assert await user.waits(hours=1) == []


async def test_a_time_out_survives_a_restart_and_comes_once(talk: Talk) -> None:
    user = talk(soon)
    await user.says("!soon")
    user.restart()
    assert await user.waits(seconds=61) == ["So: later."]
    user.restart()
    assert await user.waits(hours=1) == []


async def test_silence_without_a_default_ends_politely(talk: Talk) -> None:
    @plugin("!ask")
    async def ask(chat: Chat) -> str:
        return await chat.ask("Yes?", timeout=60)

    user = talk(ask)
    await user.says("!ask")
    assert await user.waits(minutes=1) == [NOBODY_ANSWERED]
    assert await user.says("yes") == []


async def test_each_question_has_a_time_out_of_its_own(talk: Talk) -> None:
    @plugin("!two")
    async def two(chat: Chat) -> str:
        first = await chat.ask("One?", timeout=60, default="-")
        second = await chat.ask("Two?", timeout=60, default="-")
        return first + second

    user = talk(two)
    await user.says("!two")
    await user.waits(seconds=50)
    assert await user.says("a") == ["Two?"]
    assert await user.waits(seconds=50) == []
    assert await user.waits(seconds=10) == ["a-"]


async def test_a_dialog_that_nobody_goes_on_with_is_forgotten(talk: Talk) -> None:
    user = talk(pizza, dialog_expires_s=3600)
    await user.says("!pizza")
    assert await user.waits(minutes=61) == []
    assert await user.says("large") == []


async def test_each_answer_keeps_a_dialog_alive(talk: Talk) -> None:
    user = talk(pizza, dialog_expires_s=3600)
    await user.says("!pizza")
    await user.waits(minutes=40)
    await user.says("large")
    await user.waits(minutes=40)
    assert await user.says("basil") == ["Pizza 1: large with basil."]


async def test_something_is_said_later_even_after_a_restart_and_once(talk: Talk) -> None:
    user = talk(tea)
    assert await user.says("!tea") == ["I tell you."]
    user.restart()
    assert await user.waits(minutes=2) == []
    assert await user.waits(minutes=1) == ["Tea is ready."]
    user.restart()
    assert await user.waits(minutes=10) == []


async def test_what_was_due_while_nobody_was_here_is_said_at_the_start(talk: Talk) -> None:
    user = talk(tea)
    await user.says("!tea")
    user.restart()
    user.clock.turn(hours=5)
    assert await user.waits() == ["Tea is ready."]


async def test_what_is_said_later_leaves_an_open_question_alone(talk: Talk) -> None:
    user = talk(tea, pizza)
    await user.says("!tea")
    await user.says("!pizza")
    assert await user.waits(minutes=3) == ["Tea is ready."]
    assert await user.says("large") == ["With what?"]


# Things that go wrong


async def test_after_an_error_the_question_is_open_still(
    talk: Talk, caplog: pytest.LogCaptureFixture
) -> None:
    orders: list[int] = []

    def order() -> int:
        orders.append(1)
        return len(orders)

    @plugin("!order")
    async def shop(chat: Chat) -> str:
        count = await chat.ask("How many?")
        await chat.say("One moment.")
        number = await chat.once("order", order)
        return f"Order {number}: {int(count)}."

    user = talk(shop)
    await user.says("!order")
    assert await user.says("three") == ["One moment.", ANSWER_AGAIN]
    user.restart()
    assert await user.says("3") == ["One moment.", "Order 1: 3."]
    assert orders == [1]
    (failed,) = [record for record in caplog.records if record.message == "turn failed"]
    assert failed.levelno == logging.ERROR


async def test_an_error_before_any_question_leaves_nothing_open(talk: Talk) -> None:
    @plugin("!fail")
    async def fail(chat: Chat) -> None:
        await chat.say("Well...")
        raise ValueError

    user = talk(fail, pizza)
    assert await user.says("!fail") == ["Well...", APOLOGY]
    assert await user.says("large") == []


async def test_an_edited_plugin_goes_on_or_begins_again(talk: Talk) -> None:
    @plugin("!pizza", id="pizza")
    async def reworded(chat: Chat) -> str:
        size = await chat.ask("Small or large?", choices=["small", "large"])
        await chat.say("Fine.")
        return f"{size}, and {await chat.ask('With what?')}!"

    @plugin("!pizza", id="pizza")
    async def another(chat: Chat) -> str:
        return await chat.ask("Thick or thin?")

    user = talk(pizza)
    await user.says("!pizza")
    await user.says("large")
    user.now_runs(reworded)
    assert await user.says("basil") == ["large, and basil!"]
    await user.says("!pizza")
    user.now_runs(another)
    assert await user.says("large") == [BEGIN_AGAIN, "Thick or thin?"]
    assert await user.says("thin") == ["thin"]


async def test_a_dialog_with_too_many_steps_ends(talk: Talk, monkeypatch: Any) -> None:
    monkeypatch.setattr("sessionbot_kit.telling.MAX_STEPS", 3)

    @plugin("!loop")
    async def loop(chat: Chat) -> None:
        while True:
            await chat.ask("More?")

    user = talk(loop)
    for text in ("!loop", "yes", "yes"):
        assert await user.says(text) == ["More?"]
    assert await user.says("yes") == [APOLOGY]
    assert await user.says("yes") == []


async def test_a_plugin_that_is_gone_keeps_its_dialog_for_its_return(talk: Talk) -> None:
    user = talk(pizza)
    await user.says("!pizza")
    user.now_runs(echo)
    await user.bot()
    said = await user.says("/cancel")
    assert said == [CANCELED]


async def test_a_journal_is_not_read_for_a_session_that_has_none(talk: Talk) -> None:
    user = talk(echo, pizza)
    await user.says("!echo hi")
    store: Any = (await user.bot()).gateway.store
    assert store._journaled == set()
    await user.says("!pizza")
    assert len(store._journaled) == 1
    for text in ("large", "basil", "!echo hi"):
        await user.says(text)
    assert store._journaled == set()
