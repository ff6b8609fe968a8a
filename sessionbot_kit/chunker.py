"""Chunker and Reassembler: messages of any size as frames of a bounded one, and back.

    message = {"to": "a", "from": "b", "text": "hi", "attachments": []}
    reassembler = Reassembler()
    for frame in Chunker(fragment_bytes=262_144).split(message, message_id="m1"):
        whole = reassembler.feed(frame, now=0.0)      # the message with the last frame, else None

Frames may come in any order, twice, and mixed with those of other messages; the reader knows
either codec by its first byte. The one rule to remember: give every message an id of its own,
because an id that is finished or refused is remembered, and what comes late for it is ignored.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from sessionbot_kit.binary_codec import BinaryPayload, BufferFactory
from sessionbot_kit.errors import FragmentError, MessageError, UsageError
from sessionbot_kit.fragments import Frame, checked_id
from sessionbot_kit.full_message import (
    ANY_DOCUMENT,
    FULL_MESSAGE,
    Document,
    FullMessage,
    Shape,
    attachments_of,
)
from sessionbot_kit.limits import Limits
from sessionbot_kit.reassembler import Counts, Reassembler
from sessionbot_kit.text_codec import TextPayload

__all__ = [
    "ANY_DOCUMENT",
    "FULL_MESSAGE",
    "BufferFactory",
    "Chunker",
    "Counts",
    "Document",
    "FragmentError",
    "Frame",
    "FullMessage",
    "Limits",
    "Payload",
    "Reassembler",
    "Shape",
]

Payload = TextPayload | BinaryPayload
Codec = Literal["text", "binary"]

LEAST_FRAGMENT_BYTES = 4  # the longest code point


class Chunker:
    """Cuts messages into frames; `shape` says what a message must look like."""

    def __init__(
        self,
        fragment_bytes: int = 262_144,
        *,
        codec: Codec = "text",
        shape: Shape = FULL_MESSAGE,
        limits: Limits | None = None,
    ) -> None:
        if fragment_bytes < LEAST_FRAGMENT_BYTES:
            raise UsageError(
                f"fragment_bytes is {fragment_bytes}; give {LEAST_FRAGMENT_BYTES} or more"
            )
        if codec not in ("text", "binary"):
            raise UsageError(f'codec is {codec!r}; give "text" or "binary"')
        self.fragment_bytes = fragment_bytes
        self.codec = codec
        self.shape = shape
        self.limits = limits or Limits()

    def split(
        self, message: Mapping[str, Any], message_id: str, *, start: int = 0
    ) -> Iterator[bytes]:
        """The frames of a message, made one by one; `start` is where a reader has got to."""
        return self.encode(message, message_id).fragments(start)

    def encode(self, message: Mapping[str, Any], message_id: str) -> Payload:
        """Lay a message out, to be cut when there is time for it; `split` is this and `fragments`.

        The content of an attachment is bytes, an open file, or base64 text.
        """
        try:
            checked_id(message_id)
            document = self.shape.check(dict(message))
            attachments_of(document, self.limits)
            payload = self._payload(document, message_id)
        except (ValueError, TypeError, FragmentError) as error:
            raise MessageError(f"message {message_id[:40]!r} cannot be sent: {error}") from error
        if payload.size > self.limits.message_bytes:
            raise MessageError(
                f"message {message_id!r} has {payload.size:,} bytes; at most "
                f"{self.limits.message_bytes:,} may be sent. Send less, or a link to it"
            )
        if self.codec == "text" and payload.size > self.fragment_bytes * self.limits.fragments:
            raise MessageError(
                f"message {message_id!r} of {payload.size:,} bytes has more than "
                f"{self.limits.fragments:,} fragments; make fragment_bytes larger than "
                f"{self.fragment_bytes:,}"
            )
        return payload

    def _payload(self, document: Document, message_id: str) -> Payload:
        if self.codec == "text":
            return TextPayload(document, message_id, self.fragment_bytes)
        return BinaryPayload(document, message_id, self.fragment_bytes)
