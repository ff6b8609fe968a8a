"""What a plugin can do with its `Chat`: ask, say, do once, say later."""

import re
from datetime import UTC, datetime, timedelta, timezone
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

    busy = (
        "chat.say was called while chat.once was not done yet; await one before you call the next"
    )
    with pytest.raises(UsageError, match=re.escape(busy)):
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


# What is told again


def test_history_is_the_last_lines_and_stays_what_it_was() -> None:
    told: list[list[str]] = []

    async def recap(chat: Chat) -> None:
        told.append([line.content for line in await chat.history(2)])
        told.append([line.content for line in await chat.history(1)])
        told.append([line.content for line in await chat.history()])
        await chat.ask("More?")

    table = Table(recap)
    table.window = lines(*(str(n) for n in range(21)))
    table.says("!x")
    table.window = lines("another")
    table.says("yes")
    assert told[:3] == told[3:]
    assert told[0] == ["19", "20"]
    assert told[1] == ["20"]
    assert told[2] == [str(n) for n in range(1, 21)]


def test_no_line_of_history_is_an_answer_too() -> None:
    async def nothing(chat: Chat) -> str:
        return str(await chat.history(0))

    table = Table(nothing)
    table.window = lines("a")
    assert table.says("!x") == ["()"]


@pytest.mark.parametrize(
    ("verb", "call"),
    [
        ("ask", lambda chat: chat.ask("?")),
        ("say", lambda chat: chat.say("x")),
        ("once", lambda chat: chat.once("x", int)),
        ("history", lambda chat: chat.history()),
        ("later", lambda chat: chat.later(1, "x")),
        ("typing", lambda chat: chat.typing()),
    ],
)
def test_every_verb_has_its_name(verb: str, call: Any) -> None:
    chat = Chat(message("x"), session="s", variables={})
    assert call(chat).verb == verb
    assert [forgotten.verb for forgotten in chat.forgotten] == [verb]


def test_a_verb_that_was_awaited_is_not_forgotten() -> None:
    chat = Chat(message("x"), session="s", variables={})
    forgotten = chat.say("never")

    async def work() -> None:
        await chat.typing()

    drive(work())
    assert chat.forgotten == [forgotten]


def test_a_chat_begins_with_what_it_was_given() -> None:
    chat = Chat(message("x"), session="s7", variables={}, now=NOON, seed=7)
    same = Chat(message("x"), session="s7", variables={}, seed=7)
    other = Chat(message("x"), session="s7", variables={})
    zero = Chat(message("x"), session="s7", variables={}, seed=0)
    assert (chat.session, chat.user, chat.now, chat.first.content) == ("s7", "ada", NOON, "x")
    draws = [one.random.random() for one in (chat, same, other, zero)]
    assert draws[0] == draws[1] != draws[2] == draws[3]
    assert chat.random is chat.random


def test_an_answered_question_moves_the_clock_and_the_message() -> None:
    seen: list[tuple[Any, str]] = []

    async def look(chat: Chat) -> None:
        seen.append((chat.now, chat.message.content))
        await chat.ask("1?")
        seen.append((chat.now, chat.message.content))
        await chat.ask("2?")

    table = Table(look)
    for text in ("a", "b", "c"):
        table.says(text)
    minute = timedelta(minutes=1)
    first, second = (NOON + minute, "a"), (NOON + 2 * minute, "b")
    assert seen == [first, first, second, first, second]


def test_questions_in_a_journal_are_kept_by_text_and_name() -> None:
    async def ask(chat: Chat) -> None:
        await chat.say("hi", name="greeting")
        await chat.ask("Where?", name="place")

    table = Table(ask)
    table.says("!x")
    kinds = [(entry.kind, entry.name, entry.value) for entry in table.journal[1:]]
    assert kinds == [("say", "greeting", "t1/0"), ("ask", "place", "Where?")]


def test_an_edited_question_is_the_same_by_its_name_and_another_by_its_text() -> None:
    async def renamed(chat: Chat) -> str:
        return await chat.ask("How large?", name="size")

    async def reworded(chat: Chat) -> str:
        return await chat.ask("Tiny or huge?", name="size")

    async def unnamed(chat: Chat) -> str:
        return await chat.ask("Small?")

    async def same(chat: Chat) -> str:
        size = await chat.ask("Small?")
        return f"{size}!"

    async def another(chat: Chat) -> str:
        return await chat.ask("Thick?")

    for before, after, said, why in (
        (renamed, reworded, ["yes"], None),
        (unnamed, same, ["yes!"], None),
        (unnamed, another, ["Thick?"], "it asks 'Thick?' where it asked 'Small?'"),
    ):
        table = Table(before)
        table.says("!x")
        table.function, table.code = after, "second version"
        assert table.says("yes") == said
        assert table.changed == why


def test_a_plugin_that_ends_too_early_has_changed() -> None:
    async def short(chat: Chat) -> str:
        return "no"

    table = Table(pizza)
    table.says("!pizza")
    table.function, table.code = short, "second version"
    assert table.says("large") == ["no"]
    assert table.changed == "it ends before it comes to its last step"


def test_an_error_is_a_change_only_where_the_dialog_had_passed_in_another_version() -> None:
    async def broken(chat: Chat) -> str:
        raise ValueError("now")

    async def later(chat: Chat) -> str:
        await chat.ask("Small or large?")
        raise ValueError("later")

    for function, code, why in (
        (broken, "second version", "it raises ValueError('now') before it comes to its last step"),
        (broken, "first version", None),
        (later, "second version", None),
    ):
        table = Table(pizza)
        table.says("!pizza")
        table.function, table.code = function, code
        with pytest.raises(ValueError):
            table.says("large")
        assert table.changed == why
        assert table.open


def test_a_changed_plugin_gets_nothing_more_done() -> None:
    done: list[int] = []

    async def stubborn(chat: Chat) -> str:
        try:
            await chat.ask("Else?")
        except BaseException as first:
            try:
                await chat.once("thing", partial(count, done))
            except BaseException as second:
                assert str(first) == str(second)
        return "fine"

    table = Table(pizza)
    table.says("!pizza")
    table.function, table.code = stubborn, "second version"
    table.says("large")
    assert table.changed == "it asks 'Else?' where it asked 'Small or large?'"
    assert done == []


def test_a_turn_that_ends_for_good_writes_no_journal() -> None:
    async def recap(chat: Chat) -> None:
        await chat.history()

    chat = Chat(message("x"), session="s", variables={})
    drive(recap(chat))
    assert chat.end().entries == ()


def test_a_question_without_choices_has_no_metadata() -> None:
    chat = Chat(message("!x"), session="s", variables={}, turn="t")
    with pytest.raises(Waiting):
        drive(pizza(chat))
    (question,) = chat.end().replies
    assert (question.id, question.metadata, chat.asks) == ("t/0", {}, None)


def test_a_line_that_was_said_is_not_said_again_even_where_it_is_the_last_step() -> None:
    async def talk(chat: Chat) -> str:
        await chat.say("one")
        await chat.say("two", name="second")
        return "three"

    table = Table(talk)
    table.dies_at, table.dies_after = {1, 2}, True
    assert table.says("!x") == ["one", "two", "three"]


def test_every_refusal_says_what_to_do() -> None:
    chat = Chat(message("x"), session="s", variables={})
    ask: Any = chat.ask
    refusals: dict[str, Any] = {
        "default= is the answer after a time-out; give timeout= too": partial(ask, "?", default=1),
        'once needs a name, such as chat.once("order", place_order)': lambda: chat.once("", int),
    }
    for sentence, call in refusals.items():
        with pytest.raises(UsageError) as refused:
            call()
        assert str(refused.value) == sentence


def test_what_leads_nowhere_says_so() -> None:
    for work, sentence in (
        (NOWHERE.step, "this chat leads nowhere, and cannot keep a step; give it a port"),
        (NOWHERE.call, "this chat leads nowhere, and cannot call a function; give it a port"),
    ):
        with pytest.raises(UsageError) as refused:
            drive(work(None))  # type: ignore[arg-type]  # it is not looked at
        assert str(refused.value) == sentence


def test_later_is_told_in_universal_time() -> None:
    async def remind(chat: Chat) -> None:
        await chat.later(datetime(2026, 1, 1, 14, tzinfo=timezone(timedelta(hours=2))), "Tea?")

    table = Table(remind)
    table.says("!x")
    (reminder,) = table.later
    assert (reminder.due, reminder.due.tzinfo) == (NOON, UTC)
