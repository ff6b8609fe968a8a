"""One fragment of a message, and the frame it travels in, in two codecs.

    text     {"messageId":"m1","index":0,"total":2,"data":"{\\"to\\":\\"a\\","}        UTF-8
    binary   b1 | 00 | u16 length of the id | u32 offset | u32 total | id | data   big-endian

A text fragment says which of how many it is, and its data is a slice of JSON text. A binary one
says where its data belongs in how many bytes. The first byte tells them apart: no JSON text begins
with 0xB1. The one rule to remember: a frame is never believed, it is read; whatever is wrong with
it is a FragmentError, and nothing else.
"""

import json
import re
import struct
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from sessionbot_kit.errors import FragmentError
from sessionbot_kit.limits import Limits

MAX_ID_CHARS = 128

MAGIC = 0xB1  # version 1 of the binary codec
HEADER = struct.Struct(">BBHII")

# Of a binary message: the length of its document, the document {}, the digest.
LENGTH_BYTES = 4
DIGEST_BYTES = 4
LEAST_BYTES = LENGTH_BYTES + len(b"{}") + DIGEST_BYTES

Frame = str | bytes | bytearray | memoryview


class Fragment(NamedTuple):
    """A frame, read. Position and total count fragments in text, and bytes in binary."""

    message_id: str
    position: int
    total: int
    data: bytes | memoryview
    binary: bool = False


class Chunk(BaseModel):
    """The four fields of a text fragment, and no other."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    messageId: Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARS)]
    index: Annotated[int, Field(ge=0)]
    total: Annotated[int, Field(ge=1)]
    data: str


def read_fragment(frame: Frame, limits: Limits) -> Fragment | None:
    """Read one frame of either codec; None when it is empty."""
    if isinstance(frame, str):
        raw = frame.encode("utf-8", "surrogatepass")
    else:
        raw = frame if isinstance(frame, bytes) else bytes(frame)
    if len(raw) > limits.frame_bytes:
        raise FragmentError(
            "frame_too_long",
            f"a frame has {len(raw):,} bytes; at most {limits.frame_bytes:,} are accepted",
            fatal=True,
        )
    if not raw:
        return None
    if raw[0] == MAGIC:
        return _read_binary(raw, limits)
    # What was a str may hold halves of surrogate pairs; bytes may not.
    return _read_text(raw, limits, "surrogatepass" if isinstance(frame, str) else "strict")


def text_frame(
    quoted_id: bytes, index: int, total: int, pieces: Sequence[bytes | memoryview]
) -> bytes:
    """Write a text fragment; the pieces are its data with all escapes, without the quotes."""
    head = b'{"messageId":%b,"index":%d,"total":%d,"data":"' % (quoted_id, index, total)
    return b"".join((head, *pieces, b'"}'))


def binary_frame(
    message_id: bytes, offset: int, total: int, pieces: Sequence[bytes | memoryview]
) -> bytes:
    """Write a binary fragment."""
    head = HEADER.pack(MAGIC, 0, len(message_id), offset, total)
    return b"".join((head, message_id, *pieces))


def usable_id(message_id: str) -> bool:
    return 0 < len(message_id) <= MAX_ID_CHARS and message_id.isprintable()


def checked_id(message_id: str) -> str:
    if not usable_id(message_id):
        raise FragmentError(
            "bad_id",
            f"the message id {message_id[:40]!r} has {len(message_id):,} characters; "
            f"an id is 1 to {MAX_ID_CHARS} printable characters",
        )
    return message_id


def _read_text(raw: bytes, limits: Limits, errors: str) -> Fragment:
    head = _HEAD.match(raw)
    if head is not None and raw.endswith(b"}"):
        try:
            data = _string(raw[head.end() : -1])
            message_id = head[1].decode()
        except ValueError:
            pass  # a surrogate pair cut apart, a field twice, or no JSON at all: look closely
        else:
            return _checked(message_id, int(head[2]), int(head[3]), data, limits)
    chunk = _read_closely(raw, errors)
    data = chunk.data.encode("utf-8", "surrogatepass")
    return _checked(chunk.messageId, chunk.index, chunk.total, data, limits)


# The order of fields of every known sender, with or without spaces. The data begins with a quote,
# and nothing but one string fits between there and the closing brace.
_WS = rb"[ \t\r\n]*"
_HEAD = re.compile(
    rb'#\{#"messageId"#:#"([^"\\\x00-\x1f]+)"#,#"index"#:#(0|[1-9][0-9]{0,8})#,'
    rb'#"total"#:#([1-9][0-9]{0,8})#,#"data"#:#(?=")'.replace(b"#", _WS)
)


# A JSON string as UTF-8 bytes, without making a str on the way: one emoji would make that four
# times as large.
_string = TypeAdapter(bytes, config=ConfigDict(strict=True)).validate_json


def _read_closely(raw: bytes, errors: str) -> Chunk:
    try:
        text = raw.decode("utf-8", errors)
        found = json.loads(text, object_pairs_hook=_without_repeats, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise FragmentError(
            "not_json", f"a frame is not JSON ({error}); send one JSON object a frame"
        ) from error
    name = found.get("messageId") if isinstance(found, dict) else None
    try:
        return Chunk.model_validate(found)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        field = str(fault["loc"][0]) if fault["loc"] else "object"
        raise FragmentError(
            _CODES.get(field, "bad_fields") if fault["type"] != "missing" else "bad_fields",
            f"the {field[:40]!r} of a fragment is wrong ({fault['msg']}); it has messageId, "
            "index, total and data, and nothing else",
            message_id=name if isinstance(name, str) and usable_id(name) else None,
        ) from error


_CODES = {"messageId": "bad_id", "index": "bad_index", "total": "bad_total", "data": "bad_data"}


def _checked(message_id: str, index: int, total: int, data: bytes, limits: Limits) -> Fragment:
    checked_id(message_id)
    if total > limits.fragments:
        raise FragmentError(
            "bad_total",
            f"message {message_id!r} has {_short(total)} fragments; at most {limits.fragments:,} "
            "are accepted, so send larger ones",
            message_id=message_id,
        )
    if index >= total:
        raise FragmentError(
            "bad_index",
            f"fragment {_short(index)} of message {message_id!r} is not one of its {total:,}; "
            "count from 0 to total - 1",
            message_id=message_id,
        )
    if len(data) > limits.fragment_chars and _chars(data) > limits.fragment_chars:
        raise FragmentError(
            "fragment_too_long",
            f"fragment {index} of message {message_id!r} has {_chars(data):,} characters; "
            f"at most {limits.fragment_chars:,} are accepted",
            message_id=message_id,
        )
    if not data and index < total - 1:
        raise FragmentError(
            "empty_fragment",
            f"fragment {index} of message {message_id!r} is empty; only the last one may be",
            message_id=message_id,
        )
    return Fragment(message_id, index, total, data)


def _read_binary(frame: bytes, limits: Limits) -> Fragment:
    if len(frame) < HEADER.size:
        raise FragmentError(
            "bad_header", f"a binary frame has {len(frame)} bytes; its header has {HEADER.size}"
        )
    _, flags, id_bytes, offset, total = HEADER.unpack_from(frame)
    if flags:
        raise FragmentError(
            "bad_header", f"a binary frame has the flags {flags:#04x}; this version knows none"
        )
    start = HEADER.size + id_bytes
    try:
        message_id = checked_id(frame[HEADER.size : start].decode())
    except UnicodeDecodeError as error:
        raise FragmentError("bad_id", "the message id of a binary frame is not UTF-8") from error
    data = memoryview(frame)[start:]
    if not LEAST_BYTES <= total <= limits.message_bytes:
        raise FragmentError(
            "message_too_long" if total > limits.message_bytes else "bad_total",
            f"message {message_id!r} has {total:,} bytes; {LEAST_BYTES} to "
            f"{limits.message_bytes:,} are accepted",
            message_id=message_id,
        )
    if not 0 < len(data) <= limits.fragment_bytes:
        raise FragmentError(
            "fragment_too_long" if data else "empty_fragment",
            f"a fragment of message {message_id!r} has {len(data):,} bytes of data; "
            f"1 to {limits.fragment_bytes:,} are accepted",
            message_id=message_id,
        )
    if offset + len(data) > total:
        raise FragmentError(
            "bad_offset",
            f"a fragment of message {message_id!r} ends at {offset + len(data):,}, after the "
            f"{total:,} bytes of the message",
            message_id=message_id,
        )
    return Fragment(message_id, offset, total, data, True)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a field is written twice")
    return found


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _chars(data: bytes) -> int:
    return len(data.decode("utf-8", "surrogatepass"))


def _short(number: int) -> str:
    return f"{number:,}" if number < 10**15 else "10^15 or more"
