"""How a dialog is told again: the world as it was, plugins that were edited, processes that die."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.dialog import Chat
from sessionbot_kit.errors import DialogTooLong
from sessionbot_kit.journal import MAX_BYTES, MAX_STEPS, Later
from sessionbot_kit.telling import DialogChanged, Telling
from tests.table import NOON, Died, Table, count, lines, message, pizza

# Variables, and the world as it was


def test_a_change_before_a_question_counts_once() -> None:
    table = Table(counted)
    table.says("!x")
    assert table.variables == {"n": 1}
    table.says("yes")
    assert table.variables == {"n": 11}
    assert table.says("yes") == ["11"]
    assert table.variables == {"n": 11}


def test_after_its_last_step_a_plugin_sees_what_others_have_changed_meanwhile() -> None:
    seen = []

    async def look(chat: Chat) -> None:
        seen.append(chat.vars.get("weather"))
        await chat.ask("And now?")
        seen.append(chat.vars.get("weather"))

    table = Table(look, {"weather": "rain"})
    table.says("!x")
    table.variables = {"weather": "sun"}
    table.says("look again")
    assert seen == ["rain", "rain", "sun"]


def test_a_list_taken_out_of_the_variables_stays_a_part_of_them() -> None:
    async def shop(chat: Chat) -> str:
        cart: Any = chat.vars.setdefault("cart", [])
        cart.append(await chat.ask("First?"))
        cart.append(await chat.ask("Second?"))
        return "ok"

    table = Table(shop)
    for text in ("!x", "tea", "milk"):
        table.says(text)
    assert table.variables == {"cart": ["tea", "milk"]}


def test_a_change_before_a_step_is_kept_with_it_even_if_the_turn_fails() -> None:
    async def fails(chat: Chat) -> None:
        chat.vars["n"] = 1
        await chat.say("one")
        chat.vars["n"] = 2
        raise ValueError

    table = Table(fails)
    with pytest.raises(ValueError):
        table.says("!x")
    assert table.variables == {"n": 1}


def test_history_is_told_again_as_it_was() -> None:
    async def recap(chat: Chat) -> str:
        before = [line.content for line in await chat.history(2)]
        await chat.ask("More?")
        after = [line.content for line in await chat.history()]
        return f"{before} {after}"

    table = Table(recap)
    table.window = lines("a", "b", "c")
    table.says("!x")
    table.window = lines("d")
    assert table.says("yes") == ["['b', 'c'] ['d']"]


def test_no_lines_are_asked_for_and_none_are_given() -> None:
    async def nothing(chat: Chat) -> str:
        return str(await chat.history(0))

    table = Table(nothing)
    table.window = lines("a")
    assert table.says("!x") == ["()"]


def test_clock_and_chance_are_the_same_each_time_it_is_told() -> None:
    told = []

    async def oracle(chat: Chat) -> None:
        told.append((chat.now, chat.random.random()))
        await chat.ask("Again?")
        told.append((chat.now, chat.random.random()))
        await chat.ask("And again?")

    table = Table(oracle)
    for text in ("!x", "yes", "yes"):
        table.says(text)
    first, second = told[0], told[2]
    assert told == [first, first, second, first, second]
    assert first[0] == NOON + timedelta(minutes=1)
    assert second[0] == NOON + timedelta(minutes=2)


def test_the_message_is_the_last_that_was_heard() -> None:
    heard = []

    async def listen(chat: Chat) -> str:
        heard.append(chat.message.content)
        await chat.ask("Yes?")
        heard.append(chat.message.content)
        return f"{chat.first.content} {chat.user} {chat.session}"

    table = Table(listen)
    table.says("!x")
    assert table.says("answer") == ["!x ada s1"]
    assert heard == ["!x", "!x", "answer"]


# Edited plugins


def test_a_plugin_edited_elsewhere_goes_on_with_the_dialog() -> None:
    async def better(chat: Chat) -> str:
        size = await chat.ask("Small or large?")
        await chat.say("Good choice.")
        topping = await chat.ask("With what?")
        return f"Coming: {size}, {topping}!"

    table = Table(pizza)
    table.says("!pizza")
    table.says("large")
    edited(table, better)
    assert table.says("basil") == ["Coming: large, basil!"]
    assert table.changed is None


def test_a_question_that_was_edited_begins_the_dialog_again() -> None:
    async def drink(chat: Chat) -> str:
        return await chat.ask("Tea or coffee?")

    table = Table(pizza)
    table.says("!pizza")
    edited(table, drink)
    assert table.says("large") == ["Tea or coffee?"]
    assert table.changed == "it asks 'Tea or coffee?' where it asked 'Small or large?'"
    assert table.says("tea") == ["tea"]


def test_a_question_with_a_name_may_be_reworded() -> None:
    async def old(chat: Chat) -> str:
        return await chat.ask("Small or large?", name="size")

    async def new(chat: Chat) -> str:
        return await chat.ask("How large shall it be?", name="size")

    table = Table(old)
    table.says("!x")
    edited(table, new)
    assert table.says("large") == ["large"]


def test_a_question_whose_text_varies_is_the_same_in_the_same_code() -> None:
    asked = iter(["3 left. Which?", "2 left. Which?", "1 left. Which?"])

    async def vary(chat: Chat) -> str:
        return await chat.ask(next(asked))

    table = Table(vary)
    table.says("!x")
    assert table.says("this") == ["this"]


def test_a_new_question_in_the_middle_begins_the_dialog_again() -> None:
    async def more(chat: Chat) -> str:
        await chat.ask("Small or large?")
        await chat.once("stock", lambda: 1)
        return await chat.ask("With what?")

    table = Table(pizza)
    table.says("!pizza")
    table.says("large")
    edited(table, more)
    assert table.says("basil") == ["Small or large?"]
    assert table.changed == "it comes to chat.once named 'stock', which it did not do before"


def test_a_plugin_that_asks_no_more_begins_again() -> None:
    async def silent(chat: Chat) -> str:
        return "closed today"

    table = Table(pizza)
    table.says("!pizza")
    edited(table, silent)
    assert table.says("large") == ["closed today"]
    assert table.changed == "it ends before it comes to its last step"


def test_what_was_done_once_is_not_done_again_when_a_dialog_begins_again() -> None:
    orders: list[int] = []

    async def old(chat: Chat) -> str:
        await chat.once("order", partial(count, orders))
        return await chat.ask("Pay?")

    async def new(chat: Chat) -> str:
        answer = await chat.ask("Pay now?")
        return f"{answer}: {await chat.once('order', partial(count, orders))}"

    table = Table(old)
    table.says("!x")
    edited(table, new)
    assert table.says("yes") == ["Pay now?"]
    assert table.says("yes") == ["yes: 1"]
    assert orders == [1]


def test_a_dialog_that_begins_again_sees_the_variables_of_now() -> None:
    async def new(chat: Chat) -> str:
        return f"{chat.vars['n']} {await chat.ask('Else?')} {chat.vars['n']}"

    table = Table(counted)
    table.says("!x")
    edited(table, new)
    table.variables = {"n": 5}
    assert table.says("yes") == ["Else?"]
    table.variables = {"n": 6}
    assert table.says("no") == ["5 no 6"]


def test_an_edited_plugin_that_fails_where_the_dialog_had_passed_begins_again() -> None:
    async def broken(chat: Chat) -> str:
        if "fixed" not in chat.vars:
            raise KeyError("fixed")
        return await chat.ask("And now?")

    table = Table(pizza)
    table.says("!pizza")
    edited(table, broken)
    with pytest.raises(KeyError):
        table.says("large")
    assert table.open
    table.variables = {"fixed": True}
    assert table.says("large") == ["And now?"]
    assert table.changed == "it raises KeyError('fixed') before it comes to its last step"


def test_a_plugin_that_hides_that_it_has_changed_begins_again_all_the_same() -> None:
    async def hide(chat: Chat) -> str:
        try:
            await chat.ask("Something else?")
        except BaseException:
            await chat.say("nothing happened")
        return "fine"

    table = Table(pizza)
    table.says("!pizza")
    edited(table, hide)
    assert table.says("large") == ["Something else?"]


# Deaths


steps = st.lists(
    st.sampled_from(["ask", "say", "once", "count", "history", "later", "chance", "yield"]),
    max_size=12,
)


@given(steps, st.sets(st.integers(1, 12), max_size=4), st.booleans())
def test_whenever_the_process_dies_the_person_sees_the_same(
    program: list[str], deaths: set[int], after: bool
) -> None:
    quiet, dying = Table(interpreter(program)), Table(interpreter(program))
    dying.dies_at, dying.dies_after = set(deaths), after
    texts = [f"message {n}" for n in range(program.count("ask") + 1)]
    assert [quiet.says(text) for text in texts] == [dying.says(text) for text in texts]
    assert quiet.variables == dying.variables
    assert quiet.said == dying.said
    assert quiet.later == dying.later
    assert not quiet.open
    assert not dying.open


def test_death_leaves_the_turn_to_be_run_again() -> None:
    table = Table(interpreter(["say"]))
    table.dies_at = {1}
    with pytest.raises(Died):
        table._turn(message("x"), False)


async def counted(chat: Chat) -> str:
    chat.vars["n"] = int(str(chat.vars.get("n", 0))) + 1
    await chat.ask("Again?")
    chat.vars["n"] = int(str(chat.vars["n"])) + 10
    await chat.ask("And again?")
    return str(chat.vars["n"])


def edited(table: Table, function: Any) -> None:
    table.function, table.code = function, "second version"


def interpreter(program: list[str]) -> Any:
    """A plugin that does what a list says."""

    async def run(chat: Chat) -> str:
        came_to: list[Any] = []

        async def count() -> None:
            chat.vars["count"] = int(str(chat.vars.get("count", 0))) + 1

        async def chance() -> int:
            return chat.random.randrange(1000)

        async def speak() -> None:
            chat.utter("in passing")

        for n, word in enumerate(program):
            words: dict[str, Any] = {
                "ask": lambda n=n: chat.ask(f"question {n}"),
                "say": lambda n=n: chat.say(f"line {n}"),
                "once": lambda n=n: chat.once(f"once {n}", lambda: n),
                "history": chat.history,
                "later": lambda n=n: chat.later(n, f"later {n}"),
                "count": count,
                "chance": chance,
                "yield": speak,
            }
            came_to.append(await words[word]())
        return f"{came_to} {chat.vars.get('count')} {chat.now}"

    return run


def test_a_turn_that_ends_for_good_leaves_no_journal() -> None:
    telling = Telling(message("x"), variables={}, turn="t")
    telling.record("history", "", lines("a"))
    assert telling.take(steps=False).entries == ()


def test_lines_of_history_are_kept_as_json() -> None:
    telling = Telling(message("x"), variables={"n": 1}, turn="t", seed=3, code="c")
    telling.record("history", "", lines("a"))
    begin, history = telling.take().entries
    assert begin.kind == "begin"
    world: Any = begin.value
    assert (world["variables"], world["seed"], world["code"]) == ({"n": 1}, 3, "c")
    kept: Any = history.value
    assert kept[0]["content"] == "a"


def test_replies_that_were_not_said_yet_come_with_the_next_step_and_once() -> None:
    telling = Telling(message("x"), variables={}, turn="t")
    telling.utter("a")
    telling.utter(message("x").reply("b"))
    assert [reply.id for reply in telling.take().replies] == ["t/0", "t/1"]
    assert telling.take().replies == ()


def test_steps_that_were_told_count_as_much_as_new_ones() -> None:
    async def heavy(chat: Chat) -> None:
        await chat.once("a", lambda: "x" * 600_000)
        await chat.ask("More?")
        await chat.once("b", lambda: "x" * 600_000)

    table = Table(heavy)
    table.says("!x")
    with pytest.raises(DialogTooLong):
        table.says("yes")


def test_each_line_of_a_journal_knows_its_turn_and_what_was_said_by_then() -> None:
    async def talk(chat: Chat) -> None:
        await chat.say("a")
        await chat.ask("b?")
        await chat.once("c", lambda: 1)
        await chat.ask("d?")

    table = Table(talk)
    table.says("!x")
    table.says("yes")
    assert [(entry.kind, entry.name, entry.turn, entry.said) for entry in table.journal] == [
        ("begin", "", "t1", 0),
        ("say", "", "t1", 1),
        ("ask", "", "t1", 2),
        ("answer", "", "t2", 0),
        ("once", "c", "t2", 0),
        ("ask", "", "t2", 1),
    ]


def test_a_journal_keeps_messages_as_json_without_what_goes_without_saying() -> None:
    table = Table(pizza)
    table.says("!pizza")
    world: Any = table.journal[0].value
    assert world["message"] == {
        "id": "m1",
        "channel_type": "table",
        "channel_id": "ada",
        "sender_id": "ada",
        "sender_name": "Ada",
        "content": "!pizza",
        "timestamp": "2026-01-01T12:01:00Z",
    }


def test_what_was_kept_does_not_say_how_much_this_turn_has_said() -> None:
    async def order(chat: Chat) -> str:
        text = await chat.ask("How many?")
        await chat.say("One moment.")
        await chat.once("order", lambda: 1)
        return str(int(text))

    table = Table(order)
    table.says("!x")
    with pytest.raises(ValueError):
        table.says("three")
    table.says("3")
    assert table.said[-2:] == [("t3/0", "One moment."), ("t3/1", "3")]


def test_a_step_without_a_name_is_named_by_its_kind() -> None:
    async def recap(chat: Chat) -> None:
        await chat.history()

    table = Table(pizza)
    table.says("!pizza")
    edited(table, recap)
    table.says("large")
    assert table.changed == "it comes to chat.history, which it did not do before"


def test_the_reason_is_in_the_exception_too() -> None:
    with pytest.raises(DialogChanged, match="another way"):
        Telling(message("x"), variables={}).differ("another way")


def test_what_is_said_later_is_what_was_given() -> None:
    telling = Telling(message("x"), variables={}, turn="t")
    telling.postpone(Later(NOON, "tea"))
    assert telling.take().later == (Later(NOON, "tea"),)
    assert telling.take().later == ()


def test_a_new_dialog_is_not_edited_and_replaces_nothing() -> None:
    telling = Telling(message("x"), variables={}, code="c")
    assert (telling.live, telling.edited, telling.take().anew) == (True, False, False)


def test_a_dialog_that_replaces_another_says_so_once() -> None:
    telling = Telling(message("x"), variables={}, anew=True)
    assert [telling.take().anew, telling.take().anew] == [True, False]


def test_a_dialog_holds_exactly_so_many_steps() -> None:
    telling = Telling(message("x"), variables={})
    for n in range(MAX_STEPS):
        telling.record("once", str(n), None)
    with pytest.raises(DialogTooLong) as full:
        telling.record("once", "one more", None)
    assert str(full.value) == (
        "this dialog has more than 1,000 steps; return from the plugin now and then, and keep "
        "the rest in chat.vars"
    )


def test_a_dialog_holds_exactly_so_many_bytes() -> None:
    telling = Telling(message("x"), variables={})
    telling.record("once", "a", "x" * (MAX_BYTES - 2))
    telling.take()
    telling.record("once", "b", 1)
    with pytest.raises(DialogTooLong) as full:
        telling.take()
    assert str(full.value) == (
        "the steps of this dialog hold 1,000,001 bytes; at most 1,000,000. Keep large things in "
        "a file, and return its name from chat.once"
    )


def test_messages_weigh_nothing() -> None:
    telling = Telling(message("x" * MAX_BYTES), variables={"v": "x" * MAX_BYTES}, turn="t1")
    telling.record("ask", "", "?")
    journal = telling.take().entries
    again = Telling(message("y" * MAX_BYTES), variables={}, turn="t2", journal=journal)
    again.recall("ask", "")
    again.record("answer", "", {"text": "y" * MAX_BYTES})
    again.record("once", "a", "x" * (MAX_BYTES - len('"?"') - 2))
    assert [entry.kind for entry in again.take().entries] == ["answer", "once"]


def test_hearing_goes_on_to_the_message_of_this_turn() -> None:
    telling = Telling(message("first"), variables={}, turn="t1")
    telling.utter("?")
    telling.record("ask", "", "?")
    again = Telling(
        message("second"), variables={}, turn="t2", now=NOON, journal=telling.take().entries
    )
    assert again.recall("ask", "") is not None
    again.hear()
    assert (again.message.content, again.now, again.said) == ("second", NOON, 0)
    assert again.first.content == "first"
