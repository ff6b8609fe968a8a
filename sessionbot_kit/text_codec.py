"""The text codec: a message is JSON text, cut into slices that are JSON strings again.

Any language speaks it, and the original peers speak nothing else. Attachments are base64. JSON is
encoded once and stays UTF-8 bytes; a slice ends where a code point ends, and slices that a sender
of UTF-16 cut through a surrogate pair are joined again. The one rule to remember: four fields and
no fifth, so whatever else there is to say is said in messages.
"""

import re
from array import array
from collections.abc import Iterator
from typing import Any

import orjson
import pybase64

from sessionbot_kit.errors import FragmentError
from sessionbot_kit.fragments import Fragment, text_frame
from sessionbot_kit.full_message import Document, Shape, attachments_of
from sessionbot_kit.layout import AsBase64, InMemory, TextLayout, checked_start, raw_part
from sessionbot_kit.limits import Limits, held_cost

# A content of so many bytes is encoded with the JSON around it.
SMALL_CONTENT = 3072


class TextPayload:
    """A message in the text codec; positions count fragments."""

    def __init__(self, document: Document, message_id: str, fragment_bytes: int) -> None:
        self.message_id = message_id
        self._quoted_id = orjson.dumps(message_id)
        self._layout = TextLayout(_parts(document))
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
            pieces = self._layout.escaped(cuts[index], cuts[index + 1])
            yield text_frame(self._quoted_id, index, total, pieces)

    def _cut(self) -> "array[int]":
        if self._cuts is None:
            cuts = array("Q", [0])
            while (stop := cuts[-1] + self._fragment_bytes) < self.size:
                cuts.append(self._layout.boundary(stop))
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
        self._size = 0
        self._limits = limits
        self._shape = shape
        self._slices: dict[int, bytes | memoryview] = {}

    def has(self, fragment: Fragment) -> bool:
        """Whether this slice is here already; the same index with other data is refused."""
        known = self._slices.get(fragment.position)
        if known is not None and known != fragment.data:
            raise FragmentError(
                "conflict",
                f"fragment {fragment.position} of message {self.message_id!r} came twice with "
                "different data; send a changed message under a new id",
                message_id=self.message_id,
            )
        return known is not None

    def add(self, fragment: Fragment) -> bool:
        """Take a new slice; True when it was the last one missing."""
        self._slices[fragment.position] = fragment.data
        self.held += held_cost(fragment.data)
        self._size += len(fragment.data)
        if self._size > self._limits.message_bytes:
            raise FragmentError(
                "message_too_long",
                f"message {self.message_id!r} has more than {self._limits.message_bytes:,} bytes; "
                "send less, or a link to it",
                message_id=self.message_id,
            )
        while self.progress in self._slices:
            self.progress += 1
        return self.progress == self.total

    def finish(self) -> Any:
        """Parse the text that has come together; raises ValueError."""
        slices = [self._slices[index] for index in range(self.total)]
        self._slices.clear()
        text = b"".join(slices)
        # A sender that counts UTF-16 units cuts surrogate pairs apart: join them again. A half
        # that stays alone is not UTF-8, so the parser will refuse it.
        if any(_LOW_HALF.match(each) for each in slices):
            text = _PAIR.sub(_joined, text)
        del slices
        return self._shape.parse(text, self._limits)

    def close(self) -> None:
        """Let go of everything."""
        self._slices.clear()


# The halves of a surrogate pair, as they look in bytes that should have been UTF-8.
_LOW_HALF = re.compile(rb"\xed[\xb0-\xbf][\x80-\xbf]")
_PAIR = re.compile(rb"\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]")


def _joined(pair: re.Match[bytes]) -> bytes:
    units = pair[0].decode("utf-8", "surrogatepass").encode("utf-16-le", "surrogatepass")
    return units.decode("utf-16-le").encode()


def _parts(document: Document) -> list[InMemory | AsBase64]:
    attachments = attachments_of(document)
    if all(isinstance(attachment.get("content", ""), str) for attachment in attachments):
        return [InMemory(orjson.dumps(document))]
    rest = {key: value for key, value in document.items() if key != "attachments"}
    parts: list[InMemory | AsBase64] = []
    text = _opened(rest) + b'"attachments":['
    for number, attachment in enumerate(attachments):
        text += b"," if number else b""
        content = attachment.get("content", "")
        if isinstance(content, str):
            text += orjson.dumps(attachment)
            continue
        others = {key: value for key, value in attachment.items() if key != "content"}
        text += _opened(others) + b'"content":"'
        raw = raw_part(content)
        if raw.size <= SMALL_CONTENT:
            text += pybase64.b64encode(raw.read(0, raw.size)) + b'"}'
        else:
            parts += [InMemory(text), AsBase64(raw)]
            text = b'"}'
    parts.append(InMemory(text + b"]}"))
    return parts


def _opened(fields: Document) -> bytes:
    text = orjson.dumps(fields)[:-1]
    return text + b"," if fields else text
