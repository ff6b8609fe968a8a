"""The binary codec: a message is one run of bytes, and attachments are raw in it.

    u32 length of the document | document | attachments, one after another | u32 CRC-32

The document is the message in JSON, where the content of an attachment is the number of its
bytes. The last four bytes are the CRC-32 of all before them. The one rule to remember: sizes are
declared, and only checked; a buffer grows by what has really arrived.
"""

import zlib
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import Any, BinaryIO

import orjson

from sessionbot_kit.errors import FragmentError
from sessionbot_kit.fragments import DIGEST_BYTES, LENGTH_BYTES, Fragment, binary_frame
from sessionbot_kit.full_message import Document, attachments_of, decode_base64, parse_json
from sessionbot_kit.layout import InMemory, Layout, Part, Piece, checked_start, raw_part
from sessionbot_kit.limits import Limits, held_cost

BufferFactory = Callable[[], BinaryIO]

# Below this many bytes, a piece is copied rather than kept with the frame around it.
SMALL_PIECE = 4096


class BinaryPayload:
    """A message in the binary codec; positions count bytes."""

    def __init__(self, document: Document, message_id: str, fragment_bytes: int) -> None:
        self.message_id = message_id
        self._id = message_id.encode()
        self._layout = Layout(_parts(document))
        self._fragment_bytes = fragment_bytes
        self._body = self._layout.size
        self._crc = 0
        self._summed = 0
        self.size = self._body + DIGEST_BYTES

    @property
    def count(self) -> int:
        return -(-self.size // self._fragment_bytes)

    @property
    def end(self) -> int:
        return self.size

    def fragments(self, start: int = 0) -> Iterator[bytes]:
        return self._frames(checked_start(start, self.size, self.message_id))

    def _frames(self, start: int) -> Iterator[bytes]:
        while start < self.size:
            stop = min(start + self._fragment_bytes, self.size)
            pieces = self._layout.pieces(start, min(stop, self._body))
            if start == self._summed:
                self._sum(pieces)
            if stop > self._body:
                pieces.append(self._digest()[max(start - self._body, 0) : stop - self._body])
            yield binary_frame(self._id, start, self.size, pieces)
            start = stop

    def _digest(self) -> bytes:
        # Sent in one go, everything has been summed by now; after a resume, catch up.
        while self._summed < self._body:
            stop = min(self._summed + self._fragment_bytes, self._body)
            self._sum(self._layout.pieces(self._summed, stop))
        return self._crc.to_bytes(DIGEST_BYTES, "big")

    def _sum(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            self._crc = zlib.crc32(piece, self._crc)
            self._summed += len(piece)


class Pieces:
    """A run of bytes that grows: large pieces stay as they came, small ones are put together."""

    def __init__(self) -> None:
        self._pieces: list[memoryview | bytearray] = []

    def write(self, piece: memoryview) -> int:
        if len(piece) >= SMALL_PIECE:
            self._pieces.append(piece)
        elif self._pieces and isinstance(self._pieces[-1], bytearray):
            self._pieces[-1] += piece
        else:
            self._pieces.append(bytearray(piece))
        return len(piece)

    def joined(self) -> bytes:
        return b"".join(self._pieces)


class BinaryAssembly:
    """The parts of a message, one after another; `progress` is the first byte that is missing."""

    binary = True

    def __init__(self, first: Fragment, limits: Limits, spool: BufferFactory | None) -> None:
        self.message_id = first.message_id
        self.total = first.total
        self.progress = 0
        self.held = 0
        self._limits = limits
        self._spool = spool
        self._parked: dict[int, bytes | memoryview] = {}
        self._early: list[int] = []  # a heap of the offsets of what is parked
        self._crc = 0
        self._document: Document = {}
        self._takers: list[Document] = []  # the attachments whose contents follow
        self._contents: list[bytes | BinaryIO] = []
        self._sink: Pieces | BinaryIO | None = None
        self._room = LENGTH_BYTES
        # A plain function: a bound method would tie a knot, and buffers would wait for the
        # collector.
        self._full: Callable[[BinaryAssembly, Any], bool] = BinaryAssembly._length_is_here

    def has(self, fragment: Fragment) -> bool:
        """Whether these bytes are here already."""
        start, length = fragment.position, len(fragment.data)
        return start + length <= self.progress or len(self._parked.get(start, b"")) >= length

    def add(self, fragment: Fragment) -> bool:
        """Take new bytes; True when nothing is missing any more."""
        if len(fragment.data) == self.total <= self._limits.spool_bytes:
            self._read(memoryview(fragment.data))
            return True
        if fragment.position > self.progress:
            self._park(fragment.position, fragment.data)
            return False
        self._append(fragment.position, fragment.data)
        while self._early and self._early[0] <= self.progress:
            start = heappop(self._early)
            data = self._parked.pop(start)
            self.held -= held_cost(data)
            self._append(start, data)
        return self.progress == self.total

    def finish(self) -> Document:
        """Put the attachments into the document and hand it over."""
        for attachment, content in zip(self._takers, self._contents, strict=True):
            attachment["content"] = content
        return self._document

    def close(self) -> None:
        """Close the files of a message that is not handed over."""
        for content in (*self._contents, self._sink):
            if content is not None and not isinstance(content, bytes | Pieces):
                content.close()

    def _park(self, start: int, data: bytes | memoryview) -> None:
        if start in self._parked:
            self.held -= held_cost(self._parked[start])
        else:
            heappush(self._early, start)
        self.held += held_cost(data)
        self._parked[start] = data

    def _read(self, view: memoryview) -> None:
        """The parts of a message that is here in one piece: nothing has to be gathered."""
        self.progress = self.held = self.total
        self._length_is_here(bytes(view[:LENGTH_BYTES]))
        start, stop = LENGTH_BYTES, LENGTH_BYTES + self._room
        self._document_is_here(bytes(view[start:stop]))
        for taker in self._takers:
            start, stop = stop, stop + taker["content"]
            self._contents.append(bytes(view[start:stop]))
        self._crc = zlib.crc32(view[:stop])
        self._digest_is_here(bytes(view[stop:]))

    def _append(self, start: int, data: bytes | memoryview) -> None:
        view = memoryview(data)[self.progress - start :]
        covered = max(self.total - DIGEST_BYTES - self.progress, 0)
        self._crc = zlib.crc32(view[:covered], self._crc)
        self.progress += len(view)
        self.held += len(view)
        more = len(view) > 0
        while more:
            piece, view = view[: self._room], view[self._room :]
            self._room -= len(piece)
            if self._sink is None and not self._room:
                more = self._full(self, bytes(piece))
            else:
                self._write(piece)
                more = not self._room and self._full(self, self._gathered())

    def _write(self, piece: memoryview) -> None:
        if self._sink is None:
            self._sink = Pieces()
        while piece:  # an unbuffered file may take less than it is given
            piece = piece[self._sink.write(piece) :]

    def _gathered(self) -> bytes | BinaryIO:
        sink, self._sink = self._sink, None
        if isinstance(sink, Pieces):
            return sink.joined()
        assert sink is not None
        sink.seek(0)
        return sink

    # The parts in their order: each says what comes next, and whether anything does.

    def _length_is_here(self, content: bytes) -> bool:
        length = int.from_bytes(content, "big")
        if length > self.total - LENGTH_BYTES - DIGEST_BYTES:
            raise self._wrong("bad_length", f"has a document of {length:,} bytes")
        return self._expect(length, BinaryAssembly._document_is_here)

    def _document_is_here(self, text: bytes) -> bool:
        try:
            document = parse_json(text, self._limits)
            attachments = attachments_of(document, self._limits)
        except ValueError as error:
            raise self._wrong("bad_message", f"cannot be read ({error})") from error
        takers = [attachment for attachment in attachments if "content" in attachment]
        sizes = [attachment["content"] for attachment in takers]
        if not all(type(size) is int and size >= 0 for size in sizes):
            raise self._wrong("bad_message", "has attachments whose content is not a size")
        parts = LENGTH_BYTES + len(text) + sum(sizes) + DIGEST_BYTES
        if parts != self.total:
            raise self._wrong("bad_length", "has parts of another size together")
        self._document, self._takers = document, takers
        return self._expect_content()

    def _content_is_here(self, content: bytes | BinaryIO) -> bool:
        self._contents.append(content)
        return self._expect_content()

    def _digest_is_here(self, content: bytes) -> bool:
        if int.from_bytes(content, "big") != self._crc:
            raise self._wrong("bad_digest", "arrived damaged: its CRC-32 differs")
        return False

    def _expect_content(self) -> bool:
        if len(self._contents) == len(self._takers):
            return self._expect(DIGEST_BYTES, BinaryAssembly._digest_is_here)
        size = self._takers[len(self._contents)]["content"]
        if self._spool is not None and size > self._limits.spool_bytes:
            self._sink = self._spool()
        return self._expect(size, BinaryAssembly._content_is_here)

    def _expect(self, size: int, full: "Callable[[BinaryAssembly, Any], bool]") -> bool:
        self._room, self._full = size, full
        return True

    def _wrong(self, code: str, what: str) -> FragmentError:
        return FragmentError(
            code,
            f"message {self.message_id!r} of {self.total:,} bytes {what}; send it again as a new "
            "message",
            message_id=self.message_id,
        )


def _parts(document: Document) -> list[Part]:
    blobs = []
    attachments = []
    for attachment in attachments_of(document):
        if "content" in attachment:
            content = attachment["content"]
            blob = raw_part(decode_base64(content) if isinstance(content, str) else content)
            blobs.append(blob)
            attachment = {**attachment, "content": blob.size}
        attachments.append(attachment)
    if attachments:
        document = {**document, "attachments": attachments}
    text = orjson.dumps(document)
    return [InMemory(len(text).to_bytes(LENGTH_BYTES, "big") + text), *blobs]
