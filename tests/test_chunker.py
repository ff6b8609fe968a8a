"""Chunker: what it cuts, what it refuses, and that all of it comes back."""

import io
import json
import zlib
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit import chunker as chunker_module
from sessionbot_kit.chunker import (
    ANY_DOCUMENT,
    Chunker,
    FragmentError,
    Limits,
    Reassembler,
)
from sessionbot_kit.errors import MessageError, UsageError
from tests.chunked_messages import (
    CODECS,
    HELLO,
    Message,
    documents,
    frames_of,
    reader,
    with_files,
)


def test_a_message_comes_back_with_the_defaults() -> None:
    frames = Chunker(fragment_bytes=262_144).split(HELLO, message_id="m1")
    reassembler = Reassembler()
    assert [reassembler.feed(frame, now=0.0) for frame in frames] == [HELLO]


def test_every_public_name_is_there() -> None:
    assert all(hasattr(chunker_module, name) for name in chunker_module.__all__)


@given(documents(), CODECS, st.integers(4, 64))
def test_any_document_comes_back_from_any_cut(message: Message, codec: str, size: int) -> None:
    reassembler = reader()
    found = [reassembler.feed(frame, 0.0) for frame in frames_of(message, size, codec)]
    assert found == [None] * (len(found) - 1) + [message]
    assert reassembler.held_bytes == reassembler.pending == 0


@given(documents(), CODECS, st.integers(4, 64), st.randoms(use_true_random=False), st.data())
def test_any_order_with_duplicates_gives_the_message_once(
    message: Message, codec: str, size: int, random: Any, data: st.DataObject
) -> None:
    frames = frames_of(message, size, codec)
    mixed = frames + data.draw(st.lists(st.sampled_from(frames), max_size=5))
    random.shuffle(mixed)
    reassembler = reader()
    found = [reassembler.feed(frame, 0.0) for frame in mixed]
    assert [each for each in found if each is not None] == [message]
    counts = reassembler.counts
    assert counts.duplicates + counts.late == len(mixed) - len(frames)


@given(st.lists(documents(), min_size=2, max_size=4), st.integers(4, 64), st.data())
def test_interleaved_messages_all_arrive(
    messages: list[Message], size: int, data: st.DataObject
) -> None:
    lanes = [
        frames_of(message, size, data.draw(CODECS), f"m{number}")
        for number, message in enumerate(messages)
    ]
    reassembler, found = reader(), []
    while any(lanes):
        lane = data.draw(st.sampled_from([lane for lane in lanes if lane]))
        if (message := reassembler.feed(lane.pop(0), 0.0)) is not None:
            found.append(message)
    assert all(message in found for message in messages)
    assert len(found) == len(messages)


@given(documents(), CODECS, st.integers(4, 64), st.data())
def test_a_message_goes_on_where_its_reader_got_to(
    message: Message, codec: Any, size: int, data: st.DataObject
) -> None:
    frames = frames_of(message, size, codec)
    reassembler = reader()
    cut = data.draw(st.integers(0, len(frames) - 1))
    for frame in frames[:cut]:
        reassembler.feed(frame, 0.0)
    start = reassembler.progress().get("m1", 0)
    chunker = Chunker(size, codec=codec, shape=ANY_DOCUMENT, limits=Limits(fragments=10**6))
    rest = list(chunker.split(message, "m1", start=start))
    assert rest == frames[cut:]
    assert [reassembler.feed(frame, 0.0) for frame in rest][-1] == message


@pytest.mark.parametrize("codec", ["text", "binary"])
def test_frames_are_made_when_they_are_asked_for(codec: Any) -> None:
    class Watched(io.BytesIO):
        read_bytes = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            Watched.read_bytes += len(data)
            return data

    frames = Chunker(1024, codec=codec).split(with_files(Watched(bytes(100_000))), "m1")
    assert Watched.read_bytes == 0
    next(frames)
    assert 0 < Watched.read_bytes < 2048


@pytest.mark.parametrize("codec", ["text", "binary"])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, io.BytesIO])
def test_attachments_may_be_bytes_or_open_files(codec: Any, kind: Any) -> None:
    frames = Chunker(64, codec=codec).split(with_files(kind(b"cat" * 99)), "m1")
    reassembler = Reassembler(raw=True)
    assert [reassembler.feed(frame, 0.0) for frame in frames][-1] == with_files(b"cat" * 99)


def test_base64_text_stays_text_in_the_text_codec() -> None:
    message = with_files("Y2F0", "ZG9n")
    (frame,) = Chunker().split(message, "m1")
    assert Reassembler().feed(frame, 0.0) == message
    assert Reassembler(raw=True).feed(frame, 0.0) == with_files(b"cat", b"dog")


def test_base64_text_becomes_bytes_in_the_binary_codec() -> None:
    (frame,) = Chunker(codec="binary").split(with_files("Y2F0"), "m1")
    assert b"Y2F0" not in frame
    assert Reassembler().feed(frame, 0.0) == with_files(b"cat")


def test_text_is_encoded_once_and_stays_utf8() -> None:
    (frame,) = Chunker().split({**HELLO, "text": "\U0001f600 é"}, "m1")
    assert "\U0001f600 é".encode() in frame
    assert json.loads(json.loads(frame)["data"])["text"] == "\U0001f600 é"


def test_a_payload_says_how_much_there_is_to_send() -> None:
    text = Chunker(10).encode(HELLO, "m1")
    binary = Chunker(10, codec="binary").encode(HELLO, "m1")
    assert (text.message_id, text.size, text.count, text.end) == ("m1", 50, 5, 5)
    assert (binary.message_id, binary.size, binary.count, binary.end) == ("m1", 58, 6, 58)


@pytest.mark.parametrize("codec", ["text", "binary"])
def test_a_start_outside_the_message_is_refused(codec: Any) -> None:
    payload = Chunker(10, codec=codec).encode(HELLO, "m1")
    assert list(payload.fragments(payload.end)) == []
    for start in (-1, payload.end + 1):
        with pytest.raises(UsageError, match=f"position {start}.* 0 to {payload.end}"):
            payload.fragments(start)


def test_one_payload_can_be_cut_by_two_readers_at_a_time() -> None:
    payload = Chunker(8, codec="binary").encode(with_files(b"cat" * 9), "m1")
    first, second = payload.fragments(), payload.fragments()
    pairs = list(zip(first, second, strict=True))
    assert all(one == two for one, two in pairs)
    assert payload.count == len(pairs)


@pytest.mark.parametrize(
    ("message", "name", "what"),
    [
        ({**HELLO, "text": 5}, "m1", "text: "),
        ({**HELLO, "extra": 1}, "m1", "extra: "),
        ({**HELLO, "text": "\ud83d"}, "m1", "surrogates"),
        (with_files("no base64!"), "m1", "attachments.0.content: "),
        (with_files(*[b""] * 65), "m1", "65 attachments; at most 64"),
        (HELLO, "", "message id"),
        (HELLO, "a\nb", "message id"),
        (HELLO, "x" * 129, "129 characters"),
    ],
)
def test_what_a_reader_would_refuse_is_not_sent(message: Message, name: str, what: str) -> None:
    with pytest.raises(MessageError, match="cannot be sent") as caught:
        Chunker().encode(message, name)
    assert what in str(caught.value)
    assert repr(name[:40]) in str(caught.value)


def test_what_is_not_json_is_not_sent() -> None:
    with pytest.raises(MessageError, match="not JSON serializable"):
        Chunker(shape=ANY_DOCUMENT).encode({"a": object()}, "m1")


@pytest.mark.parametrize("codec", ["text", "binary"])
def test_a_message_that_is_too_long_is_not_sent(codec: Any) -> None:
    size = Chunker(codec=codec).encode(HELLO, "m1").size
    Chunker(codec=codec, limits=Limits(message_bytes=size)).encode(HELLO, "m1")
    with pytest.raises(MessageError, match=f"'m1' has {size} bytes; at most {size - 1}"):
        Chunker(codec=codec, limits=Limits(message_bytes=size - 1)).encode(HELLO, "m1")


def test_a_text_message_of_too_many_fragments_is_not_sent() -> None:
    assert Chunker(10, limits=Limits(fragments=5)).encode(HELLO, "m1").count == 5
    with pytest.raises(MessageError, match="more than 4 fragments; make fragment_bytes larger"):
        Chunker(10, limits=Limits(fragments=4)).encode(HELLO, "m1")
    binary = Chunker(10, codec="binary", limits=Limits(fragments=4)).encode(HELLO, "m1")
    assert binary.count == 6


def test_a_chunker_that_cannot_work_is_refused() -> None:
    assert Chunker(4).fragment_bytes == 4
    with pytest.raises(UsageError, match="fragment_bytes is 3; give 4 or more"):
        Chunker(3)
    with pytest.raises(UsageError, match='codec is \'zip\'; give "text" or "binary"'):
        Chunker(codec="zip")  # type: ignore[arg-type]  # what is tested


def test_a_chunker_has_a_default_for_everything() -> None:
    chunker = Chunker()
    assert (chunker.fragment_bytes, chunker.codec) == (262_144, "text")
    assert chunker.limits == Limits()


def test_the_message_that_was_given_is_left_alone() -> None:
    message = with_files(b"cat")
    codecs: list[Any] = ["text", "binary"]
    for codec in codecs:
        list(Chunker(codec=codec).split(message, "m1"))
    assert message == with_files(b"cat")


@given(st.binary(max_size=200), st.sampled_from([b"", b"\xb1", b"\xb1\x00\x00\x02", b"{"]))
def test_only_fragment_errors_leave_feed_for_bytes(data: bytes, head: bytes) -> None:
    _feed(head + data)


@given(st.text(max_size=200), st.sampled_from(["", '{"messageId":"m","index":0,"total":1,"data":']))
def test_only_fragment_errors_leave_feed_for_text(data: str, head: str) -> None:
    _feed(head + data)


@given(documents(), CODECS, st.integers(4, 64), st.data())
def test_only_fragment_errors_leave_feed_for_damaged_frames(
    message: Message, codec: str, size: int, data: st.DataObject
) -> None:
    reassembler = reader(limits=Limits(pending=2, held_bytes=1200, message_bytes=900))
    for frame in frames_of(message, size, codec):
        damaged = bytearray(frame)
        for _ in range(data.draw(st.integers(0, 2))):
            damaged[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
        with suppress(FragmentError):
            reassembler.feed(damaged, 0.0)
        assert 0 <= reassembler.held_bytes <= 1200


@given(st.binary(min_size=1, max_size=60), st.integers(0, 10**6))
def test_a_damaged_attachment_never_passes(content: bytes, at: int) -> None:
    (frame,) = Chunker(codec="binary").split(with_files(content), "m1")
    start = frame.index(content + zlib.crc32(frame[14:-4]).to_bytes(4, "big"))
    damaged = bytearray(frame)
    damaged[start + at % len(content)] ^= 1
    with pytest.raises(FragmentError, match="CRC-32"):
        Reassembler().feed(damaged, 0.0)


def _feed(frame: bytes | str) -> None:
    for reassembler in (Reassembler(), reader()):
        with suppress(FragmentError):
            reassembler.feed(frame, 0.0)
