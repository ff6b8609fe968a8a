"""The text codec: a message is JSON text, cut into slices that are JSON strings again.

Any language speaks it, and the original peers speak nothing else. Attachments are base64. JSON is
encoded once and stays UTF-8 bytes; a slice ends where a code point ends, and slices that a sender
of UTF-16 cut through a surrogate pair are joined again. The one rule to remember: four fields and
no fifth, so whatever else there is to say is said in messages.
"""

import re
from array import array
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import orjson

from sessionbot_kit.errors import FragmentError
from sessionbot_kit.fragments import Fragment, text_frame
from sessionbot_kit.full_message import Document, Shape, attachments_of
from sessionbot_kit.layout import AsBase64, InMemory, Layout, Part, checked_start, raw_part
from sessionbot_kit.limits import PARKED_COST, Limits


class TextPayload:
    """A message in the text codec; positions count fragments."""

    def __init__(self, document: Document, message_id: str, fragment_bytes: int) -> None:
        self.message_id = message_id
        self._quoted_id = orjson.dumps(message_id)
        self._layout = Layout(_parts(document))
        self._fragment_bytes = fragment_bytes
        self._cuts: array[int] | None = None
        self.size = self._layout.size

    @property
    def count(self) -> int:
        return len(self._cut()) - 1

    end = count

    def fragments(self, start: int = 0) -> Iterator[bytes]:
        return self._frames(checked_start(start, self.end, self.message_id))

    def _frames(self, start: int) -> Iterator[bytes]:
        cuts = self._cut()
        total = len(cuts) - 1
        for index in range(start, total):
            data = self._layout.read(cuts[index], cuts[index + 1])
            yield text_frame(self._quoted_id, index, total, data)

    def _cut(self) -> "array[int]":
        if self._cuts is None:
            cuts = array("Q", [0])
            while (stop := cuts[-1] + self._fragment_bytes) < self.size:
                # The bytes inside a code point begin with the bits 10; it has at most three.
                window = self._layout.read(stop - 3, stop + 1)
                inside = next(n for n in range(4) if window[3 - n] & 0xC0 != 0x80)
                cuts.append(stop - inside)
            cuts.append(self.size)
            self._cuts = cuts
        return self._cuts


class TextAssembly:
    """Slices of JSON text, by index; `progress` is the first one that is missing."""

    binary = False

    def __init__(self, first: Fragment, limits: Limits, shape: Shape) -> None:
        self.message_id = first.message_id
        self.total = first.total
        self.progress = 0
        self.held = 0
        self._limits = limits
        self._shape = shape
        self._buffer = BytesIO()
        self._ends = array("Q", [0])
        self._parked: dict[int, bytes] = {}
        self._mended = False

    def has(self, fragment: Fragment) -> bool:
        index = fragment.position
        if index >= self.progress and index not in self._parked:
            return False
        if self._known(index) not in (fragment.data, None):
            raise FragmentError(
                "conflict",
                f"fragment {index} of message {self.message_id!r} came twice with different data; "
                "send a changed message under a new id",
                message_id=self.message_id,
            )
        return True

    def add(self, fragment: Fragment) -> bool:
        data = bytes(fragment.data)
        self.held += len(data)
        if fragment.position == self.progress:
            self._append(data)
            while (parked := self._parked.pop(self.progress, None)) is not None:
                self.held -= PARKED_COST
                self._append(parked)
        else:
            self.held += PARKED_COST
            self._parked[fragment.position] = data
        if self.held - PARKED_COST * len(self._parked) > self._limits.message_bytes:
            raise FragmentError(
                "message_too_long",
                f"message {self.message_id!r} has more than {self._limits.message_bytes:,} bytes; "
                "send less, or a link to it",
                message_id=self.message_id,
            )
        return self.progress == self.total

    def finish(self) -> Any:
        text = self._buffer.getvalue()
        self.close()
        return self._shape.parse(text, self._limits)

    def close(self) -> None:
        self._buffer = BytesIO()
        self._parked = {}

    def _known(self, index: int) -> bytes | None:
        if index >= self.progress:
            return self._parked[index]
        if self._mended:
            return None
        return bytes(self._buffer.getbuffer()[self._ends[index] : self._ends[index + 1]])

    def _append(self, data: bytes) -> None:
        # A sender that counts UTF-16 units cuts surrogate pairs apart: join them again. A half
        # that stays alone is not UTF-8, so the parser will refuse it.
        at = self._buffer.tell()
        if at >= 3 and _LOW_HALF.match(data):
            high = bytes(self._buffer.getbuffer()[at - 3 : at])
            if _HIGH_HALF.match(high):
                data = _joined(high + data[:3]) + data[3:]
                self._buffer.seek(at - 3)
                self._mended = True
        self._buffer.write(data)
        self._ends.append(self._buffer.tell())
        self.progress += 1


# The halves of a surrogate pair, as they look in bytes that should have been UTF-8.
_HIGH_HALF = re.compile(rb"\xed[\xa0-\xaf][\x80-\xbf]")
_LOW_HALF = re.compile(rb"\xed[\xb0-\xbf][\x80-\xbf]")


def _joined(halves: bytes) -> bytes:
    units = halves.decode("utf-8", "surrogatepass").encode("utf-16-le", "surrogatepass")
    return units.decode("utf-16-le").encode()


def _parts(document: Document) -> list[Part]:
    attachments = attachments_of(document)
    if all(isinstance(attachment.get("content", ""), str) for attachment in attachments):
        return [InMemory(orjson.dumps(document))]
    rest = {key: value for key, value in document.items() if key != "attachments"}
    parts: list[Part] = []
    text = _opened(rest) + b'"attachments":['
    for number, attachment in enumerate(attachments):
        text += b"," if number else b""
        content = attachment.get("content", "")
        if isinstance(content, str):
            text += orjson.dumps(attachment)
            continue
        others = {key: value for key, value in attachment.items() if key != "content"}
        parts.append(InMemory(text + _opened(others) + b'"content":"'))
        parts.append(AsBase64(raw_part(content)))
        text = b'"}'
    parts.append(InMemory(text + b"]}"))
    return parts


def _opened(fields: Document) -> bytes:
    text = orjson.dumps(fields)[:-1]
    return text + b"," if fields else text
