"""From a Content to a record in somebody's swarm, and back.

    Content -> pad -> sign -> seal -> envelope -> record

    record = pack(content, sender=bot, recipient=friend, timestamp=now_ms)
    opened = unpack(record, owner=friend_identity)
    opened.sender                   # proven by its signature; nothing else may be believed

The signature covers the padded content and both keys, so a record cannot be passed on to another
person as if it were meant for him. One rule to remember: **who wrote it is what the signature
says, and when he wrote it is what stands inside**. The envelope's own source and time are written
by whoever handles it.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from nacl import bindings
from nacl.exceptions import CryptoError

from sessionbot_kit.channels.session_messenger.content import (
    REQUEST,
    SESSION_MESSAGE,
    Content,
    Envelope,
    Record,
    RecordRequest,
)
from sessionbot_kit.channels.session_messenger.identity import (
    KEY_BYTES,
    SIGNATURE_BYTES,
    Identity,
    id_of,
    key_of,
    verify,
)
from sessionbot_kit.channels.session_messenger.protobuf import decode, encode
from sessionbot_kit.errors import MessageError, RecordError

MAX_RECORD_BYTES = 76_800
MAX_CONTENT_BYTES = 76_478  # the longest content whose record still fits

_BLOCK = 160
_NONCE_BYTES = 24
_END_OF_CONTENT = 0x80


@dataclass(frozen=True, slots=True)
class Opened:
    """A record that was opened and whose signature holds.

    `fingerprint` is the same for every copy of what was signed, whatever envelope it comes in.
    `envelope_time` is only what the envelope claims.
    """

    sender: str
    content: Content
    envelope_time: int
    fingerprint: bytes = field(repr=False)


def pack(
    content: Content,
    *,
    sender: Identity,
    recipient: str,
    timestamp: int,
    random: Callable[[int], bytes] = os.urandom,
) -> bytes:
    """Make the record that only `recipient` can open."""
    plain = encode(content)
    if len(plain) > MAX_CONTENT_BYTES:
        raise MessageError(
            f"a message of {len(plain):,} bytes fits no record; "
            f"{MAX_CONTENT_BYTES:,} do. Split it, or send it as a file"
        )
    sealed = seal(sign(pad(plain), sender, recipient), recipient, random(KEY_BYTES))
    return wrap(sealed, timestamp)


def unpack(record: bytes, owner: Identity) -> Opened:
    """Open a record and check who wrote it; RecordError says what is wrong with it."""
    envelope = unwrap(record)
    assert envelope.content is not None
    padded, sender, signature = check(owner.unseal(envelope.content), owner)
    return Opened(
        sender=sender,
        content=decode(Content, unpad(padded)),
        envelope_time=envelope.timestamp or 0,
        fingerprint=hashlib.blake2b(signature, digest_size=16).digest(),
    )


def pad(content: bytes) -> bytes:
    """Hide the length of a content in steps of 160 bytes."""
    total = _BLOCK * ((len(content) + 2 + _BLOCK - 1) // _BLOCK) - 1
    return (content + bytes((_END_OF_CONTENT,))).ljust(total, b"\0")


def unpad(padded: bytes) -> bytes:
    """The content without its padding; without the mark of its end it is taken as it is."""
    bare = padded.rstrip(b"\0")
    return bare[:-1] if bare and bare[-1] == _END_OF_CONTENT else padded


def sign(padded: bytes, sender: Identity, recipient: str) -> bytes:
    """The padded content, the sender's key, and the signature over both and the recipient's."""
    body = padded + sender.ed25519
    return body + sender.sign(body + key_of(recipient))


def check(signed: bytes, owner: Identity) -> tuple[bytes, str, bytes]:
    """Take apart what `sign` put together: content, sender and signature, if it is genuine."""
    if len(signed) <= KEY_BYTES + SIGNATURE_BYTES:
        raise RecordError(
            f"{len(signed)} bytes hold no key and signature; the record was not made by a client"
        )
    body, signature = signed[:-SIGNATURE_BYTES], signed[-SIGNATURE_BYTES:]
    padded, ed25519 = body[:-KEY_BYTES], body[-KEY_BYTES:]
    if not verify(signature, body + owner.x25519, ed25519):
        raise RecordError(
            f"the signature of {ed25519.hex()[:16]}... does not hold; "
            "the record is forged or was meant for somebody else"
        )
    return padded, id_of(ed25519), signature


def seal(signed: bytes, recipient: str, ephemeral_key: bytes) -> bytes:
    """Lock bytes for `recipient` with a key that is used once and forgotten."""
    public = bindings.crypto_scalarmult_base(ephemeral_key)
    key = key_of(recipient)
    nonce = hashlib.blake2b(public + key, digest_size=_NONCE_BYTES).digest()
    try:
        return public + bindings.crypto_box(signed, nonce, key, ephemeral_key)
    except CryptoError as error:
        raise MessageError(
            f"nothing can be sealed for {recipient}; nobody has this Session ID, check it"
        ) from error


def wrap(sealed: bytes, timestamp: int) -> bytes:
    """Put a sealed message into an envelope, and the envelope into a record."""
    # A private message has an empty source, and the official clients leave it away.
    body = encode(Envelope(type=SESSION_MESSAGE, timestamp=timestamp, content=sealed))
    request = RecordRequest(verb="PUT", path="/api/v1/message", body=body, id=0)
    return encode(Record(type=REQUEST, request=request))


def unwrap(record: bytes) -> Envelope:
    """The envelope in a record; it has a content, and it claims to be a private message."""
    if len(record) > MAX_RECORD_BYTES:
        raise RecordError(
            f"a record has {len(record):,} bytes; a swarm keeps {MAX_RECORD_BYTES:,} at most"
        )
    outer = decode(Record, record)
    if outer.type != REQUEST or outer.request is None or not outer.request.body:
        raise RecordError(
            f"a record of type {outer.type} carries no envelope; it is not for a messenger"
        )
    envelope = decode(Envelope, outer.request.body)
    if envelope.type != SESSION_MESSAGE:
        raise RecordError(
            f"an envelope of type {envelope.type} is no private message; only those are read"
        )
    if not envelope.content:
        raise RecordError("an envelope is empty; it was not made by a client")
    return envelope
