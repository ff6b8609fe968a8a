"""A message laid out as one run of bytes, of which only the part that is asked for is made.

    layout = Layout([InMemory(b'{"content":"'), AsBase64(OnDisk(file)), InMemory(b'"}')])
    layout.read(65_536, 131_072)

JSON is in memory; an attachment stays where it is, in bytes or in an open file, until a frame
needs a piece of it. So a large message costs one frame of memory, and sending it stalls nobody.
The one rule to remember: an attachment must not change, or close, before its last frame has left.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from io import SEEK_END
from itertools import accumulate
from typing import BinaryIO, Protocol

import pybase64

from sessionbot_kit.errors import UsageError

Piece = bytes | memoryview
Content = bytes | bytearray | memoryview | BinaryIO


class Part(Protocol):
    """A run of bytes that knows its size and can be read anywhere."""

    @property
    def size(self) -> int: ...

    def read(self, start: int, stop: int) -> Piece: ...


class InMemory:
    """Bytes as they are."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._view = memoryview(data).cast("B")
        self.size = len(self._view)

    def read(self, start: int, stop: int) -> Piece:
        return self._view[start:stop]

    def escaped(self, start: int, stop: int) -> Piece:
        """As it stands inside a JSON string."""
        # JSON text has no control characters, so only these two need escapes.
        data = bytes(self._view[start:stop])
        return data.replace(b"\\", b"\\\\").replace(b'"', b'\\"')

    def boundary(self, at: int) -> int:
        """Where the code point begins that `at` is in."""
        # The bytes inside a code point, and no others, begin with the bits 10.
        while self._view[at] & 0xC0 == 0x80:
            at -= 1
        return at


class OnDisk:
    """An open file, read wherever it must be."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, SEEK_END)

    def read(self, start: int, stop: int) -> Piece:
        self._file.seek(start)
        data = self._file.read(stop - start)
        if len(data) != stop - start:
            raise UsageError(
                f"an attachment of {self.size:,} bytes ended at {start + len(data):,}; "
                "leave its file alone until the message has been sent"
            )
        return data


class AsBase64:
    """Another part, as the base64 text of its bytes."""

    def __init__(self, raw: Part) -> None:
        self._raw = raw
        self.size = (raw.size + 2) // 3 * 4

    def read(self, start: int, stop: int) -> Piece:
        raw = self._raw.read(start // 4 * 3, min((stop + 3) // 4 * 3, self._raw.size))
        skip = start % 4
        return memoryview(pybase64.b64encode(raw))[skip : skip + stop - start]

    escaped = read  # base64 has neither quotes nor backslashes

    def boundary(self, at: int) -> int:
        return at


class Layout:
    """Parts in a row, read as if they were one."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._ends = list(accumulate(part.size for part in parts))
        self.size = self._ends[-1]

    def pieces(self, start: int, stop: int) -> list[Piece]:
        """The bytes from `start` up to `stop`, as they lie."""
        return [self._parts[n].read(first, last) for n, first, last in self._spans(start, stop)]

    def read(self, start: int, stop: int) -> bytes:
        return b"".join(self.pieces(start, stop))

    def _spans(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        number = bisect_right(self._ends, start)
        while start < stop:
            end = self._ends[number]
            before = end - self._parts[number].size
            yield number, start - before, min(stop, end) - before
            start, number = end, number + 1


class TextLayout(Layout):
    """JSON text, with base64 in it that is made when it is needed."""

    def __init__(self, parts: Sequence[InMemory | AsBase64]) -> None:
        super().__init__(parts)
        self._texts = parts

    def escaped(self, start: int, stop: int) -> list[Piece]:
        """The pieces as they stand inside a JSON string."""
        return [self._texts[n].escaped(first, last) for n, first, last in self._spans(start, stop)]

    def boundary(self, at: int) -> int:
        """Where the code point begins that `at` is in; `at` is before the end."""
        number = bisect_right(self._ends, at)
        before = self._ends[number] - self._texts[number].size
        return before + self._texts[number].boundary(at - before)


def raw_part(content: Content) -> Part:
    if isinstance(content, bytes | bytearray | memoryview):
        return InMemory(content)
    return OnDisk(content)


def checked_start(start: int, end: int, message_id: str) -> int:
    if not 0 <= start <= end:
        raise UsageError(
            f"message {message_id!r} cannot be sent from position {start:,}; "
            f"it goes from 0 to {end:,}"
        )
    return start
