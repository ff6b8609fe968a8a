"""The codec: both ways, and against strangers."""

from base64 import b64decode
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.channels.session_messenger.content import (
    AttachmentPointer,
    Content,
    DataMessage,
    Envelope,
    Profile,
    Quote,
    QuotedAttachment,
    Reaction,
    Receipt,
    Record,
    Typing,
    Unsend,
)
from sessionbot_kit.channels.session_messenger.protobuf import Limits, decode, encode
from sessionbot_kit.errors import MessageError, RecordError

from .vectors import MESSAGES, name_of

numbers = st.integers(0, 2**64 - 1) | st.none()
small = st.integers(0, 2**32 - 1) | st.none()
words = st.text(max_size=40) | st.none()
octets = st.binary(max_size=40) | st.none()
pointers = st.builds(
    AttachmentPointer, id=numbers, content_type=words, key=octets, size=small, url=words
)
quoted = st.builds(QuotedAttachment, content_type=words, thumbnail=pointers | st.none())
contents = st.builds(
    Content,
    data=st.none()
    | st.builds(
        DataMessage,
        body=words,
        attachments=st.lists(pointers, max_size=3).map(tuple),
        timestamp=numbers,
        quote=st.none() | st.builds(Quote, id=numbers, attachments=st.tuples(quoted)),
        reaction=st.none() | st.builds(Reaction, id=numbers, emoji=words, action=small),
        profile=st.none() | st.builds(Profile, display_name=words),
    ),
    receipt=st.none()
    | st.builds(Receipt, type=small, timestamps=st.lists(numbers.filter(bool)).map(tuple)),
    typing=st.none() | st.builds(Typing, timestamp=numbers, action=small),
    unsend=st.none() | st.builds(Unsend, timestamp=numbers, author=words),
    sig_timestamp=numbers,
)


@pytest.mark.parametrize("made", MESSAGES, ids=name_of)
def test_what_another_client_wrote_is_read_and_written_byte_for_byte(made: dict[str, Any]) -> None:
    data = b64decode(made["content_b64"])
    assert encode(decode(Content, data)) == data


def test_a_recorded_quote_is_read_field_by_field() -> None:
    data = next(b64decode(made["content_b64"]) for made in MESSAGES if "quote" in made["name"])
    message = decode(Content, data).data
    assert message is not None
    assert message.body == "quoted reply"
    assert message.quote is not None
    assert (message.quote.id, message.quote.text) == (1767225600000, "orig")
    assert message.quote.attachments[0].file_name == "a.png"


@given(contents)
def test_everything_that_can_be_said_comes_back_the_same(content: Content) -> None:
    assert decode(Content, encode(content)) == content


@given(st.binary(max_size=400), st.sampled_from([Content, Envelope, Record, Receipt]))
def test_any_bytes_are_a_message_or_a_record_error(data: bytes, kind: Any) -> None:
    with suppress(RecordError):
        assert isinstance(decode(kind, data), kind)


@given(contents, st.data())
def test_a_message_cut_anywhere_is_read_in_part_or_refused(content: Content, data: Any) -> None:
    whole = encode(content)
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    with suppress(RecordError):
        assert isinstance(decode(Content, cut), Content)


def test_zero_is_written_and_nothing_is_not() -> None:
    assert encode(Typing(timestamp=1, action=0)) == b"\x08\x01\x10\x00"
    assert encode(Typing()) == b""


def test_numbers_are_read_packed_and_one_by_one() -> None:
    assert decode(Receipt, b"\x08\x01\x10\x05\x10\x06").timestamps == (5, 6)
    assert decode(Receipt, b"\x08\x01\x12\x02\x05\x06").timestamps == (5, 6)


def test_a_message_in_two_halves_is_one_message() -> None:
    first = encode(Content(typing=Typing(timestamp=7)))
    second = encode(Content(typing=Typing(action=1)))
    assert decode(Content, first + second).typing == Typing(timestamp=7, action=1)


def test_the_last_of_two_values_counts() -> None:
    assert decode(Typing, b"\x08\x01\x08\x02").timestamp == 2


def test_fields_of_newer_clients_are_passed_over() -> None:
    newer = b"\x82\x01\x03pro" + b"\xfd\x01\x00\x00\x00\x00" + b"\x89\x02" + bytes(8)
    assert decode(Content, newer + encode(Content(sig_timestamp=3))) == Content(sig_timestamp=3)


def test_a_known_field_of_another_wire_type_is_passed_over() -> None:
    assert decode(Profile, b"\x08\x05") == Profile()


def test_text_that_is_not_utf_8_is_read_as_text_all_the_same() -> None:
    assert decode(DataMessage, b"\x0a\x04ab\xff\xfe").body == "ab��"


def test_half_a_surrogate_pair_can_be_written() -> None:
    assert encode(DataMessage(body="a\ud83d")) == b"\x0a\x02a?"


@pytest.mark.parametrize("value", [-1, 2**64])
@pytest.mark.parametrize("message", [Typing, AttachmentPointer])
def test_a_number_that_does_not_fit_is_refused_when_it_is_written(value: int, message: Any) -> None:
    made = Typing(timestamp=value) if message is Typing else AttachmentPointer(id=value)
    with pytest.raises(MessageError, match="does not fit"):
        encode(made)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x08", "does not end"),
        (b"\x08" + b"\xff" * 11, "does not end"),
        (b"\x0a\x05abc", "is cut"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "is cut"),
        (b"\x09abc", "is cut"),
        (b"\x0dab", "is cut"),
        (b"\x0b\x0c", "wire type 3"),
        (b"\x00\x00", "number 0"),
        (b"\x12\x01\xff", "does not end"),
    ],
)
def test_bytes_that_are_no_message_are_refused_with_a_sentence(data: bytes, why: str) -> None:
    with pytest.raises(RecordError, match=why):
        decode(Receipt, data)


@pytest.mark.parametrize("many", [b"\x10\x01" * 300, b"\x12\xac\x02" + b"\x01" * 300])
def test_a_field_that_comes_too_often_is_refused(many: bytes) -> None:
    with pytest.raises(RecordError, match="more than 256 times"):
        decode(Receipt, many)


def test_a_message_that_is_too_long_is_not_read() -> None:
    with pytest.raises(RecordError, match="at most 4"):
        decode(Typing, b"\x08\x01" * 3, Limits(data_bytes=4))
