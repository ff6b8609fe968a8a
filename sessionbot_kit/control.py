"""What the two ends of a link tell each other about the link itself, as values and as JSON.

    Greeting   who I am, what I take, and how far I have come: the first thing on a connection
    Ack        what I have dealt with, and how many bytes you may send in all
    Refusal    this message of yours was bad; I have dropped it, and only it
    Leave      I am closing on purpose; do not wait for me

    document = to_json(Ack(floor=7, credit=1_048_576))
    from_json(document) == Ack(floor=7, credit=1_048_576)

The one rule to remember: these values travel in an envelope of their own, never inside a chat
message, so nothing that a person types can become one of them.
"""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import orjson
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from sessionbot_kit.errors import WireError

FRAGMENT_BYTES = 65_536  # what every peer takes in one frame, at least
FRAGMENT_COST = 256  # charged on top of a fragment's bytes, so that tiny ones are not free
MAX_OPEN = 1_024  # messages that are not acknowledged; so there are never more gaps than that
MIB = 1_048_576

_STRICT = ConfigDict(extra="forbid", strict=True)

Seq = Annotated[int, Field(ge=1, le=2**53 - 1)]  # every JSON reader can hold it exactly
Count = Annotated[int, Field(ge=0, le=2**53 - 1)]
Name = Annotated[str, Field(max_length=128, pattern=r"^[!-~]*$")]
Pairs = Annotated[tuple[tuple[Seq, Seq], ...], Field(max_length=MAX_OPEN + 1)]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a receiver takes: bytes in flight, bytes a message, and how much unfinished."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    window: Annotated[int, Field(ge=4 * FRAGMENT_BYTES, le=2**31)] = MIB
    message_bytes: Annotated[int, Field(ge=FRAGMENT_BYTES, le=2**40)] = 64 * MIB
    unfinished: Annotated[int, Field(ge=1, le=MAX_OPEN)] = 64
    unfinished_bytes: Annotated[int, Field(ge=FRAGMENT_BYTES, le=2**40)] = 96 * MIB


@dataclass(frozen=True, slots=True)
class Report:
    """How far a receiver has come.

    It has dealt with everything up to `floor` and in the ranges of `done`, it has each of `whole`
    and waits for its application, and of `partial` it has what comes before a position.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    floor: Count = 0
    done: Pairs = ()
    whole: Annotated[tuple[Seq, ...], Field(max_length=MAX_OPEN)] = ()
    partial: Annotated[tuple[tuple[Seq, Count], ...], Field(max_length=MAX_OPEN)] = ()


@dataclass(frozen=True, slots=True)
class Greeting:
    """The first value on a connection, from both sides.

    `epoch` names one run of the server; a client that has not met one yet leaves it empty. With
    `recovered` the server says whether it still knows the session.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    session: Annotated[Name, Field(min_length=16)]
    epoch: Name
    terms: Terms
    report: Report
    recovered: bool = True
    type: Literal["hello"] = "hello"


@dataclass(frozen=True, slots=True)
class Ack:
    """What was dealt with, and the bytes that may be sent in all on this connection."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    floor: Count
    done: Pairs = ()
    credit: Count = 0
    type: Literal["ack"] = "ack"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that was dropped because it was bad; `seq` is 0 when it could not be read."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    seq: Count
    code: Annotated[str, Field(max_length=128, pattern=r"^[!-~]+$")]
    type: Literal["error"] = "error"


@dataclass(frozen=True, slots=True)
class Leave:
    """The sender closes on purpose and does not come back."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    reason: Annotated[str, Field(max_length=256)] = ""
    type: Literal["bye"] = "bye"


Control = Greeting | Ack | Refusal | Leave

_ADAPTER: TypeAdapter[Control] = TypeAdapter(Annotated[Control, Field(discriminator="type")])


def to_json(control: Control) -> str:
    return _ADAPTER.dump_json(control).decode()


def from_json(document: str | bytes) -> Control:
    """Read a value that a peer sent; what does not fit is a WireError."""
    try:
        return _ADAPTER.validate_json(document)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise WireError(
            f"a control message cannot be read: {where}: {fault['msg']}; check the peer's version"
        ) from error


def to_document(control: Control) -> dict[str, Any]:
    """Lay a value out, for a codec that takes documents."""
    document: dict[str, Any] = _ADAPTER.dump_python(control, mode="json")
    return document


def from_document(document: dict[str, Any]) -> Control:
    """Read a value from a document that a codec brought."""
    return from_json(orjson.dumps(document))
