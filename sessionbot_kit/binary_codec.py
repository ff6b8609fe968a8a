"""The binary codec: a message is one run of bytes, and attachments are raw in it.

    u32 length of the document | document | attachments, one after another | u32 CRC-32

The document is the message in JSON, where the content of an attachment is the number of its
bytes. The last four bytes are the CRC-32 of all before them. The one rule to remember: sizes are
declared, and only checked; a buffer grows by what has really arrived.
"""

import zlib
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from io import BytesIO
from typing import BinaryIO

import orjson

from sessionbot_kit.errors import FragmentError
from sessionbot_kit.fragments import DIGEST_BYTES, LENGTH_BYTES, Fragment, binary_frame
from sessionbot_kit.full_message import Document, attachments_of, decode_base64, parse_json
from sessionbot_kit.layout import InMemory, Layout, Part, Piece, checked_start, raw_part
from sessionbot_kit.limits import PARKED_COST, Limits

BufferFactory = Callable[[], BinaryIO]


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


class BinaryAssembly:
    """A growing buffer for each part of a message; `progress` is the first byte not here."""

    binary = True

    def __init__(self, first: Fragment, limits: Limits, spool: BufferFactory | None) -> None:
        self.message_id = first.message_id
        self.total = first.total
        self.progress = 0
        self.held = 0
        self._limits = limits
        self._spool = spool
        self._parked: dict[int, bytes] = {}
        self._early: list[int] = []  # a heap of the offsets of what is parked
        self._crc = 0
        self._document: Document = {}
        self._takers: list[Document] = []  # the attachments whose contents follow
        self._contents: list[bytes | BinaryIO] = []
        self._memory = BytesIO()
        self._sink: BinaryIO = self._memory  # or a spool file
        self._room = LENGTH_BYTES
        self._full: Callable[[], bool] = self._length_is_here

    def has(self, fragment: Fragment) -> bool:
        start, length = fragment.position, len(fragment.data)
        return start + length <= self.progress or len(self._parked.get(start, b"")) >= length

    def add(self, fragment: Fragment) -> bool:
        if fragment.position > self.progress:
            self._park(fragment.position, bytes(fragment.data))
            return False
        self._append(fragment.position, fragment.data)
        while self._early and self._early[0] <= self.progress:
            start = heappop(self._early)
            data = self._parked.pop(start)
            self.held -= len(data) + PARKED_COST
            self._append(start, data)
        return self.progress == self.total

    def finish(self) -> Document:
        for attachment, content in zip(self._takers, self._contents, strict=True):
            attachment["content"] = content
        return self._document

    def close(self) -> None:
        for content in (*self._contents, self._sink):
            if not isinstance(content, bytes):
                content.close()

    def _park(self, start: int, data: bytes) -> None:
        if start in self._parked:
            self.held -= len(self._parked[start])
        else:
            self.held += PARKED_COST
            heappush(self._early, start)
        self.held += len(data)
        self._parked[start] = data

    def _append(self, start: int, data: bytes | memoryview) -> None:
        view = memoryview(data)[self.progress - start :]
        if not view:
            return
        covered = max(self.total - DIGEST_BYTES - self.progress, 0)
        self._crc = zlib.crc32(view[:covered], self._crc)
        self.progress += len(view)
        self.held += len(view)
        more = True
        while more:
            taken = self._sink.write(view[: self._room])
            view = view[taken:]
            self._room -= taken
            more = len(view) > 0 if self._room else self._full()

    # What follows is the order of the parts; each step says whether another part begins.

    def _length_is_here(self) -> bool:
        length = int.from_bytes(self._gathered(), "big")
        if length > self.total - LENGTH_BYTES - DIGEST_BYTES:
            raise self._wrong("bad_length", f"has a document of {length:,} bytes")
        return self._expect(length, self._document_is_here)

    def _document_is_here(self) -> bool:
        text = self._gathered()
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
            raise self._wrong("bad_length", f"has parts of {parts:,} bytes together")
        self._document, self._takers = document, takers
        return self._expect_next()

    def _content_is_here(self) -> bool:
        if isinstance(self._sink, BytesIO):
            self._contents.append(self._gathered())
        else:
            self._sink.seek(0)
            self._contents.append(self._sink)
        return self._expect_next()

    def _digest_is_here(self) -> bool:
        if int.from_bytes(self._gathered(), "big") != self._crc:
            raise self._wrong("bad_digest", "arrived damaged: its CRC-32 differs")
        return False

    def _expect_next(self) -> bool:
        if len(self._contents) == len(self._takers):
            return self._expect(DIGEST_BYTES, self._digest_is_here)
        size = self._takers[len(self._contents)]["content"]
        self._expect(size, self._content_is_here)
        if self._spool is not None and size > self._limits.spool_bytes:
            self._sink = self._spool()
        return True

    def _expect(self, size: int, full: Callable[[], bool]) -> bool:
        self._room, self._full, self._memory = size, full, BytesIO()
        self._sink = self._memory
        return True

    def _gathered(self) -> bytes:
        return self._memory.getvalue()

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
        content = attachment.get("content")
        if content is not None:
            blob = raw_part(decode_base64(content) if isinstance(content, str) else content)
            blobs.append(blob)
            attachment = {**attachment, "content": blob.size}
        attachments.append(attachment)
    if attachments:
        document = {**document, "attachments": attachments}
    text = orjson.dumps(document)
    return [InMemory(len(text).to_bytes(LENGTH_BYTES, "big") + text), *blobs]
