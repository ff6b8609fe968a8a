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
    if not isinstance(attachments, list) or not all(isinstance(a, dict) for a in attachments):
        raise ValueError("attachments is not a list of objects; send [] when there are none")
    if limits is not None and len(attachments) > limits.attachments:
        raise ValueError(f"{len(attachments):,} attachments; at most {limits.attachments} may come")
    return attachments


def _label(name: str) -> str:
    if len(name) > MAX_NAME_CHARS:
        raise ValueError(f"has {len(name):,} characters; a name has at most {MAX_NAME_CHARS}")
    if _DANGEROUS.search(name) or not name.strip(" ."):
        raise ValueError(f"{name[:40]!r} is not a plain file name")
    if name.partition(".")[0].rstrip().upper() in _DEVICES:
        raise ValueError(f"{name[:40]!r} is the name of a device")
    return name


def _content(value: object) -> object:
    if isinstance(value, str):
        decode_base64(value)
    elif not isinstance(value, bytes | bytearray | memoryview) and not hasattr(value, "read"):
        raise ValueError("is neither base64 text nor bytes nor an open file")
    return value


# Separators of paths, control characters, and those that turn the direction of writing around.
_DANGEROUS = re.compile(r"[/\\\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_DEVICES = {"CON", "PRN", "AUX", "NUL"} | {f"{d}{n}" for d in ("COM", "LPT") for n in range(1, 10)}

# RFC 9110, section 5.6.2: type/subtype and parameters, nothing that could end a header line.
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MIME = rf'^{_TOKEN}/{_TOKEN}([ \t]*;[ \t]*{_TOKEN}=({_TOKEN}|"[^"\\\x00-\x1f\x7f]*"))*$'


class Attachment(BaseModel):
    """A file that travels in a message."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[
        str, AfterValidator(_label), Field(min_length=1, json_schema_extra={"maxLength": 255})
    ]
    type: Annotated[str, Field(max_length=255, pattern=_MIME)]
    content: Annotated[
        Any,
        PlainValidator(_content),
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
        content = attachment.get("content", "")
        if not isinstance(content, str):
            try:
                _content(content)
            except ValueError as error:
                raise ValueError(f"attachments.{number}.content: {error}") from error
    return dict(document)


def parse_json(text: bytes, limits: Limits) -> Any:
    """Parse JSON, unless it would unfold into too many values."""
    if len(text) > limits.values and sum(text.count(mark) for mark in b",[{") > limits.values:
        raise ValueError(f"the JSON has more than {limits.values:,} values")
    return from_json(text, allow_inf_nan=False, cache_strings=False)


FULL_MESSAGE = Shape(parse_json, _check_full)
ANY_DOCUMENT = Shape(parse_json, _check_any)
