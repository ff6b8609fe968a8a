"""How two conversations become one."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from sessionbot_kit.context import Summary
from sessionbot_kit.models import Media, StoredMessage
from sessionbot_kit.sessions.weave import deepened, interleave, joined, notes, united
from sessionbot_kit.store import NewMessage

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def talk(name: str, *minutes: int, first: int = 1) -> list[StoredMessage]:
    return [
        StoredMessage(
            session_id=name,
            seq=number,
            role="user",
            content=f"{name}{number}",
            timestamp=NOW + timedelta(minutes=minute),
        )
        for number, minute in enumerate(minutes, first)
    ]


def woven(user: list[StoredMessage], other: list[StoredMessage]) -> tuple[int, str]:
    before, lines = interleave(user, other)
    return before, " ".join(line.content for line in lines)


def test_what_was_said_later_comes_at_the_end() -> None:
    assert woven(talk("u", 1, 2), talk("a", 3, 4)) == (2, "a1 a2")


def test_what_was_said_in_between_comes_in_between() -> None:
    assert woven(talk("u", 1, 3, 5), talk("a", 2, 4)) == (1, "a1 u2 a2 u3")


def test_at_the_same_moment_the_user_comes_first() -> None:
    assert woven(talk("u", 1, 2), talk("a", 2)) == (2, "a1")


def test_what_was_said_before_everything_comes_first() -> None:
    assert woven(talk("u", 5), talk("a", 1)) == (0, "a1 u1")


def test_the_numbers_of_a_conversation_that_has_lost_its_beginning_go_on() -> None:
    assert woven(talk("u", 5, first=8), talk("a", 1)) == (7, "a1 u8")


def test_nothing_changes_when_one_of_the_two_is_empty() -> None:
    assert woven(talk("u", 1, 2), []) == (2, "")
    assert woven([], talk("a", 1)) == (0, "a1")
    assert woven([], []) == (0, "")


def test_a_clock_that_went_back_does_not_turn_a_conversation_around() -> None:
    assert woven(talk("u", 1, 9, 2), talk("a", 5, 4)) == (1, "a1 a2 u2 u3")


minutes = st.lists(st.integers(0, 20), max_size=12)


@given(minutes, minutes, st.integers(1, 5))
def test_every_line_is_there_once_and_each_conversation_in_its_own_order(
    user: list[int], other: list[int], first: int
) -> None:
    mine, theirs = talk("u", *user, first=first), talk("a", *other)
    before, lines = interleave(mine, theirs)
    contents = [line.content for line in mine if line.seq <= before]
    contents += [line.content for line in lines]
    assert [c for c in contents if c[0] == "u"] == [line.content for line in mine]
    assert [c for c in contents if c[0] == "a"] == [line.content for line in theirs]


def test_a_line_keeps_all_but_its_number() -> None:
    media = (Media(data=b"x"),)
    line = talk("a", 1)[0].model_copy(
        update={"tokens": 7, "metadata": {"x": 1}, "role": "tool", "media": media}
    )
    _, (new,) = interleave([], [line])
    assert new == NewMessage("tool", "a1", line.timestamp, 7, media, {"x": 1})


def test_a_summary_becomes_a_line_if_its_own_lines_are_gone() -> None:
    summaries = [Summary(1, 4, "before", 2, 4, 1, NOW), Summary(5, 6, "after", 2, 2, 1, NOW)]
    (note,) = notes(summaries, talk("u", -5, first=5), first=5)
    assert (note.role, note.content, note.metadata) == ("system", "before", {"summary_of": [1, 4]})
    assert note.tokens == 2
    assert note.timestamp == NOW - timedelta(minutes=5)


def test_of_two_values_the_one_of_the_user_stays_and_is_reported() -> None:
    variables, conflicts = united({"a": 1, "b": 2, "c": 3}, {"b": 9, "c": 3, "d": 4})
    assert variables == {"a": 1, "b": 2, "c": 3, "d": 4}
    assert conflicts == ("b",)


def test_contexts_are_joined_without_doubles_and_the_user_has_the_last_word() -> None:
    mine: dict[str, JsonValue] = {
        "knowledge": ["a", "b"],
        "llm": {"model": "x"},
        "note": "mine",
        "list or not": ["a"],
        "dict or not": {"a": 1},
    }
    theirs: dict[str, JsonValue] = {
        "knowledge": ["b", "c"],
        "llm": {"model": "y", "top": 1},
        "note": "t",
        "tools": ["z"],
        "list or not": "b",
        "dict or not": "b",
    }
    assert joined(mine, theirs) == {
        "knowledge": ["a", "b", "c"],
        "llm": {"model": "x", "top": 1},
        "note": "mine",
        "list or not": ["a"],
        "dict or not": {"a": 1},
        "tools": ["z"],
    }


def test_a_deep_merge_goes_into_dicts_and_replaces_the_rest() -> None:
    old: dict[str, JsonValue] = {"a": {"b": 1, "c": [1]}, "d": 1}
    assert deepened(old, {"a": {"c": [2]}, "d": {"e": 1}}) == {
        "a": {"b": 1, "c": [2]},
        "d": {"e": 1},
    }
    assert old == {"a": {"b": 1, "c": [1]}, "d": 1}
