"""Sealing, signing, opening; and everybody who would like to be somebody else."""

from base64 import b64decode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.channels.session_messenger import envelope
from sessionbot_kit.channels.session_messenger.content import (
    Content,
    DataMessage,
    Envelope,
    Record,
    RecordRequest,
    Typing,
)
from sessionbot_kit.channels.session_messenger.identity import Identity
from sessionbot_kit.channels.session_messenger.protobuf import decode, encode
from sessionbot_kit.errors import MessageError, RecordError

from .vectors import KEYS, MESSAGES, load, name_of, recorded

SEAL = load("deterministic_seal.json")
PEOPLE = {keys["session_id"]: Identity.from_phrase(keys["mnemonic"]) for keys in KEYS[:2]}
HELLO = Content(data=DataMessage(body="Hello", timestamp=1), sig_timestamp=1)


@pytest.mark.parametrize("made", load("padding.json"), ids=lambda made: str(made["content_len"]))
def test_padding_is_that_of_the_other_clients(made: dict[str, Any]) -> None:
    padded = envelope.pad(b"A" * made["content_len"])
    assert len(padded) == made["padded_len"]
    assert padded[-16:].hex() == made["padded_hex_tail16"]


@pytest.mark.parametrize("made", MESSAGES, ids=name_of)
def test_a_recorded_message_opens_and_says_who_wrote_it(made: dict[str, Any]) -> None:
    opened = envelope.unpack(b64decode(made["data_b64"]), PEOPLE[made["destination"]])
    assert opened.sender == KEYS[0]["session_id"]
    assert encode(opened.content) == b64decode(made["content_b64"])
    assert opened.envelope_time == made["timestamp"]


@pytest.mark.parametrize("made", MESSAGES, ids=name_of)
def test_what_we_pad_and_sign_is_what_another_client_did(
    made: dict[str, Any], ada: Identity
) -> None:
    padded = envelope.pad(b64decode(made["content_b64"]))
    signed = envelope.sign(padded, ada, made["destination"])
    assert signed == b64decode(made["seal_opened_b64"])


@pytest.mark.parametrize("made", MESSAGES, ids=name_of)
def test_what_we_wrap_is_what_another_client_wrapped(made: dict[str, Any]) -> None:
    sealed = b64decode(made["envelope"]["sealed_b64"])
    assert envelope.wrap(sealed, made["timestamp"]) == b64decode(made["data_b64"])


def test_sealing_with_a_known_key_is_that_of_the_other_clients() -> None:
    recipient = "05" + SEAL["recipient_x25519_pk"]
    key = bytes.fromhex(SEAL["eph_sk"])
    sealed = envelope.seal(b64decode(SEAL["message_b64"]), recipient, key)
    assert sealed == b64decode(SEAL["sealed_b64"])


def test_a_whole_record_is_made_byte_for_byte(ada: Identity, bob: Identity) -> None:
    content = decode(Content, b64decode(SEAL["content_b64"]))
    record = envelope.pack(
        content,
        sender=ada,
        recipient=bob.session_id,
        timestamp=1767225600000,
        random=lambda size: bytes.fromhex(SEAL["eph_sk"]),
    )
    assert envelope.unwrap(record).content == b64decode(SEAL["sealed_b64"])
    assert encode(envelope.unwrap(record)) == b64decode(SEAL["envelope_b64"])


def test_what_is_packed_for_somebody_is_opened_by_him(ada: Identity, bob: Identity) -> None:
    record = envelope.pack(HELLO, sender=ada, recipient=bob.session_id, timestamp=5)
    opened = envelope.unpack(record, bob)
    assert (opened.sender, opened.content, opened.envelope_time) == (ada.session_id, HELLO, 5)


def test_two_records_of_one_message_differ(ada: Identity, bob: Identity) -> None:
    first = envelope.pack(HELLO, sender=ada, recipient=bob.session_id, timestamp=5)
    assert envelope.pack(HELLO, sender=ada, recipient=bob.session_id, timestamp=5) != first


@given(st.binary(max_size=1_000))
def test_padding_comes_off_again_whatever_is_inside(content: bytes) -> None:
    assert envelope.unpad(envelope.pad(content)) == content


@given(st.binary(max_size=400))
def test_any_padding_can_be_read(padded: bytes) -> None:
    assert padded.startswith(envelope.unpad(padded))


def test_content_without_padding_is_taken_as_it_is() -> None:
    assert envelope.unpad(b"no mark\0\0") == b"no mark\0\0"


@given(st.binary(max_size=600))
def test_any_bytes_are_refused_as_a_record(data: bytes) -> None:
    with pytest.raises(RecordError):
        envelope.unpack(data, PEOPLE[KEYS[1]["session_id"]])


@given(st.data())
def test_a_record_with_any_byte_changed_is_refused_or_means_the_same(data: Any) -> None:
    # Only bytes outside the seal can change without harm, and they change only the envelope.
    bob, record = PEOPLE[KEYS[1]["session_id"]], bytearray(recorded("text_ascii"))
    at = data.draw(st.integers(0, len(record) - 1))
    record[at] ^= data.draw(st.integers(1, 255))
    try:
        opened = envelope.unpack(bytes(record), bob)
    except RecordError:
        return
    whole = envelope.unpack(recorded("text_ascii"), bob)
    assert (opened.sender, opened.content) == (whole.sender, whole.content)
    assert opened.fingerprint == whole.fingerprint


@given(st.integers(0, 400))
def test_a_record_cut_short_is_refused(size: int) -> None:
    record = recorded("text_ascii")
    with pytest.raises(RecordError):
        envelope.unpack(record[: min(size, len(record) - 3)], PEOPLE[KEYS[1]["session_id"]])


def test_a_record_for_somebody_else_does_not_open(mallory: Identity) -> None:
    with pytest.raises(RecordError, match="meant for somebody else"):
        envelope.unpack(recorded("text_ascii"), mallory)


def test_a_message_passed_on_to_another_person_is_refused(
    ada: Identity, bob: Identity, mallory: Identity
) -> None:
    signed = envelope.sign(envelope.pad(encode(HELLO)), ada, mallory.session_id)
    passed_on = envelope.wrap(envelope.seal(signed, bob.session_id, bytes(32)), 1)
    with pytest.raises(RecordError, match="forged or was meant for somebody else"):
        envelope.unpack(passed_on, bob)


def test_a_signature_by_another_key_is_refused(
    ada: Identity, bob: Identity, mallory: Identity
) -> None:
    body = envelope.pad(encode(HELLO)) + ada.ed25519
    signed = body + mallory.sign(body + bob.x25519)
    with pytest.raises(RecordError, match="does not hold"):
        envelope.unpack(envelope.wrap(envelope.seal(signed, bob.session_id, bytes(32)), 1), bob)


def test_a_message_without_a_signature_is_refused(bob: Identity) -> None:
    record = envelope.wrap(envelope.seal(b"Hello", bob.session_id, bytes(32)), 1)
    with pytest.raises(RecordError, match="no key and signature"):
        envelope.unpack(record, bob)


def test_an_envelope_that_lies_about_its_sender_is_not_believed(
    ada: Identity, bob: Identity, mallory: Identity
) -> None:
    sealed = envelope.unwrap(
        envelope.pack(HELLO, sender=mallory, recipient=bob.session_id, timestamp=1)
    ).content
    lie = encode(Envelope(type=6, source=ada.session_id, timestamp=1, content=sealed))
    record = encode(Record(type=1, request=RecordRequest(body=lie)))
    assert envelope.unpack(record, bob).sender == mallory.session_id


def test_the_same_message_in_another_envelope_has_the_same_fingerprint(bob: Identity) -> None:
    record = recorded("text_ascii")
    sealed = envelope.unwrap(record).content
    assert sealed is not None
    again = envelope.unpack(envelope.wrap(sealed, 99), bob)
    assert again.fingerprint == envelope.unpack(record, bob).fingerprint
    assert again.envelope_time == 99


@pytest.mark.parametrize("type", [0, 7, None])
def test_an_envelope_of_another_kind_is_refused(type: int | None) -> None:
    body = encode(Envelope(type=type, timestamp=1, content=b"x"))
    with pytest.raises(RecordError, match="no private message"):
        envelope.unwrap(encode(Record(type=1, request=RecordRequest(body=body))))


@pytest.mark.parametrize(
    "record",
    [
        Record(),
        Record(type=2, request=RecordRequest(body=b"x")),
        Record(type=1, request=RecordRequest()),
    ],
)
def test_a_record_that_carries_no_envelope_is_refused(record: Record) -> None:
    with pytest.raises(RecordError, match="carries no envelope"):
        envelope.unwrap(encode(record))


def test_an_empty_envelope_is_refused() -> None:
    with pytest.raises(RecordError, match="is empty"):
        envelope.unwrap(envelope.wrap(b"", 1))


def test_a_record_that_is_too_long_is_not_looked_at(bob: Identity) -> None:
    with pytest.raises(RecordError, match="76,800 at most"):
        envelope.unpack(bytes(76_801), bob)


def test_the_longest_content_fits_a_record_and_one_byte_more_does_not(
    ada: Identity, bob: Identity
) -> None:
    def pack(size: int) -> bytes:
        content = Content(data=DataMessage(body="x" * size))
        return envelope.pack(content, sender=ada, recipient=bob.session_id, timestamp=2**41)

    body = envelope.MAX_CONTENT_BYTES - len(encode(Content(data=DataMessage(body="x" * 70_000))))
    body += 70_000
    assert len(pack(body)) <= envelope.MAX_RECORD_BYTES
    assert envelope.unpack(pack(body), bob).content.data == DataMessage(body="x" * body)
    with pytest.raises(MessageError, match="fits no record"):
        pack(body + 1)


def test_nothing_is_sealed_for_an_id_that_nobody_can_have(ada: Identity) -> None:
    with pytest.raises(MessageError, match="nobody has this Session ID"):
        envelope.pack(HELLO, sender=ada, recipient="05" + "0" * 64, timestamp=1)


def test_a_sealed_message_that_is_no_content_is_refused(ada: Identity, bob: Identity) -> None:
    signed = envelope.sign(envelope.pad(b"\x0b"), ada, bob.session_id)
    with pytest.raises(RecordError, match="wire type 3"):
        envelope.unpack(envelope.wrap(envelope.seal(signed, bob.session_id, bytes(32)), 1), bob)


def test_typing_is_opened_like_everything_else(ada: Identity, bob: Identity) -> None:
    content = Content(typing=Typing(timestamp=3, action=0))
    record = envelope.pack(content, sender=ada, recipient=bob.session_id, timestamp=3)
    assert envelope.unpack(record, bob).content == content
