"""The part of Protocol Buffers that the Session messenger needs, both ways.

A message is a frozen dataclass whose fields know their number:

    @dataclass(frozen=True, slots=True)
    class Typing(Message):
        timestamp: int | None = uint64(1)
        action: int | None = uint32(2)

    encode(Typing(timestamp=1, action=0))       # b'\\x08\\x01\\x10\\x00'
    decode(Typing, b'\\x08\\x01\\x10\\x00')       # Typing(timestamp=1, action=0)

None is absent; a zero that is there is written. Unknown fields are passed over, because clients
newer than this one send them. One rule to remember: the bytes come from strangers, so what is
held is bounded, and only RecordError comes out.
"""

import struct
from collections.abc import Callable
from dataclasses import Field, dataclass, field, fields
from typing import Any, ClassVar, NamedTuple, TypeVar

from sessionbot_kit.errors import MessageError, RecordError

VARINT, FIXED64, CHUNK = 0, 1, 2

_UINT64 = (1 << 64) - 1
_UINT32 = (1 << 32) - 1


class Message:
    """What every message is: a dataclass whose bytes are made of its fields."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a stranger may make us hold."""

    data_bytes: int = 76_800
    repeats: int = 256  # of one field


M = TypeVar("M", bound=Message)


class Kind(NamedTuple):
    """How values of one kind are written and read."""

    wire: int
    write: Callable[[Any], bytes]
    read: Callable[[Any], Any]


class Entry(NamedTuple):
    """A field of a message, as the codec sees it."""

    number: int
    name: str
    tag: bytes
    kind: Kind
    repeated: bool
    message: type[Message] | None


class Schema(NamedTuple):
    """The fields of a message, in the order of their numbers, and by how they begin."""

    entries: tuple[Entry, ...]
    by_tag: dict[int, Entry]


def encode(message: Message) -> bytes:
    """The bytes of a message, its fields in the order of their numbers."""
    parts = []
    for entry in _schema(type(message)).entries:
        value = getattr(message, entry.name)
        if value is None:
            continue
        for one in value if entry.repeated else (value,):
            data = encode(one) if entry.message else entry.kind.write(one)
            parts.append(entry.tag)
            if entry.kind.wire == CHUNK:
                parts.append(_varint(len(data)))
            parts.append(data)
    return b"".join(parts)


def decode(kind: type[M], data: bytes, limits: Limits = Limits()) -> M:
    """Read a message; raises RecordError and nothing else."""
    if len(data) > limits.data_bytes:
        raise RecordError(
            f"{kind.__name__} has {len(data):,} bytes; at most {limits.data_bytes:,} are read"
        )
    schema = _schema(kind)
    held: dict[str, Any] = {}
    at, end = 0, len(data)
    while at < end:
        tag, at = _read_varint(data, at)
        value, at = _read_value(data, at, tag)
        if entry := schema.by_tag.get(tag):
            _keep(held, entry, value, limits)
    for entry in schema.entries:
        if entry.message and entry.name in held:
            held[entry.name] = _read_messages(entry, held[entry.name], limits)
        elif entry.repeated and entry.name in held:
            held[entry.name] = tuple(held[entry.name])
    return kind(**held)


def uint64(number: int) -> Any:
    return _field(number, _WHOLE)


def uint32(number: int) -> Any:
    return _field(number, _SMALL)


def boolean(number: int) -> Any:
    return _field(number, _TRUTH)


def fixed64(number: int) -> Any:
    return _field(number, _FIXED)


def octets(number: int) -> Any:
    return _field(number, _OCTETS)


def text(number: int) -> Any:
    """Text; bytes that are not UTF-8 are read as U+FFFD, so that a reader always gets text."""
    return _field(number, _TEXT)


def message(number: int, kind: type[Message]) -> Any:
    return _field(number, _OCTETS, message=kind)


def messages(number: int, kind: type[Message]) -> Any:
    return _field(number, _OCTETS, message=kind, repeated=True)


def uint64s(number: int) -> Any:
    """Many numbers, written one by one; read packed as well."""
    return _field(number, _WHOLE, repeated=True)


def _field(
    number: int, kind: Kind, *, message: type[Message] | None = None, repeated: bool = False
) -> Any:
    about = {"number": number, "kind": kind, "message": message, "repeated": repeated}
    return field(default=() if repeated else None, metadata=about)


_SCHEMAS: dict[type[Message], Schema] = {}


def _schema(kind: type[Message]) -> Schema:
    if kind not in _SCHEMAS:
        _SCHEMAS[kind] = _make_schema(kind)
    return _SCHEMAS[kind]


def _make_schema(kind: type[Message]) -> Schema:
    entries = []
    by_tag = {}
    for known in fields(kind):
        about = known.metadata
        tag = about["number"] << 3 | about["kind"].wire
        entry = Entry(name=known.name, tag=_varint(tag), **about)
        entries.append(entry)
        by_tag[tag] = entry
        if entry.repeated and entry.kind.wire == VARINT:
            by_tag[entry.number << 3 | CHUNK] = entry  # packed
    return Schema(tuple(sorted(entries)), by_tag)


def _keep(held: dict[str, Any], entry: Entry, value: Any, limits: Limits) -> None:
    if not entry.repeated:
        if entry.message and entry.name in held:
            value = held[entry.name] + value  # the rule of the format: two halves are one message
        held[entry.name] = value if entry.message else entry.kind.read(value)
        return
    many = held.setdefault(entry.name, [])
    if entry.kind.wire == VARINT and isinstance(value, bytes):
        at = 0
        while at < len(value) and len(many) <= limits.repeats:
            number, at = _read_varint(value, at)
            many.append(number)
    else:
        many.append(value if entry.message else entry.kind.read(value))
    if len(many) > limits.repeats:
        raise RecordError(
            f"{entry.name} comes more than {limits.repeats} times; the record is refused"
        )


def _read_messages(entry: Entry, held: Any, limits: Limits) -> Any:
    assert entry.message is not None
    if entry.repeated:
        return tuple(decode(entry.message, data, limits) for data in held)
    return decode(entry.message, held, limits)


def _read_value(data: bytes, at: int, tag: int) -> tuple[Any, int]:
    if not tag >> 3:
        raise RecordError("a field has the number 0; the bytes are not a message")
    match tag & 7:
        case 0:
            return _read_varint(data, at)
        case 1:
            size = 8
        case 2:
            size, at = _read_varint(data, at)
        case 5:
            size = 4
        case other:
            raise RecordError(f"a field has the wire type {other}; the bytes are not a message")
    if size > len(data) - at:
        raise RecordError(
            f"field {tag >> 3} needs {size:,} bytes and {len(data) - at:,} are left; it is cut"
        )
    return data[at : at + size], at + size


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    for byte in data[at : at + 10]:
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _UINT64, at
        shift += 7
    raise RecordError("a number does not end; the bytes are cut or are not a message")


def _varint(value: int) -> bytes:
    _check_whole(value)
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _wide(value: int) -> bytes:
    _check_whole(value)
    return _WIDE.pack(value)


def _check_whole(value: int) -> None:
    if not 0 <= value <= _UINT64:
        raise MessageError(f"{value} does not fit a message; use a number from 0 to 2**64 - 1")


_WIDE = struct.Struct("<Q")
_WHOLE = Kind(VARINT, _varint, lambda value: value)
_SMALL = Kind(VARINT, lambda value: _varint(value & _UINT32), lambda value: value & _UINT32)
_TRUTH = Kind(VARINT, lambda value: _varint(int(value)), bool)
_FIXED = Kind(FIXED64, _wide, lambda value: _WIDE.unpack(value)[0])
_OCTETS = Kind(CHUNK, bytes, lambda value: value)
_TEXT = Kind(
    CHUNK,
    lambda value: value.encode("utf-8", "replace"),
    lambda value: value.decode("utf-8", "replace"),
)
