"""What a plugin can do with its `Chat`: ask, say, do once, say later."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from sessionbot_kit.dialog import NOWHERE, Chat, Waiting
from sessionbot_kit.errors import DialogTooLong, NoAnswer, UsageError
from sessionbot_kit.journal import MAX_STEPS
from sessionbot_kit.models import OutgoingMessage
from tests.table import NOON, Table, count, drive, lines, message, pizza

# Questions


def test_a_question_is_answered_by_the_next_message() -> None:
    table = Table(pizza)
    assert table.says("!pizza") == ["Small or large?"]
    assert table.says("large") == ["With what?"]
    assert table.says("basil") == ["One large pizza with basil."]
    assert not table.open


def test_the_next_dialog_begins_from_nothing() -> None:
    table = Table(pizza)
    for text in ("!pizza", "large", "basil"):
        table.says(text)
    assert table.says("!pizza") == ["Small or large?"]


def test_a_question_in_a_loop_is_asked_as_often_as_the_loop_runs() -> None:
    async def cart(chat: Chat) -> str:
        items = []
        while (item := await chat.ask("What else?")) != "that is all":
            items.append(item)
        return ", ".join(items)

    table = Table(cart)
    for text in ("!shop", "tea", "milk"):
        assert table.says(text) == ["What else?"]
    assert table.says("that is all") == ["tea, milk"]


def test_an_answer_that_is_no_choice_is_asked_for_again() -> None:
    async def size(chat: Chat) -> str:
        return await chat.ask("How large?", choices=["Small", "Medium", "Large"])

    table = Table(size)
    table.says("!size")
    assert table.says("huge") == ["Please answer Small, Medium or Large."]
    assert table.says("enormous") == ["Please answer Small, Medium or Large."]
    assert table.says("  large ") == ["Large"]


def test_the_choices_travel_with_the_question_for_channels_with_buttons() -> None:
    async def size(chat: Chat) -> str:
        return await chat.ask("How large?", choices=["S", "L"])

    chat = Chat(message("!size"), session="s", variables={}, turn="t")
    with pytest.raises(Waiting):
        drive(size(chat))
    (question,) = chat.end().replies
    assert question.metadata == {"choices": ["S", "L"]}
    assert question.reply_to == "m"


def test_an_answer_is_checked_by_a_function_that_says_what_is_wrong() -> None:
    async def age(chat: Chat) -> str:
        return await chat.ask(
            "How old?", validate=lambda text: None if text != "0" else "So young?"
        )

    table = Table(age)
    table.says("!age")
    assert table.says("0") == ["So young?"]
    assert table.says("42") == ["42"]


@pytest.mark.parametrize("validate", [int, lambda text: text.isdigit()])
def test_an_answer_that_does_not_fit_is_asked_for_again_in_our_words(validate: Any) -> None:
    async def age(chat: Chat) -> str:
        return await chat.ask("How old?", validate=validate)

    table = Table(age)
    table.says("!age")
    assert table.says("old") == ["Sorry, that does not fit. How old?"]
    assert table.says("42") == ["42"]


def test_a_check_may_be_async_and_is_not_made_again_for_an_answer_that_passed() -> None:
    checked = []

    async def known(text: str) -> bool:
        checked.append(text)
        return True

    async def two(chat: Chat) -> str:
        return await chat.ask("One?", validate=known) + await chat.ask("Two?", validate=known)

    table = Table(two)
    table.says("!two")
    table.says("a")
    assert table.says("b") == ["ab"]
    assert checked == ["a", "b"]


def test_no_choices_at_all_are_refused() -> None:
    async def nothing(chat: Chat) -> None:
        await chat.ask("What?", choices=[])

    with pytest.raises(UsageError, match="leaves nothing to choose"):
        Table(nothing).says("!x")


def test_a_text_is_not_taken_for_a_list_of_choices() -> None:
    async def letters(chat: Chat) -> None:
        await chat.ask("What?", choices="abc")

    with pytest.raises(UsageError, match="give a list of texts"):
        Table(letters).says("!x")


# Silence


def test_a_question_says_how_long_it_waits() -> None:
    async def soon(chat: Chat) -> None:
        await chat.ask("Soon?", timeout=timedelta(minutes=2), default="no")

    table = Table(soon)
    table.says("!soon")
    assert table.timeout == 120.0


def test_the_default_answers_for_somebody_who_does_not() -> None:
    async def soon(chat: Chat) -> str:
        return str(await chat.ask("Soon?", timeout=5.0, default=None))

    table = Table(soon)
    table.says("!soon")
    assert table.falls_silent() == ["None"]


def test_silence_without_a_default_is_an_error_that_a_plugin_can_catch() -> None:
    async def soon(chat: Chat) -> str:
        try:
            return await chat.ask("Soon?", timeout=5.0)
        except NoAnswer as silence:
            again = await chat.ask(f"Hello? ({silence})")
            return f"at last: {again}"

    table = Table(soon)
    table.says("!soon")
    assert table.falls_silent() == ["Hello? (nobody answered 'Soon?' in time)"]
    assert table.says("yes") == ["at last: yes"]


def test_a_default_without_a_timeout_is_refused() -> None:
    chat = Chat(message("x"), session="s", variables={})
    with pytest.raises(UsageError, match="give timeout= too"):
        chat.ask("When?", default="now")  # type: ignore[call-overload]  # the mistake under test


# Speech


def test_what_is_said_in_between_is_said_once() -> None:
    async def chatty(chat: Chat) -> str:
        await chat.say("Welcome.")
        name = await chat.ask("Who are you?")
        await chat.say(f"Hello {name}.")
        return await chat.ask("And you?")

    table = Table(chatty)
    assert table.says("!hi") == ["Welcome.", "Who are you?"]
    assert table.says("Ada") == ["Hello Ada.", "And you?"]
    assert table.says("Bob") == ["Bob"]


def test_what_was_said_stays_said_when_the_turn_fails() -> None:
    async def fails(chat: Chat) -> None:
        await chat.say("So far, so good.")
        raise ValueError("on purpose")

    table = Table(fails)
    with pytest.raises(ValueError, match="on purpose"):
        table.says("!x")
    assert [text for _, text in table.said] == ["So far, so good."]


def test_replies_are_named_after_their_turn_and_place() -> None:
    async def chatty(chat: Chat) -> str:
        await chat.say("a")
        await chat.ask("b?")
        await chat.say("c")
        return "d"

    table = Table(chatty)
    table.says("!x")
    table.says("y")
    assert table.said == [("t1/0", "a"), ("t1/1", "b?"), ("t2/0", "c"), ("t2/1", "d")]


def test_something_may_be_said_elsewhere() -> None:
    async def forward(chat: Chat) -> None:
        await chat.say(OutgoingMessage(channel_type="table", channel_id="bob", content="psst"))

    table = Table(forward)
    assert table.says("!x") == ["psst"]


def test_something_is_said_later_counted_from_the_message() -> None:
    async def remind(chat: Chat) -> None:
        await chat.later(timedelta(hours=1), "Tea?")
        await chat.later(60, "Now?")
        await chat.later(NOON, "Too late.")

    table = Table(remind)
    table.says("!x")
    minute = timedelta(minutes=1)
    assert [(one.due, one.text) for one in table.later] == [
        (NOON + minute + timedelta(hours=1), "Tea?"),
        (NOON + 2 * minute, "Now?"),
        (NOON, "Too late."),
    ]


def test_what_is_to_be_said_later_is_noted_once() -> None:
    async def remind(chat: Chat) -> None:
        await chat.later(60, "Tea?")
        await chat.ask("Sugar?")

    table = Table(remind)
    table.says("!x")
    table.says("yes")
    assert len(table.later) == 1


def test_a_moment_without_a_time_zone_is_refused() -> None:
    async def remind(chat: Chat) -> None:
        await chat.later(datetime(2026, 1, 1), "Tea?")

    with pytest.raises(UsageError, match="has no time zone"):
        Table(remind).says("!x")


def test_typing_is_shown_when_it_happens_and_not_when_it_is_told_again() -> None:
    async def slow(chat: Chat) -> None:
        await chat.typing()
        await chat.ask("Ready?")
        await chat.typing()

    table = Table(slow)
    table.says("!x")
    assert table.shown == ["typing"]
    table.says("yes")
    assert table.shown == ["typing", "typing"]


# Once


def test_what_is_done_once_is_recalled() -> None:
    orders = []

    async def order(chat: Chat) -> str:
        async def place() -> dict[str, int]:
            orders.append(1)
            return {"number": 7}

        number = await chat.once("order", place)
        await chat.ask("Pay?")
        return str(await chat.once("order", place) | number)

    table = Table(order)
    table.says("!x")
    assert table.says("yes") == ["{'number': 7}"]
    assert orders == [1]


def test_it_gives_back_json_the_first_time_already() -> None:
    async def pair(chat: Chat) -> str:
        return str(await chat.once("pair", lambda: (1, 2)))

    assert Table(pair).says("!x") == ["[1, 2]"]


def test_what_is_not_json_is_refused_with_its_name() -> None:
    async def wrong(chat: Chat) -> None:
        await chat.once("thing", object)

    with pytest.raises(UsageError, match=r"chat.once\('thing'\) came to something that is not"):
        Table(wrong).says("!x")


def test_once_needs_a_name() -> None:
    with pytest.raises(UsageError, match="once needs a name"):
        Chat(message("x"), session="s", variables={}).once("", lambda: 1)


# Turns that go wrong


def test_after_a_failed_turn_the_question_is_open_still() -> None:
    orders: list[int] = []

    async def strict(chat: Chat) -> str:
        text = await chat.ask("How many?")
        await chat.say("One moment.")
        order = await chat.once("order", partial(count, orders))
        return f"order {order}: {int(text)}"

    table = Table(strict)
    table.says("!x")
    with pytest.raises(ValueError):
        table.says("three")
    assert table.says("3") == ["One moment.", "order 1: 3"]
    assert orders == [1]


def test_a_plugin_that_catches_the_end_of_its_turn_ends_all_the_same() -> None:
    async def greedy(chat: Chat) -> str:
        try:
            await chat.ask("One?")
        except BaseException:
            chat.vars["n"] = 1
        try:
            await chat.say("too late")
        except BaseException:
            return "not said"
        return "not said either"

    table = Table(greedy)
    assert table.says("!x") == ["One?"]
    assert table.variables == {}


def test_two_calls_at_the_same_time_are_refused() -> None:
    async def hasty(chat: Chat) -> None:
        async def inner() -> None:
            await chat.say("inner")

        await chat.once("outer", inner)

    with pytest.raises(UsageError, match=r"chat\.say was called while chat\.once was not"):
        Table(hasty).says("!x")


def test_a_chat_is_of_no_use_after_its_turn() -> None:
    kept: list[Chat] = []

    async def keep(chat: Chat) -> None:
        kept.append(chat)

    Table(keep).says("!x")

    async def late() -> None:
        await kept[0].say("hello?")

    with pytest.raises(UsageError, match=r"chat\.say came too late: its turn is over"):
        drive(late())


def test_a_verb_that_nobody_awaits_is_remembered() -> None:
    chat = Chat(message("x"), session="s", variables={})
    call = chat.say("hello")
    assert repr(call) == "chat.say(...), which nobody awaits"
    assert chat.forgotten == [call]


def test_a_dialog_may_be_long_but_not_endless() -> None:
    async def endless(chat: Chat) -> None:
        for n in range(MAX_STEPS + 1):
            await chat.once(str(n), lambda: None)

    table = Table(endless)
    with pytest.raises(DialogTooLong, match="more than 1,000 steps"):
        table.says("!x")
    assert table.steps == MAX_STEPS


def test_answers_are_no_steps_of_their_own() -> None:
    async def endless(chat: Chat) -> None:
        while True:
            await chat.ask("?")

    table = Table(endless)
    table.says("!x")
    table.says("first")
    begin, ask, answer, _ = table.journal
    table.journal = (begin, *(ask, answer) * (MAX_STEPS - 3), ask)
    assert table.says("last but one") == ["?"]
    assert table.says("last") == ["?"]
    with pytest.raises(DialogTooLong):
        table.says("one more")


def test_the_steps_of_a_dialog_hold_a_megabyte() -> None:
    async def heavy(chat: Chat) -> None:
        for n in range(3):
            await chat.once(str(n), lambda: "x" * 400_000)

    with pytest.raises(DialogTooLong, match="at most 1,000,000"):
        Table(heavy).says("!x")


def test_long_messages_do_not_count_as_steps() -> None:
    table = Table(pizza)
    table.says("!pizza" + "x" * 1_200_000)
    assert table.says("y" * 1_200_000) == ["With what?"]


def test_without_a_port_nothing_is_durable_and_nothing_pretends_to_be() -> None:
    chat = Chat(message("x"), session="s", variables={})

    async def say() -> None:
        await chat.say("hello")

    async def once() -> None:
        await chat.once("x", lambda: 1)

    for work in (say, once):
        with pytest.raises(UsageError, match="leads nowhere"):
            drive(work())
    assert drive(NOWHERE.show("typing")) is None


def test_a_chat_shows_who_is_there() -> None:
    chat = Chat(message("x"), session="s", variables={"a": 1}, window=lines("l"))
    assert repr(chat) == "chat with ada: 1 lines, 1 variables"
