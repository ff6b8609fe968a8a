"""The stream of a model server, taken apart: bytes in, the data of events out.

    events = EventStream(max_line_bytes=1_000_000)
    events.feed(b'data: {"choices": ...}\\n\\nda')     # -> ['{"choices": ...}']
    events.feed(b'ta: [DONE]\\n')                      # -> ['[DONE]']

A server-sent event may be cut anywhere, also inside a character. Comments, which servers send to
keep a connection open, and fields other than `data` are left out. The one rule to remember: a
line that never ends is refused before it fills the memory.
"""

from sessionbot_kit.errors import ModelError


class EventStream:
    """Joins what arrives to lines, and gives the data of each."""

    def __init__(self, *, max_line_bytes: int) -> None:
        self._max_line_bytes = max_line_bytes
        self._rest = bytearray()  # grows in place: a server may send byte by byte

    def feed(self, data: bytes) -> list[bytes]:
        """The data lines that are complete now."""
        self._rest += data
        lines: list[bytes] = []
        if b"\n" in data:
            *lines, rest = bytes(self._rest).split(b"\n")
            self._rest = bytearray(rest)
        if len(self._rest) > self._max_line_bytes:
            raise ModelError(
                f"the model server sends a line of more than {self._max_line_bytes:,} bytes; "
                "check that its url leads to an OpenAI-compatible API"
            )
        return [found for line in lines if (found := _data(line)) is not None]

    def end(self) -> list[bytes]:
        """What is left when the stream has ended without a last line break."""
        rest, self._rest = bytes(self._rest), bytearray()
        return [found] if (found := _data(rest)) is not None else []


def _data(line: bytes) -> bytes | None:
    return line[5:].strip() if line.startswith(b"data:") else None
