"""The binary codec: one run of bytes, raw attachments, a digest at the end."""

import gc
import io
import json
import weakref
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.binary_codec import SMALL_PIECE, BinaryAssembly, BinaryPayload, Pieces
from sessionbot_kit.errors import FragmentError, UsageError
from sessionbot_kit.fragments import HEADER, Fragment
from sessionbot_kit.limits import LEAST_COST, Limits
from tests.chunked_messages import HELLO, Message, documents, with_files

LIMITS = Limits()


class Files(list[io.BytesIO]):
    """A buffer factory that remembers what it made."""

    def __call__(self) -> io.BytesIO:
        self.append(io.BytesIO())
        return self[-1]


def body_of(message: Any, size: int = 10**6) -> bytes:
    return b"".join(data for _, data in slices_of(message, size))


def slices_of(message: Any, size: int, start: int = 0) -> list[tuple[int, bytes]]:
    found = []
    for frame in BinaryPayload(message, "m1", size).fragments(start):
        _, _, length, offset, _ = HEADER.unpack_from(frame)
        found.append((offset, frame[HEADER.size + length :]))
    return found


def assembly(total: int, limits: Limits = LIMITS, spool: Any = None) -> BinaryAssembly:
    return BinaryAssembly(Fragment("m1", 0, total, b"", True), limits, spool)


def at(offset: int, data: bytes, total: int = 99) -> Fragment:
    return Fragment("m1", offset, total, data, True)


def whole(body: bytes, limits: Limits = LIMITS) -> Any:
    parts = assembly(len(body), limits)
    assert parts.add(at(0, body)) is True
    return parts.finish()


def test_the_bytes_of_a_message_are_as_documented() -> None:
    message = with_files(b"cat", "ZG9n")
    body = body_of(message)
    length = int.from_bytes(body[:4], "big")
    document = json.loads(body[4 : 4 + length])
    assert [file["content"] for file in document["attachments"]] == [3, 3]
    assert document["attachments"][0]["name"] == "f0.bin"
    assert body[4 + length : -4] == b"catdog"
    assert body[-4:] == zlib.crc32(body[:-4]).to_bytes(4, "big")


@given(documents(), st.integers(4, 64), st.data())
def test_slices_are_at_their_offsets_from_any_start(
    message: Any, size: int, data: st.DataObject
) -> None:
    body = body_of(message)
    start = data.draw(st.integers(0, len(body)))
    slices = slices_of(message, size, start)
    assert [offset for offset, _ in slices] == list(range(start, len(body), size))
    assert b"".join(each for _, each in slices) == body[start:]
    assert all(len(each) == size for _, each in slices[:-1])


def test_a_payload_counts_its_frames() -> None:
    payload = BinaryPayload(HELLO, "m1", 20)
    assert payload.message_id == "m1"
    assert HEADER.unpack_from(next(payload.fragments()))[3] == 0
    assert payload.size == payload.end == len(body_of(HELLO)) == 58
    assert payload.count == len(list(payload.fragments())) == 3
    assert BinaryPayload(HELLO, "m1", 29).count == 2
    assert BinaryPayload(HELLO, "m1", 28).count == 3
    with pytest.raises(
        UsageError, match="message 'm1' cannot be sent from position 59; it goes from 0 to 58"
    ):
        payload.fragments(59)


def test_the_digest_is_right_after_any_detour() -> None:
    payload = BinaryPayload(with_files(bytes(range(100))), "m1", 16)
    straight = list(payload.fragments())
    again = BinaryPayload(with_files(bytes(range(100))), "m1", 16)
    list(again.fragments(32))
    assert list(again.fragments()) == straight
    assert next(payload.fragments(payload.end - 1))[-1:] == straight[-1][-1:]


def test_a_document_without_attachments_is_left_as_it_is() -> None:
    documents: list[Message] = [{"a": 1}, {"attachments": []}, {"attachments": None}]
    for document in documents:
        body = body_of(document)
        assert json.loads(body[4:-4]) == document
        assert whole(body) == document


def test_attachments_without_content_stay_without() -> None:
    message = {"attachments": [{"sha256": "x"}, {"content": b"cat"}, {"y": 1}]}
    assert whole(body_of(message)) == message


@given(documents(), st.lists(st.integers(1, 30), min_size=1), st.randoms(use_true_random=False))
def test_any_cut_in_any_order_gives_the_message(
    message: Any, sizes: list[int], random: Any
) -> None:
    body = body_of(message)
    cuts: list[tuple[int, bytes]] = []
    start = 0
    while start < len(body):
        stop = start + sizes[len(cuts) % len(sizes)]
        cuts.append((start, body[start:stop]))
        start = stop
    random.shuffle(cuts)
    parts = assembly(len(body))
    ends = [parts.add(at(offset, data)) for offset, data in cuts]
    assert ends == [False] * (len(ends) - 1) + [True]
    assert parts.finish() == message
    assert parts.held == len(body)


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(1, 90)), max_size=9))
def test_overlapping_slices_give_the_message(ranges: list[tuple[int, int]]) -> None:
    message = with_files(b"cat" * 9, b"dog" * 9)
    body = body_of(message)
    parts = assembly(len(body))
    for start, length in [*ranges, *((start, 50) for start in range(0, len(body), 50))]:
        fragment = at(start, body[start : start + length])
        if start < len(body) and not parts.has(fragment):
            parts.add(fragment)
            assert parts.held >= parts.progress
    assert parts.finish() == message


def test_what_is_early_is_parked_and_counted() -> None:
    body = body_of(HELLO)
    parts = assembly(len(body))
    assert parts.add(at(20, body[20:25])) is False
    assert (parts.progress, parts.held) == (0, LEAST_COST)
    assert parts.add(at(20, body[20:40])) is False
    assert (parts.progress, parts.held) == (0, LEAST_COST)
    assert parts.add(at(40, body[40:])) is False
    assert (parts.progress, parts.held) == (0, 2 * LEAST_COST)
    assert parts.add(at(0, body[:20])) is True
    assert (parts.progress, parts.held) == (58, 58)


def test_early_slices_count_their_bytes() -> None:
    parts = assembly(10_000)
    parts.add(at(5000, bytes(1000)))
    parts.add(at(5000, bytes(2000)))
    assert parts.held == 2000


def test_what_is_here_is_known_again() -> None:
    body = body_of(HELLO)
    parts = assembly(len(body))
    parts.add(at(0, body[:10]))
    parts.add(at(20, body[20:30]))
    assert parts.has(at(0, body[:10]))
    assert parts.has(at(5, body[5:10]))
    assert not parts.has(at(5, body[5:11]))
    assert parts.has(at(20, body[20:25]))
    assert parts.has(at(20, body[20:30]))
    assert not parts.has(at(20, body[20:31]))
    assert not parts.has(at(21, body[21:30]))


@pytest.mark.parametrize(
    ("spoil", "code", "sentence"),
    [
        (lambda b: b"\xff" + b[1:], "bad_length", "has a document of 4,278,190,130 bytes"),
        (lambda b: b"\0\0\0\x33" + b[4:], "bad_length", "has a document of 51 bytes"),
        (lambda b: b"\0\0\0\x31" + b[4:], "bad_message", "cannot be read (EOF"),
        (lambda b: b[:4] + b" " + b[5:], "bad_message", "cannot be read ("),
        (lambda b: b[:-1] + bytes([b[-1] ^ 1]), "bad_digest", "arrived damaged: its CRC-32 diff"),
        (lambda b: b.replace(b"hi", b"ho"), "bad_digest", "arrived damaged: its CRC-32 differs"),
    ],
)
def test_a_spoiled_message_is_refused(spoil: Any, code: str, sentence: str) -> None:
    body = spoil(body_of(HELLO))
    with pytest.raises(FragmentError) as caught:
        assembly(len(body)).add(at(0, body))
    assert (caught.value.code, caught.value.message_id) == (code, "m1")
    assert str(caught.value).startswith(f"message 'm1' of 58 bytes {sentence}")
    assert str(caught.value).endswith("; send it again as a new message")


@pytest.mark.parametrize(
    ("contents", "blob", "code", "sentence"),
    [
        ([3], b"ab", "bad_length", " bytes has parts of another size together; send"),
        ([1], b"ab", "bad_length", "has parts of another size together"),
        ([10**18], b"ab", "bad_length", "has parts of another size together"),
        ([-2, 4], b"ab", "bad_message", " bytes has attachments whose content is not a size; "),
        ([2.0], b"ab", "bad_message", "has attachments whose content is not a size"),
        ([True], b"a", "bad_message", "has attachments whose content is not a size"),
        (["YWI="], b"", "bad_message", "has attachments whose content is not a size"),
        ([0] * 65, b"", "bad_message", "cannot be read (65 attachments; at most 64 may come)"),
    ],
)
def test_declared_sizes_are_checked(contents: Any, blob: bytes, code: str, sentence: str) -> None:
    text = json.dumps({"attachments": [{"content": size} for size in contents]}).encode()
    body = len(text).to_bytes(4, "big") + text + blob + bytes(4)
    parts = assembly(len(body))
    with pytest.raises(FragmentError) as caught:
        parts.add(at(0, body[: 4 + len(text)]))
    assert caught.value.code == code
    assert sentence in str(caught.value)


def test_a_size_of_zero_is_an_empty_attachment() -> None:
    assert whole(body_of(with_files(b"", b"x", b""))) == with_files(b"", b"x", b"")


def test_too_many_values_are_refused() -> None:
    body = body_of({"a": [1] * 100})
    with pytest.raises(FragmentError, match="more than 20 values"):
        whole(body, Limits(values=20))


def test_large_attachments_go_to_the_buffer_factory() -> None:
    files = Files()

    message = with_files(b"x" * 10, b"y" * 11, b"z" * 30)
    body = body_of(message)
    parts = assembly(len(body), Limits(spool_bytes=10), files)
    for start in range(0, len(body), 7):
        parts.add(at(start, body[start : start + 7]))
    small, *large = (file["content"] for file in parts.finish()["attachments"])
    assert small == b"x" * 10
    assert large == files
    assert [file.read() for file in files] == [b"y" * 11, b"z" * 30]


def test_a_file_is_made_only_when_its_turn_has_come() -> None:
    made = Files()
    message = with_files(b"x" * 50, b"y" * 50)
    body = body_of(message)
    parts = assembly(len(body), Limits(spool_bytes=10), made)
    parts.add(at(0, body[:10]))
    assert made == []
    parts.add(at(10, body[10:-60]))
    assert len(made) == 1


def test_a_file_that_takes_a_little_at_a_time_gets_everything() -> None:
    class Slow(io.BytesIO):
        def write(self, data: Any) -> int:
            return super().write(bytes(data)[:3])

    body = body_of(with_files(b"0123456789" * 5))
    parts = assembly(len(body), Limits(spool_bytes=10), Slow)
    assert parts.add(at(0, body)) is True
    assert parts.finish()["attachments"][0]["content"].read() == b"0123456789" * 5


def test_files_of_a_message_that_is_dropped_are_closed() -> None:
    files = Files()
    body = body_of(with_files(b"x" * 20, b"small", b"y" * 20))
    parts = assembly(len(body), Limits(spool_bytes=10), files)
    parts.add(at(0, body[:-10]))
    parts.close()
    assert [file.closed for file in files] == [True, True]


def test_a_message_in_memory_is_dropped_without_ado() -> None:
    body = body_of(with_files(b"x" * 20, b"y" * 20))
    for stop in range(1, len(body)):
        parts = assembly(len(body))
        parts.add(at(0, body[:stop]))
        parts.close()


@given(st.lists(st.sampled_from([1, 7, SMALL_PIECE - 1, SMALL_PIECE, SMALL_PIECE + 1]), max_size=9))
def test_pieces_are_joined_in_order(lengths: list[int]) -> None:
    pieces, expected = Pieces(), b""
    for number, length in enumerate(lengths):
        data = bytes([number]) * length
        assert pieces.write(memoryview(data)) == length
        expected += data
    assert pieces.joined() == expected


def test_small_pieces_do_not_keep_their_frames() -> None:
    frame = bytearray(b"x" * 100)
    small, large = Pieces(), Pieces()
    small.write(memoryview(frame)[:50])
    frame.append(0)  # raises BufferError while somebody looks at it
    large.write(memoryview(bytes(SMALL_PIECE)))
    assert small.joined() == b"x" * 50


def test_an_assembly_is_gone_as_soon_as_nobody_holds_it() -> None:
    gc.disable()
    try:
        parts = assembly(58)
        gone = weakref.ref(parts)
        del parts
        assert gone() is None
    finally:
        gc.enable()
