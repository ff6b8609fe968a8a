"""Journals: what is recorded is found again, and only that."""

from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.journal import Entry, Journal, Replay, carried, taken_back

kinds = st.sampled_from(["ask", "answer", "say", "once", "history"])
entries = st.lists(
    st.builds(Entry, kind=kinds, name=st.sampled_from(["", "a", "b"]), value=st.integers()),
    max_size=12,
)


@given(entries)
def test_steps_are_told_in_the_order_in_which_they_were_recorded(recorded: list[Entry]) -> None:
    recorded = [entry for entry in recorded if entry.kind != "once"]
    replay = Replay(recorded)
    assert [replay.recall(entry.kind, entry.name) for entry in recorded] == recorded
    assert replay.over


@given(entries)
def test_it_is_over_with_the_last_step_and_not_before(recorded: list[Entry]) -> None:
    recorded = [entry for entry in recorded if entry.kind != "once"]
    replay = Replay(recorded)
    for entry in recorded:
        assert not replay.over
        replay.recall(entry.kind, entry.name)
    assert replay.over
    assert replay.recall("ask", "another") is None


def test_kinds_and_names_have_an_order_of_their_own() -> None:
    first, second, other = Entry("ask", "", 1), Entry("ask", "", 2), Entry("ask", "n", 3)
    replay = Replay([first, other, second])
    assert replay.recall("ask", "n") is other
    assert replay.recall("ask") is first
    assert replay.recall("ask") is second
    assert replay.recall("ask") is None


def test_the_beginning_is_no_step() -> None:
    replay = Replay([Entry("begin", "", {})])
    assert replay.over
    assert replay.steps == 0
    assert replay.recall("begin") is None


def test_what_is_done_once_is_found_as_often_as_it_is_asked_for() -> None:
    done = Entry("once", "order", 7)
    replay = Replay([done, Entry("ask")])
    assert replay.recall("once", "order") is done
    assert replay.recall("once", "order") is done
    assert not replay.over
    assert replay.recall("once", "other") is None


def test_what_was_kept_is_found_and_is_no_step() -> None:
    kept = Entry("kept", "order", 7)
    replay = Replay([kept])
    assert replay.over
    assert replay.steps == 0
    assert replay.recall("once", "order") is kept


def test_what_was_just_done_once_is_found_too() -> None:
    replay = Replay()
    done = Entry("once", "order", 7)
    replay.note(done)
    replay.note(Entry("say"))
    assert replay.recall("once", "order") is done
    assert replay.steps == 2


def test_an_answer_belongs_to_its_question() -> None:
    replay = Replay([Entry("ask"), Entry("answer")])
    assert replay.steps == 1
    replay.note(Entry("answer"))
    assert replay.steps == 1


@given(entries)
def test_what_was_done_once_is_carried_over(recorded: list[Entry]) -> None:
    again = carried(recorded)
    assert {entry.kind for entry in again} <= {"kept"}
    once = [(entry.name, entry.value) for entry in recorded if entry.kind == "once"]
    assert [(entry.name, entry.value) for entry in again] == once
    assert carried(again) == again


def test_a_turn_is_taken_back_but_for_what_it_did_once() -> None:
    before = Entry("ask", turn="t1"), Entry("once", "a", 1, "t1")
    failed = Entry("answer", turn="t2"), Entry("once", "b", 2, "t2"), Entry("say", turn="t2")
    assert taken_back((*before, *failed), "t2") == (*before, Entry("kept", "b", 2, "t2"))


def test_a_journal_counts_its_questions() -> None:
    entries = Entry("begin"), Entry("ask"), Entry("answer"), Entry("ask")
    assert Journal("t1", "pizza", entries).questions == 2
