"""Files: padded, locked, proven, opened."""

from base64 import b64decode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessionbot_kit.channels.session_messenger.attachments import (
    MAX_FILE_BYTES,
    Opener,
    Proof,
    Sealer,
    padded_size,
    sealed_size,
)
from sessionbot_kit.channels.session_messenger.content import Content
from sessionbot_kit.channels.session_messenger.protobuf import decode
from sessionbot_kit.errors import MessageError, RecordError

from .vectors import MESSAGES, load

MADE = [made for made in load("attachments.json") if "plain_len" in made]
UPLOADS = [made for made in load("attachments.json") if "file_server_id" in made]
KEY, IV = bytes(range(64)), bytes(16)


def seal(data: bytes, piece: int = 1 << 16) -> tuple[bytes, bytes]:
    sealer = Sealer(KEY, IV, len(data))
    out = [sealer.feed(data[at : at + piece]) for at in range(0, len(data), piece)]
    out.append(sealer.finish())
    return b"".join(out), sealer.digest


def unseal(upload: bytes, digest: bytes, size: int, *, key: bytes = KEY, piece: int = 999) -> bytes:
    pieces = [upload[at : at + piece] for at in range(0, len(upload), piece)]
    proof, opener = Proof(key, digest), Opener(key, size)
    for data in pieces:
        proof.feed(data)
    proof.check()
    out = b"".join(opener.feed(data) for data in pieces)
    opener.finish()
    return out


@pytest.mark.parametrize("made", MADE, ids=lambda made: str(made["plain_len"]))
def test_a_file_is_sealed_and_opened_like_that_of_another_client(made: dict[str, Any]) -> None:
    key, upload = bytes.fromhex(made["key_hex"]), b64decode(made["ciphertext_b64"])
    digest = bytes.fromhex(made["sha256_digest_hex"])
    plain = unseal(upload, digest, made["plain_len"], key=key)
    sealer = Sealer(key, bytes.fromhex(made["iv_hex"]), len(plain))
    assert sealer.feed(plain) + sealer.finish() == upload
    assert sealer.digest == digest
    assert (padded_size(len(plain)), sealed_size(len(plain))) == (made["padded_len"], len(upload))


@pytest.mark.parametrize("made", UPLOADS, ids=["attachment", "voice"])
def test_a_recorded_upload_is_opened_by_what_its_message_says(made: dict[str, Any]) -> None:
    name = {"1": "attachment", "2": "voice"}[made["file_server_id"]]
    sent = next(other for other in MESSAGES if other["name"] == name)
    message = decode(Content, b64decode(sent["content_b64"])).data
    assert message is not None
    pointer = message.attachments[0]
    assert pointer.key
    assert pointer.digest
    assert pointer.size
    upload = b64decode(made["uploaded_b64"])
    assert len(unseal(upload, pointer.digest, pointer.size, key=pointer.key)) == pointer.size


@given(st.binary(max_size=3_000), st.integers(1, 4_000), st.integers(1, 4_000))
def test_a_file_comes_back_whatever_the_pieces(data: bytes, out: int, back: int) -> None:
    upload, digest = seal(data, out)
    assert len(upload) == sealed_size(len(data))
    assert unseal(upload, digest, len(data), piece=back) == data


@given(st.integers(0, MAX_FILE_BYTES))
def test_padding_never_cuts_and_never_passes_the_limit(size: int) -> None:
    assert size <= padded_size(size) <= MAX_FILE_BYTES


@pytest.mark.parametrize(
    ("size", "padded"), [(0, 541), (5_746_274, 5_746_274), (10_000_000, 10_000_000)]
)
def test_padding_at_the_ends_of_its_range(size: int, padded: int) -> None:
    assert padded_size(size) == padded


def test_a_file_beyond_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(MessageError, match="10,000,000 can be sent"):
        Sealer(KEY, IV, MAX_FILE_BYTES + 1)


@settings(max_examples=50)
@given(st.data())
def test_an_upload_with_any_byte_changed_is_not_opened(data: Any) -> None:
    upload, digest = seal(b"secret")
    at = data.draw(st.integers(0, len(upload) - 1))
    changed = upload[:at] + bytes((upload[at] ^ 1,)) + upload[at + 1 :]
    with pytest.raises(RecordError, match="its digest differs"):
        unseal(changed, digest, 6)


def test_an_upload_with_the_right_digest_and_a_wrong_key_is_not_opened() -> None:
    upload, digest = seal(b"secret")
    with pytest.raises(RecordError, match="its digest differs"):
        unseal(upload, digest, 6, key=bytes(64))


@given(st.binary(max_size=100))
def test_rubbish_is_no_upload(upload: bytes) -> None:
    with pytest.raises(RecordError):
        unseal(upload, bytes(32), 5)


def test_a_file_shorter_than_its_sender_says_is_refused() -> None:
    upload, digest = seal(b"short")
    with pytest.raises(RecordError, match="72 bytes shorter than its sender says"):
        unseal(upload, digest, 616)


@pytest.mark.parametrize("upload", [b"", bytes(15), bytes(40), bytes(16 + 32 + 5)])
def test_an_upload_cut_short_is_refused(upload: bytes) -> None:
    opener = Opener(KEY, 1)
    opener.feed(upload)
    with pytest.raises(RecordError, match="cannot be opened"):
        opener.finish()


def test_a_file_that_grew_while_it_was_read_is_refused() -> None:
    with pytest.raises(MessageError, match="1 bytes longer"):
        Sealer(KEY, IV, 3).feed(b"four")


def test_a_file_that_shrank_while_it_was_read_is_refused() -> None:
    with pytest.raises(MessageError, match="3 bytes shorter"):
        Sealer(KEY, IV, 3).finish()


@pytest.mark.parametrize("size", [0, 32, 63, 65])
def test_a_key_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(RecordError, match="only keys of 64"):
        Opener(bytes(size), 1)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_file_without_a_digest_is_not_fetched(size: int) -> None:
    with pytest.raises(RecordError, match="not fetched"):
        Proof(KEY, bytes(size))
