"""What a message is once it is whole: the four keys of the protocol, or any document.

    {"to": "a", "from": "b", "text": "hi", "attachments": [
        {"name": "cat.png", "type": "image/png", "content": "iVBORw0K..."}]}

A `Shape` says how a document is parsed and what it must look like. `FULL_MESSAGE` wants exactly
these four keys; `ANY_DOCUMENT` wants a JSON object whose `attachments`, if there are any, are
objects. The content of an attachment is bytes, an open file, or base64 text. The one rule to
remember: a name is a label to show, never a path to open.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import pybase64
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import from_json

from sessionbot_kit.limits import Limits

Document = dict[str, Any]

MAX_NAME_CHARS = 255
MAX_MIME_CHARS = 255


@dataclass(frozen=True, slots=True)
class Shape:
    """How a document is parsed, and what it must look like; both raise ValueError."""

    parse: Callable[[bytes, Limits], Any]
    check: Callable[[Any], Document]


def decode_base64(text: str) -> bytes:
    """Decode the standard alphabet, padded, canonical, and nothing else."""
    try:
        data = pybase64.b64decode(text, validate=True)
    except ValueError as error:
        raise ValueError(f"is not base64 ({error}); use the standard alphabet, padded") from error
    # "aGl=" decodes like "aGk=": only one text may stand for some bytes.
    if pybase64.b64encode_as_string(data[len(data) // 3 * 3 :]) != text[len(data) // 3 * 4 :]:
        raise ValueError("is not canonical base64; the unused bits must be 0")
    return data


def attachments_of(document: Any, limits: Limits | None = None) -> list[Document]:
    """The attachments of a document, each an object; none is an empty list."""
    if not isinstance(document, dict):
        raise ValueError(f"a message is a JSON object, not {type(document).__name__}")
    attachments = document.get("attachments")
    if attachments is None:
        return []
    if not isinstance(attachments, list):
        raise ValueError("attachments is not a list of objects; send [] when there are none")
    for attachment in attachments:
        if not isinstance(attachment, dict):
            raise ValueError("attachments is not a list of objects; send [] when there are none")
    if limits is not None and len(attachments) > limits.attachments:
        raise ValueError(f"{len(attachments):,} attachments; at most {limits.attachments} may come")
    return attachments


def check_label(name: str) -> str:
    """A file name that is safe to show: no path, no control character, no device."""
    if len(name) > MAX_NAME_CHARS:
        raise ValueError(f"has {len(name):,} characters; a name has at most {MAX_NAME_CHARS}")
    if UNSAFE_IN_NAMES.search(name) or not name.strip(" ."):
        raise ValueError(f"{name[:40]!r} is not a plain file name")
    if name.partition(".")[0].rstrip().upper() in _DEVICES:
        raise ValueError(f"{name[:40]!r} is the name of a device")
    return name


def check_content(value: object) -> object:
    """Bytes, an open file, or strict base64 text."""
    if isinstance(value, str):
        decode_base64(value)
    elif not isinstance(value, bytes | bytearray | memoryview) and not hasattr(value, "read"):
        raise ValueError("is neither base64 text nor bytes nor an open file")
    return value


# Separators of paths, control characters, and those that turn the direction of writing around.
UNSAFE_IN_NAMES = re.compile(r"[/\\\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_DEVICES = {"CON", "PRN", "AUX", "NUL"} | {f"{d}{n}" for d in ("COM", "LPT") for n in range(1, 10)}

# RFC 9110, section 5.6.2: type/subtype and parameters, nothing that could end a header line.
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
MIME = rf'^{_TOKEN}/{_TOKEN}([ \t]*;[ \t]*{_TOKEN}=({_TOKEN}|"[^"\\\x00-\x1f\x7f]*"))*$'


class Attachment(BaseModel):
    """A file that travels in a message."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[
        str,
        AfterValidator(check_label),
        Field(min_length=1, json_schema_extra={"maxLength": MAX_NAME_CHARS}),
    ]
    type: Annotated[str, Field(max_length=MAX_MIME_CHARS, pattern=MIME)]
    content: Annotated[
        Any,
        PlainValidator(check_content),
        WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
    ] = Field(repr=False)


class FullMessage(BaseModel):
    """A chat message as it crosses the wire: to whom, from whom, what."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, validate_by_name=True, validate_by_alias=True
    )

    to: str
    from_: str = Field(alias="from")
    text: str
    attachments: list[Attachment]


def _check_full(document: Any) -> Document:
    try:
        FullMessage.model_validate(document, by_name=False)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in fault["loc"])[:80]
        what = fault["msg"].removeprefix("Value error, ")
        raise ValueError(f"{where}: {what}" if where else what) from error
    return dict(document)


def _check_any(document: Any) -> Document:
    for number, attachment in enumerate(attachments_of(document)):
        try:
            if "content" in attachment:
                check_content(attachment["content"])
        except ValueError as error:
            raise ValueError(f"attachments.{number}.content: {error}") from error
    return dict(document)


def parse_json(text: bytes, limits: Limits) -> Any:
    """Parse JSON, unless it would unfold into too many values."""
    check_values(text, limits)
    return from_json(text, allow_inf_nan=False, cache_strings=False)


def check_values(text: bytes, limits: Limits) -> None:
    # A value takes three bytes or more ("[],") and unfolds into some eighty.
    if len(text) > 3 * limits.values and sum(_count(mark, text) for mark in _MARKS) > limits.values:
        raise ValueError(f"its JSON has more than {limits.values:,} values")


def _count(mark: bytes, text: bytes) -> int:
    # Base64 has none of these, and `find` leaps over it; only where there are many, `count` wins.
    at = found = 0
    while found < 10_000 and (at := text.find(mark, at) + 1):
        found += 1
    return found + text.count(mark, at) if at else found


# Each value but the outermost follows one of these.
_MARKS = (b",", b"[", b"{")

FULL_MESSAGE = Shape(parse_json, _check_full)
ANY_DOCUMENT = Shape(parse_json, _check_any)
