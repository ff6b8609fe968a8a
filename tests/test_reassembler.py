"""Reassembler: what is delivered, ignored, refused, given up, and what it costs."""

import io
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.chunker import Chunker, Counts, FragmentError, Limits, Reassembler
from sessionbot_kit.full_message import ANY_DOCUMENT
from sessionbot_kit.limits import LEAST_COST
from tests.bad_frames import text_fragment as fragment
from tests.chunked_messages import HELLO, ROOMY, frames_of, reader, with_files

FULL = '{"to":"a","from":"b","text":"hi","attachments":[]}'


def whole(name: str, data: str = FULL) -> str:
    return fragment(name, 0, 1, data)


def refusal(action: Callable[[], object]) -> FragmentError:
    with pytest.raises(FragmentError) as caught:
        action()
    return caught.value


def test_counts_say_what_became_of_every_frame() -> None:
    reassembler = Reassembler()
    for name in ("a", "A"):
        frames = ["", fragment(name, 0, 2, FULL[:9]), fragment(name, 0, 2, FULL[:9])]
        frames += [fragment(name, 1, 2, FULL[9:]), fragment(name, 0, 2, "late")]
        frames += [whole(f"b{name}"), whole(f"b{name}"), fragment(f"c{name}", 0, 2, "x")]
        for frame in frames:
            reassembler.feed(frame, 0.0)
        refusal(lambda: reassembler.feed("x", 0.0))
    reassembler.expire(99.0)
    assert reassembler.counts == Counts(
        completed=4, duplicates=2, late=4, empty=2, rejected=2, expired=2
    )


def test_progress_says_where_each_message_goes_on() -> None:
    reassembler = reader()
    for frame in frames_of(HELLO, 10, "text", "t")[:3]:
        reassembler.feed(frame, 0.0)
    for frame in frames_of(HELLO, 10, "binary", "b")[:2]:
        reassembler.feed(frame, 0.0)
    assert reassembler.progress() == {"t": 3, "b": 20}
    assert reassembler.pending == 2


def test_what_is_held_goes_when_the_message_does() -> None:
    reassembler = reader()
    reassembler.feed(fragment("a", 0, 3, "x" * 1000), 0.0)
    reassembler.feed(fragment("b", 0, 3, "y" * 2000), 0.0)
    assert reassembler.held_bytes == 3000
    reassembler.forget("a")
    assert reassembler.held_bytes == 2000
    refusal(lambda: reassembler.feed(fragment("b", 0, 3, "z"), 0.0))
    assert (reassembler.held_bytes, reassembler.pending) == (0, 0)


def test_a_message_of_one_fragment_holds_nothing() -> None:
    reassembler = reader(limits=Limits(pending=1, message_bytes=60, held_bytes=LEAST_COST))
    reassembler.feed(fragment("a", 0, 2, FULL[:9]), 0.0)
    assert reassembler.feed(whole("b"), 0.0) == HELLO
    assert reassembler.pending == 1


def test_the_budget_is_of_all_messages_together() -> None:
    limits = Limits(message_bytes=2000, held_bytes=3000)
    reassembler = reader(limits=limits)
    reassembler.feed(fragment("a", 0, 3, "x" * 1500), 0.0)
    reassembler.feed(fragment("b", 0, 3, "x" * 1500), 0.0)
    error = refusal(lambda: reassembler.feed(fragment("c", 0, 3, "x"), 0.0))
    assert (error.code, error.message_id, error.fatal) == ("over_budget", "c", True)
    assert str(error) == (
        "message 'c' would make 3,512 bytes that are held for this peer; at most 3,000 are, so "
        "send fewer at a time"
    )
    assert reassembler.held_bytes == 3000


def test_a_short_fragment_counts_as_a_longer_one() -> None:
    reassembler = reader(limits=Limits(message_bytes=1, held_bytes=LEAST_COST))
    reassembler.feed(fragment("a", 0, 3, "x"), 0.0)
    assert refusal(lambda: reassembler.feed(fragment("b", 0, 3, "x"), 0.0)).fatal


def test_only_so_many_messages_are_under_way() -> None:
    reassembler = Reassembler(Limits(pending=2))
    for name in ("a", "b"):
        reassembler.feed(fragment(name, 0, 2, FULL[:9]), 0.0)
    error = refusal(lambda: reassembler.feed(fragment("c", 0, 2, FULL[:9]), 0.0))
    assert (error.code, error.message_id, error.fatal) == ("too_many_pending", "c", False)
    assert str(error) == (
        "message 'c' is one too many; finish one of the 2 that are under way first"
    )
    assert reassembler.feed(fragment("a", 1, 2, FULL[9:]), 0.0) == HELLO


def test_the_rest_of_a_message_that_found_no_room_is_ignored() -> None:
    reassembler = Reassembler(Limits(pending=1))
    reassembler.feed(fragment("a", 0, 2, FULL[:9]), 0.0)
    refusal(lambda: reassembler.feed(fragment("b", 0, 2, FULL[:9]), 0.0))
    reassembler.feed(fragment("a", 1, 2, FULL[9:]), 0.0)
    assert reassembler.feed(fragment("b", 1, 2, FULL[9:]), 0.0) is None
    assert (reassembler.counts.late, reassembler.pending) == (1, 0)


def test_a_peer_that_does_not_listen_to_refusals_is_closed() -> None:
    reassembler = Reassembler(Limits(pending=1, message_bytes=5000, held_bytes=5000))
    reassembler.feed(fragment("a", 0, 2, "x" * 1000), 0.0)
    frames = [fragment(name, 0, 2, "x" * 1000) for name in "bcdef"]
    codes = [refusal(partial(reassembler.feed, frame, 0.0)).code for frame in frames]
    assert codes == ["too_many_pending"] * 4 + ["over_budget"]


def test_a_message_that_is_finished_shows_that_the_peer_listens() -> None:
    reassembler = Reassembler(Limits(pending=1, message_bytes=5000, held_bytes=5000))
    reassembler.feed(fragment("a", 0, 2, FULL[:9]), 0.0)
    for name in "bcdef":
        frame = fragment(name, 0, 2, "x" * 1500)
        assert refusal(partial(reassembler.feed, frame, 0.0)).code == "too_many_pending"
        reassembler.feed(whole(f"ok {name}"), 0.0)


def test_room_is_made_by_what_waited_too_long() -> None:
    reassembler = Reassembler(Limits(pending=1))
    reassembler.feed(fragment("a", 0, 2, FULL[:9]), 0.0)
    assert reassembler.feed(fragment("b", 0, 2, FULL[:9]), 31.0) is None
    assert reassembler.progress() == {"b": 1}
    assert [error.message_id for error in reassembler.expire(31.0)] == ["a"]
    assert reassembler.expire(31.0) == []


def test_what_waits_too_long_is_given_up() -> None:
    reassembler = Reassembler()
    reassembler.feed(fragment("a", 0, 2, FULL[:9]), 100.0)
    assert reassembler.expire(130.0) == []
    (error,) = reassembler.expire(130.5)
    assert (error.code, error.message_id, error.fatal) == ("expired", "a", False)
    assert str(error) == (
        "message 'a' was given up 30 s after it began and 30 s after its last new fragment; "
        "send it again as a new message"
    )
    assert (reassembler.pending, reassembler.held_bytes) == (0, 0)


def test_only_new_fragments_keep_a_message_alive() -> None:
    reassembler = Reassembler()
    reassembler.feed(fragment("a", 0, 3, "x"), 0.0)
    reassembler.feed(fragment("a", 0, 3, "x"), 20.0)
    reassembler.feed(fragment("b", 0, 3, "x"), 0.0)
    reassembler.feed(fragment("b", 1, 3, "x"), 20.0)
    assert [error.message_id for error in reassembler.expire(40.0)] == ["a"]


def test_a_message_has_an_absolute_deadline_too() -> None:
    reassembler = Reassembler(Limits(total_seconds=100.0))
    for step in range(6):
        reassembler.feed(fragment("a", step, 9, "x"), step * 20.0)
    (error,) = reassembler.expire(101.0)
    assert "101 s after it began and 1 s after its last new fragment" in str(error)
    reassembler.feed(fragment("b", 0, 9, "x"), 0.0)
    assert reassembler.expire(30.0) == []


def test_a_fragment_after_the_deadline_is_told_so_once() -> None:
    reassembler = Reassembler()
    reassembler.feed(fragment("a", 0, 3, "x"), 0.0)
    assert refusal(lambda: reassembler.feed(fragment("a", 1, 3, "x"), 31.0)).code == "expired"
    assert reassembler.feed(fragment("a", 2, 3, "x"), 31.0) is None
    assert (reassembler.pending, reassembler.held_bytes) == (0, 0)


def test_a_total_that_changes_costs_the_message() -> None:
    reassembler = Reassembler()
    reassembler.feed(fragment("a", 0, 3, "x"), 0.0)
    error = refusal(lambda: reassembler.feed(fragment("a", 1, 1200, "x" * 2), 0.0))
    assert (error.code, error.message_id) == ("total_changed", "a")
    assert str(error) == (
        "message 'a' began with a total of 3 and goes on with 1,200, or in another codec; every "
        "fragment says the same"
    )
    assert reassembler.pending == 0


def test_a_message_stays_in_its_codec() -> None:
    reassembler = reader()
    (frame,) = frames_of(HELLO, 99, "binary", "a")
    reassembler.feed(fragment("a", 0, 58, "x"), 0.0)
    assert refusal(lambda: reassembler.feed(frame, 0.0)).code == "total_changed"


def test_a_finished_message_is_not_delivered_again() -> None:
    for codec in ("text", "binary"):
        for size in (9, 999):
            frames = frames_of(HELLO, size, codec)
            reassembler = reader()
            found = [reassembler.feed(frame, 0.0) for frame in frames * 2]
            assert found.count(None) == len(found) - 1
            assert reassembler.counts.late == len(frames)


@pytest.mark.parametrize("codec", ["text", "binary"])
def test_a_finished_id_with_other_data_is_an_error(codec: str) -> None:
    reassembler = reader()
    reassembler.feed(frames_of(HELLO, 999, codec)[0], 0.0)
    other = frames_of({**HELLO, "text": "ho"}, 999, codec)[0]
    error = refusal(lambda: reassembler.feed(other, 0.0))
    assert (error.code, error.message_id) == ("conflict", "m1")
    assert str(error) == (
        "message 'm1' came again with different data; give a new message a new id"
    )
    assert reassembler.feed(frames_of(HELLO, 999, codec)[0], 0.0) is None


def test_a_slice_of_a_finished_message_is_late_whatever_it_says() -> None:
    reassembler = Reassembler()
    reassembler.feed(fragment("a", 0, 2, FULL[:9]), 0.0)
    reassembler.feed(fragment("a", 1, 2, FULL[9:]), 0.0)
    assert reassembler.feed(fragment("a", 1, 2, "zzz"), 0.0) is None
    assert reassembler.feed(whole("a"), 0.0) is None
    reassembler.feed(whole("b"), 0.0)
    assert reassembler.feed(fragment("b", 1, 2, "zzz"), 0.0) is None
    assert reassembler.counts.late == 3


def test_ids_are_remembered_within_bounds() -> None:
    reassembler = Reassembler(Limits(remembered=2))
    for name in "abc":
        reassembler.feed(whole(name), 0.0)
    assert reassembler.feed(whole("c"), 0.0) is None
    assert reassembler.feed(whole("b"), 0.0) is None
    assert reassembler.feed(whole("a"), 0.0) == HELLO


def test_nothing_is_remembered_where_ids_come_again() -> None:
    reassembler = Reassembler(Limits(remembered=0))
    assert [reassembler.feed(whole("a"), 0.0) for _ in range(3)] == [HELLO] * 3


def test_a_forgotten_message_may_begin_again() -> None:
    reassembler = Reassembler()
    reassembler.feed(whole("a"), 0.0)
    reassembler.feed(fragment("b", 0, 2, "x"), 0.0)
    reassembler.forget("a")
    reassembler.forget("b")
    reassembler.forget("unknown")
    assert reassembler.feed(whole("a"), 0.0) == HELLO
    assert reassembler.feed(whole("b"), 0.0) == HELLO


def test_the_rest_of_a_message_that_is_too_long_is_late() -> None:
    reassembler = Reassembler(Limits(fragments=4))
    refusal(lambda: reassembler.feed(fragment("a", 0, 5, "x"), 0.0))
    for index in (1, 2, 3):
        assert reassembler.feed(fragment("a", index, 5, "x"), 0.0) is None
    assert (reassembler.counts.late, reassembler.counts.rejected) == (3, 1)


def test_closing_drops_everything() -> None:
    reassembler = Reassembler()
    for name in "ab":
        reassembler.feed(fragment(name, 0, 2, "x"), 0.0)
    reassembler.close()
    assert (reassembler.pending, reassembler.held_bytes, reassembler.progress()) == (0, 0, {})
    assert reassembler.feed(whole("a"), 0.0) == HELLO


def test_a_wrong_message_is_refused_with_its_reason() -> None:
    reassembler = Reassembler()
    error = refusal(lambda: reassembler.feed(whole("a", FULL.replace('"hi"', "5")), 0.0))
    assert (error.code, error.message_id, error.fatal) == ("bad_message", "a", False)
    assert str(error) == "message 'a' is whole and wrong: text: Input should be a valid string"
    assert reassembler.counts.rejected == 1


def test_a_wrong_message_of_one_fragment_may_be_sent_again_right() -> None:
    reassembler = Reassembler()
    refusal(lambda: reassembler.feed(whole("a", "[]"), 0.0))
    assert reassembler.feed(whole("a"), 0.0) == HELLO


def test_a_wrong_message_of_more_fragments_stays_refused() -> None:
    reassembler = Reassembler()
    reassembler.feed(fragment("a", 0, 2, "["), 0.0)
    refusal(lambda: reassembler.feed(fragment("a", 1, 2, "]"), 0.0))
    assert reassembler.feed(fragment("a", 1, 2, "]"), 0.0) is None
    assert (reassembler.pending, reassembler.held_bytes) == (0, 0)


def test_a_bad_fragment_costs_the_message_it_names() -> None:
    reassembler = Reassembler()
    reassembler.feed(fragment("a", 0, 2, "x"), 0.0)
    refusal(lambda: reassembler.feed(fragment("a", 2, 2, "x"), 0.0))
    assert reassembler.pending == 0
    assert reassembler.feed(fragment("a", 1, 2, "x"), 0.0) is None


def test_a_bad_fragment_of_an_unknown_message_leaves_no_trace() -> None:
    reassembler = Reassembler()
    refusal(lambda: reassembler.feed(fragment("a", -1, 2, "x"), 0.0))
    assert reassembler.feed(whole("a"), 0.0) == HELLO


@pytest.mark.parametrize(("raw", "content"), [(True, b"cat"), (False, "Y2F0")])
def test_raw_gives_bytes_and_without_it_text_stays(raw: bool, content: Any) -> None:
    reassembler = Reassembler(raw=raw)
    (frame,) = Chunker().split(with_files(b"cat"), "m1")
    assert reassembler.feed(frame, 0.0) == with_files(content)


def test_raw_refuses_what_is_not_base64() -> None:
    reassembler = reader()
    data = '{"attachments":[{"content":"no base64"}]}'
    assert "is not base64" in str(refusal(lambda: reassembler.feed(whole("a", data), 0.0)))


def test_too_many_attachments_are_refused() -> None:
    limits = Limits(attachments=1)
    frame = frames_of(with_files(b"a", b"b"), 999)[0]
    assert "2 attachments; at most 1 may come" in str(
        refusal(lambda: Reassembler(limits).feed(frame, 0.0))
    )


def test_the_shape_is_the_readers_choice() -> None:
    frame = whole("a", '{"kind":"offer"}')
    assert Reassembler(shape=ANY_DOCUMENT).feed(frame, 0.0) == {"kind": "offer"}
    assert refusal(lambda: Reassembler().feed(frame, 0.0)).code == "bad_message"


class Disk(list[io.BytesIO]):
    """A buffer factory, and what it made."""

    def __call__(self) -> io.BytesIO:
        self.append(io.BytesIO())
        return self[-1]


SPOOLING = Limits(spool_bytes=10)


def test_a_large_attachment_comes_back_as_an_open_file() -> None:
    disk = Disk()
    reassembler = reader(limits=SPOOLING, spool=disk)
    message = with_files(b"x" * 10, b"y" * 11)
    for frame in frames_of(message, 16, "binary"):
        found = reassembler.feed(frame, 0.0)
    assert found is not None
    small, large = (file["content"] for file in found["attachments"])
    assert small == b"x" * 10
    assert large is disk[0]
    assert large.read() == b"y" * 11


@pytest.mark.parametrize("end", ["expire", "close", "conflict", "shape", "digest"])
def test_the_files_of_a_message_that_fails_are_closed(end: str) -> None:
    disk = Disk()
    reassembler = Reassembler(SPOOLING, spool=disk)
    message = with_files(b"x" * 50, text="hi") if end != "shape" else {"attachments": []}
    frames = frames_of(message | _large(end), 16, "binary")
    for frame in frames[:-1]:
        reassembler.feed(frame, 0.0)
    assert [file.closed for file in disk] == [False]
    match end:
        case "expire":
            reassembler.expire(99.0)
        case "close":
            reassembler.close()
        case "conflict":
            refusal(lambda: reassembler.feed(frames[-1][:8] + b"\0\0\1\0" + b"m1x", 0.0))
        case "shape":
            refusal(lambda: reassembler.feed(frames[-1], 0.0))
        case _:
            refusal(lambda: reassembler.feed(frames[-1][:-1] + b"\0", 0.0))
    assert [file.closed for file in disk] == [True]


def test_the_file_of_a_whole_message_that_fails_is_closed() -> None:
    disk = Disk()
    reassembler = Reassembler(SPOOLING, spool=disk)
    (frame,) = frames_of(with_files(b"x" * 50), 999, "binary")
    assert refusal(lambda: reassembler.feed(frame[:-1] + b"\0", 0.0)).code == "bad_digest"
    assert [file.closed for file in disk] == [True]


def test_a_full_disk_costs_the_message_only() -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(28, "No space left on device")

    reassembler = reader(limits=SPOOLING, spool=Full)
    frames = frames_of(with_files(b"x" * 50), 16, "binary", "a")
    error = refusal(lambda: [reassembler.feed(frame, 0.0) for frame in frames])
    assert (error.code, error.message_id) == ("no_room", "a")
    assert str(error) == (
        "message 'a' could not be spooled ([Errno 28] No space left on device); make room on the "
        "disk and send it again as a new message"
    )
    assert (reassembler.held_bytes, reassembler.pending) == (0, 0)
    assert reassembler.feed(frames_of(HELLO, 999, "text", "b")[0], 0.0) == HELLO


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcdef"), st.integers(0, 4), st.integers(1, 5), st.integers(0, 900)
        ),
        max_size=40,
    )
)
def test_no_more_is_held_than_may_be(fragments: list[tuple[str, int, int, int]]) -> None:
    limits = Limits(message_bytes=2000, held_bytes=3000, pending=4)
    reassembler = reader(limits=limits)
    for name, index, total, length in fragments:
        with suppress(FragmentError):
            reassembler.feed(fragment(name, index, total, "x" * length), 0.0)
        assert 0 <= reassembler.held_bytes <= 3000
        assert reassembler.pending <= 4
        assert (reassembler.held_bytes == 0) == (reassembler.pending == 0)


def test_the_defaults_are_those_of_the_protocol() -> None:
    reassembler = Reassembler()
    assert reassembler.limits == Limits()
    assert not reassembler.raw
    assert reassembler.counts == Counts(0, 0, 0, 0, 0, 0)
    assert Limits() != ROOMY


def _large(end: str) -> dict[str, Any]:
    if end != "shape":
        return {}
    return {"attachments": [{"name": "../x", "type": "a/b", "content": b"x" * 50}]}
