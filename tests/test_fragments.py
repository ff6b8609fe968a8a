"""Frames of both codecs: written as the protocol says, read strictly."""

import json
import struct
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.errors import FragmentError
from sessionbot_kit.fragments import (
    Chunk,
    Fragment,
    binary_frame,
    checked_id,
    read_fragment,
    text_frame,
    usable_id,
)
from sessionbot_kit.limits import Limits
from tests.bad_frames import Case, Wait, load, text_fragment

LIMITS = Limits()
JSON_TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40)
NAMES = st.text(min_size=1, max_size=20).filter(usable_id)


def test_a_text_frame_has_the_four_fields_and_no_space() -> None:
    assert text_frame(b'"m1"', 1, 3, [b'{\\"a\\":', b'\\"\\\\n\\"}']) == (
        b'{"messageId":"m1","index":1,"total":3,"data":"{\\"a\\":\\"\\\\n\\"}"}'
    )


def test_a_binary_frame_has_a_fixed_header() -> None:
    frame = binary_frame(b"m1", 7, 300, [b"ab", memoryview(b"cd")])
    assert frame == bytes.fromhex("b1 00 0002 00000007 0000012c") + b"m1abcd"


@given(NAMES, st.integers(0, 99), st.integers(1, 9), JSON_TEXTS.filter(bool))
def test_text_frames_are_read_as_they_were_written(
    name: str, index: int, more: int, data: str
) -> None:
    quoted = json.dumps(name, ensure_ascii=False).encode()
    escaped = json.dumps(data, ensure_ascii=False)[1:-1].encode()
    frame = text_frame(quoted, index, index + more, [escaped])
    read = Fragment(name, index, index + more, data.encode(), False)
    assert read_fragment(frame, LIMITS) == read
    assert read_fragment(frame.decode(), LIMITS) == read
    assert json.loads(frame)["data"] == data


@given(NAMES, st.integers(0, 10**6), st.binary(min_size=1, max_size=40))
def test_binary_frames_are_read_as_they_were_written(name: str, offset: int, data: bytes) -> None:
    frame = binary_frame(name.encode(), offset, offset + 99, [data])
    read = Fragment(name, offset, offset + 99, data, True)
    assert read_fragment(frame, LIMITS) == read
    assert read_fragment(memoryview(frame), LIMITS) == read
    assert read_fragment(bytearray(frame), LIMITS) == read


@given(st.permutations(["messageId", "index", "total", "data"]), JSON_TEXTS, st.booleans())
def test_the_slow_way_reads_what_the_fast_way_reads(
    order: list[str], data: str, escaped: bool
) -> None:
    fields = {"messageId": "m1", "index": 1, "total": 2, "data": data}
    frame = json.dumps({key: fields[key] for key in order}, ensure_ascii=escaped)
    assert read_fragment(frame, LIMITS) == Fragment("m1", 1, 2, data.encode(), False)


def test_an_empty_frame_says_nothing() -> None:
    assert read_fragment("", LIMITS) is None
    assert read_fragment(b"", LIMITS) is None
    assert read_fragment(memoryview(b""), LIMITS) is None


@pytest.mark.parametrize("case", load("core"), ids=lambda case: case.name)
def test_no_frame_of_any_case_surprises(case: Case) -> None:
    for step in case.steps():
        if not isinstance(step, Wait):
            with suppress(FragmentError):
                assert isinstance(read_fragment(step, LIMITS), Fragment | None)


@pytest.mark.parametrize(
    ("frame", "code", "sentence"),
    [
        ("x", "not_json", "a frame is not JSON (Expecting value: line 1 column 1 (char 0)); "),
        (
            '{"messageId":"m","index":0,"index":0,"total":1,"data":""}',
            "not_json",
            "a frame is not JSON (a field is written twice); send one JSON object a frame",
        ),
        (
            '{"messageId":"m","index":NaN,"total":1,"data":""}',
            "not_json",
            "a frame is not JSON (NaN is not JSON); send one JSON object a frame",
        ),
        (
            text_fragment("m", 0, 1, "x")[:-1] + ',"' + "y" * 50 + '":1}',
            "bad_fields",
            f"the '{'y' * 40}' of a fragment is wrong (Extra inputs are not permitted); it has "
            "messageId, index, total and data, and nothing else",
        ),
        (
            text_fragment("m", 10**15 - 1, 5, "x"),
            "bad_index",
            "fragment 999,999,999,999,999 of message 'm' is not one of its 5; count from 0 to",
        ),
        (
            text_fragment("m", 10**15, 5, "x"),
            "bad_index",
            "fragment 10^15 or more of message 'm' is not one of its 5; count from 0 to total",
        ),
        ("[1]", "bad_fields", "the 'object' of a fragment is wrong (Input should be"),
        ('{"messageId":"m"}', "bad_fields", "the 'index' of a fragment is wrong (Field required)"),
        (text_fragment("m", -1, 1, "x"), "bad_index", "the 'index' of a fragment is wrong (Input"),
        (text_fragment("m", 0, 0, "x"), "bad_total", "the 'total' of a fragment is wrong (Input"),
        (text_fragment("", 0, 1, "x"), "bad_id", "the 'messageId' of a fragment is wrong (String"),
        (
            text_fragment("m", 5, 5, "x"),
            "bad_index",
            "fragment 5 of message 'm' is not one of its 5; count from 0 to total - 1",
        ),
        (
            text_fragment("m", 10**16, 5, "x"),
            "bad_index",
            "fragment 10^15 or more of message 'm' is not one of its 5; count from 0 to total - 1",
        ),
        (
            text_fragment("m", 0, 2049, "x"),
            "bad_total",
            "message 'm' has 2,049 fragments; at most 2,048 are accepted, so send larger ones",
        ),
        (
            text_fragment("m", 0, 2, ""),
            "empty_fragment",
            "fragment 0 of message 'm' is empty; only the last one may be",
        ),
        (
            text_fragment("m", 0, 1, "x" * 262_145),
            "fragment_too_long",
            "fragment 0 of message 'm' has 262,145 characters; at most 262,144 are accepted",
        ),
        (
            "x" * 1_048_577,
            "frame_too_long",
            "a frame has 1,048,577 bytes; at most 1,048,576 are accepted",
        ),
        (b"\xb1", "bad_header", "a binary frame has 1 bytes; its header has 12"),
        (
            b"\xb1\x03" + bytes(10),
            "bad_header",
            "a binary frame has the flags 0x03; this version knows none",
        ),
        (
            binary_frame(b"\xff", 0, 10, [b"x"]),
            "bad_id",
            "the message id of a binary frame is not UTF-8",
        ),
        (
            binary_frame(b"m", 0, 9, [b"x"]),
            "bad_total",
            "message 'm' has 9 bytes; 10 to 67,108,864 are accepted",
        ),
        (
            binary_frame(b"m", 0, 67_108_865, [b"x"]),
            "message_too_long",
            "message 'm' has 67,108,865 bytes; 10 to 67,108,864 are accepted",
        ),
        (
            binary_frame(b"m", 0, 10, []),
            "empty_fragment",
            "a fragment of message 'm' has 0 bytes of data; 1 to 262,144 are accepted",
        ),
        (
            binary_frame(b"m", 0, 300_000, [bytes(262_145)]),
            "fragment_too_long",
            "a fragment of message 'm' has 262,145 bytes of data; 1 to 262,144 are accepted",
        ),
        (
            binary_frame(b"m", 3, 10, [bytes(8)]),
            "bad_offset",
            "a fragment of message 'm' ends at 11, after the 10 bytes of the message",
        ),
    ],
)
def test_a_refusal_says_what_with_which_value(frame: Any, code: str, sentence: str) -> None:
    with pytest.raises(FragmentError) as caught:
        read_fragment(frame, LIMITS)
    assert caught.value.code == code
    assert str(caught.value).startswith(sentence)
    assert caught.value.fatal is (code == "frame_too_long")


@pytest.mark.parametrize(
    ("frame", "name"),
    [
        (text_fragment("m", -1, 1, "x"), "m"),
        (text_fragment("m", 2, 2, "x"), "m"),
        (text_fragment("m", 0, 9999, "x"), "m"),
        (text_fragment("m", 0, 2, ""), "m"),
        (text_fragment("m", 0, 1, "x" * 262_145), "m"),
        (text_fragment("a\nb", -1, 1, "x"), None),
        ('{"messageId":5,"index":-1}', None),
        ("[1]", None),
        ("x", None),
        (binary_frame(b"m", 0, 9, [b"x"]), "m"),
        (binary_frame(b"m", 0, 10, []), "m"),
        (binary_frame(b"m", 9, 10, [b"xx"]), "m"),
        (binary_frame(b"", 0, 10, [b"x"]), None),
    ],
)
def test_a_refusal_names_its_message_where_that_can_be_read(frame: Any, name: str | None) -> None:
    with pytest.raises(FragmentError) as caught:
        read_fragment(frame, LIMITS)
    assert caught.value.message_id == name


def test_limits_are_inclusive() -> None:
    limits = Limits(
        frame_bytes=62, fragment_chars=5, fragment_bytes=5, fragments=3, message_bytes=12
    )
    frame = text_frame(b'"m1"', 2, 3, [b"12345"])
    assert read_fragment(frame.ljust(62), limits) is not None
    assert read_fragment(binary_frame(b"m1", 7, 12, [b"12345"]), limits) is not None
    with pytest.raises(FragmentError, match="63 bytes"):
        read_fragment(frame.ljust(63), limits)
    with pytest.raises(FragmentError, match="6 characters"):
        read_fragment(text_frame(b'"m1"', 2, 3, [b"123456"]), limits)
    with pytest.raises(FragmentError, match="4 fragments"):
        read_fragment(text_frame(b'"m1"', 2, 4, [b"12345"]), limits)


def test_a_frame_is_measured_in_bytes_not_in_characters() -> None:
    with pytest.raises(FragmentError, match="a frame has 12 bytes"):
        read_fragment("é" * 6, Limits(frame_bytes=11))


def test_characters_are_counted_not_bytes_in_a_text_fragment() -> None:
    fragment = read_fragment(text_fragment("m", 0, 1, "é" * 5), Limits(fragment_chars=5))
    assert fragment is not None
    assert len(fragment.data) == 10


def test_half_a_surrogate_pair_is_read_from_a_str_and_from_an_escape() -> None:
    half = b"\xed\xa0\xbd"
    for frame in (
        '{"messageId":"m","index":0,"total":2,"data":"\ud83d"}',
        '{"messageId":"m","index":0,"total":2,"data":"\\ud83d"}',
        b'{"messageId":"m","index":0,"total":2,"data":"\\ud83d"}',
    ):
        assert read_fragment(frame, LIMITS) == Fragment("m", 0, 2, half, False)
    with pytest.raises(FragmentError, match="not JSON"):
        read_fragment(b'{"messageId":"m","index":0,"total":2,"data":"' + half + b'"}', LIMITS)


@pytest.mark.parametrize(
    ("name", "usable"),
    [("m", True), ("x" * 128, True), ("é 1", True), ("", False), ("x" * 129, False), ("\t", False)],
)
def test_an_id_is_1_to_128_printable_characters(name: str, usable: bool) -> None:
    assert usable_id(name) is usable
    if usable:
        assert checked_id(name) == name
    else:
        with pytest.raises(FragmentError, match="1 to 128 printable characters") as caught:
            checked_id(name)
        assert caught.value.code == "bad_id"
        assert repr(name[:40]) in str(caught.value)
        assert f"has {len(name)} characters" in str(caught.value)


def test_the_model_of_a_chunk_is_frozen_and_strict() -> None:
    chunk = Chunk(messageId="m", index=0, total=1, data="")
    assert chunk.model_config["frozen"]
    assert (chunk.messageId, chunk.index, chunk.total, chunk.data) == ("m", 0, 1, "")


def test_the_header_is_read_field_by_field() -> None:
    frame = struct.pack(">BBHII", 0xB1, 0, 3, 1, 11) + b"abc" + b"x" * 10
    assert read_fragment(frame, LIMITS) == Fragment("abc", 1, 11, b"x" * 10, True)
