"""What the link says of itself, in frames of its own; and whose a frame is that arrives.

    codec = ControlCodec(BINARY)
    for data in codec.frames(Leave("done")): ...         # each is one WebSocket frame
    codec.feed(data, now)                                # Leave("done")
    message_id_of(data, limits)                          # "$1": the link's own; "7": message 7

The one rule to remember: an id that begins with `$` is the link's, and no message has such an id.
"""

from collections.abc import Iterator
from typing import Literal

from sessionbot_kit import control as controls
from sessionbot_kit.chunker import ANY_DOCUMENT, Chunker, Limits, Reassembler
from sessionbot_kit.control import Control
from sessionbot_kit.fragments import HEADER, MAGIC, read_fragment
from sessionbot_kit.links.websocket.rules import BINARY, STEP_BYTES

CONTROL_LIMITS = Limits(
    message_bytes=256 * 1024,
    held_bytes=512 * 1024,
    pending=2,
    attachments=0,
    values=20_000,
    remembered=16,
)
_TEXT_HEAD = b'{"messageId":"'


def codec_of(subprotocol: str) -> Literal["text", "binary"]:
    return "binary" if subprotocol == BINARY else "text"


class ControlCodec:
    """Control values as frames of one connection."""

    def __init__(self, subprotocol: str) -> None:
        self._chunker = Chunker(STEP_BYTES, codec=codec_of(subprotocol), shape=ANY_DOCUMENT)
        self._reassembler = Reassembler(CONTROL_LIMITS, shape=ANY_DOCUMENT)
        self._count = 0

    def frames(self, control: Control) -> Iterator[bytes]:
        self._count += 1
        return self._chunker.split(controls.to_document(control), f"${self._count}")

    def feed(self, data: bytes, now: float) -> Control | None:
        document = self._reassembler.feed(data, now)
        return None if document is None else controls.from_document(document)


def message_id_of(data: bytes, limits: Limits) -> str:
    """Which message a frame belongs to, without reading the rest of it where that is easy."""
    if data and data[0] == MAGIC:
        stop = HEADER.size + (data[2] << 8) + data[3] if len(data) > 3 else 0
        return data[HEADER.size : stop].decode("utf-8", "replace")
    if data.startswith(_TEXT_HEAD) and (end := data.find(b'"', len(_TEXT_HEAD), 160)) > 0:
        return data[len(_TEXT_HEAD) : end].decode("utf-8", "replace")
    fragment = read_fragment(data, limits)
    return "" if fragment is None else fragment.message_id
