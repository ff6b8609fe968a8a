"""The memory of ids: bounded, oldest first, with marks that tell messages apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.errors import FragmentError
from sessionbot_kit.finished import Finished, is_whole, mark_of
from sessionbot_kit.fragments import Fragment


def text(data: bytes, total: int = 1) -> Fragment:
    return Fragment("m", 0, total, data)


def binary(data: bytes | memoryview, total: int) -> Fragment:
    return Fragment("m", 0, total, data, True)


@given(st.lists(st.sampled_from("abcdef")), st.integers(0, 4))
def test_the_newest_ids_are_remembered(names: list[str], room: int) -> None:
    finished = Finished(room)
    for name in names:
        finished.add(name)
    assert sum(name in finished for name in "abcdef") == min(room, len(set(names)))
    if names and room:
        assert names[-1] in finished


def test_the_oldest_id_is_forgotten_first() -> None:
    finished = Finished(2)
    for name in "abc":
        finished.add(name)
    assert [name in finished for name in "abc"] == [False, True, True]


def test_an_id_can_be_forgotten_and_need_not_be_known() -> None:
    finished = Finished(2)
    finished.add("a")
    finished.forget("a")
    finished.forget("b")
    assert "a" not in finished


def test_another_message_under_a_finished_id_is_refused() -> None:
    finished = Finished(2)
    finished.add("m", mark_of(text(b"one")))
    finished.check(text(b"one"))
    with pytest.raises(FragmentError) as caught:
        finished.check(text(b"two"))
    assert (caught.value.code, caught.value.message_id) == ("conflict", "m")
    assert str(caught.value) == (
        "message 'm' came again with different data; give a new message a new id"
    )


def test_what_cannot_be_compared_is_let_pass() -> None:
    finished = Finished(2)
    finished.add("m")
    finished.check(text(b"two"))
    finished.add("m", mark_of(text(b"one")))
    finished.check(text(b"two", total=2))


def test_a_whole_message_is_known_by_its_total() -> None:
    assert is_whole(text(b"one"))
    assert not is_whole(text(b"o", total=2))
    assert is_whole(binary(b"one", 3))
    assert not is_whole(binary(b"one", 4))
    assert not is_whole(binary(b"one", 1))


def test_a_binary_message_is_marked_by_its_digest() -> None:
    assert mark_of(binary(b"hello\x00\x00\x01\x02", 9)) == 258
    assert mark_of(binary(memoryview(b"x\x01\x00\x00\x00"), 5)) == 1 << 24
    assert mark_of(text(b"one")) != mark_of(text(b"two"))
