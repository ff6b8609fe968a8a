"""What gateway and plugin kernel say to each other, and the contract of what carries it.

    kernel                              gateway
      | -- Hello(plugins, routes) -------> |
      | <-- Offer(turn, message, window) -- |     a turn to run; the kernel keeps no state
      | -- Result(turn, replies, ...) ----> |     committed together, or not at all
      | -- Event(turn, "typing") ---------> |     may be lost; nothing depends on it

A link carries these values whole, in order within a conversation, and each of them once. The one
rule to remember: **asking for the next frame says that the last one is safe with you.** A link
may forget a frame only then; what was not asked past is delivered again after a cut.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Protocol, Self

from pydantic import Field, JsonValue

from sessionbot_kit.models import IncomingMessage, OutgoingMessage, StoredMessage
from sessionbot_kit.routes import Route

# Bounds that are kept where a frame comes in from a peer.
Name = Annotated[str, Field(min_length=1, max_length=512)]
Count = Annotated[int, Field(strict=True, ge=0, le=2**63 - 1)]


@dataclass(frozen=True, slots=True)
class Hello:
    """A kernel introduces itself: which bot it serves, with which plugins."""

    bot: Name
    kernel: Name
    routes: Annotated[tuple[Route, ...], Field(max_length=10_000)] = ()


@dataclass(frozen=True, slots=True)
class Offer:
    """A turn to run and all that its plugin may see; `attempt` and `epoch` fence stale answers."""

    turn: Name
    attempt: Count
    epoch: Count
    plugin: Name
    session_id: Name
    message: IncomingMessage
    variables: Mapping[str, JsonValue] = field(default_factory=dict)
    window: tuple[StoredMessage, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a turn: replies and changed variables, or the error that ended it."""

    turn: Name
    attempt: Count
    epoch: Count
    replies: tuple[OutgoingMessage, ...] = ()
    variables: Mapping[str, JsonValue] | None = None  # None: unchanged
    error: str | None = None  # for the log; the person is told politely
    ms: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth showing while a turn runs, such as "typing"."""

    turn: Name
    kind: Name
    detail: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bye:
    """The sender leaves on purpose and takes no more turns."""

    reason: str = ""


Frame = Hello | Offer | Result | Event | Bye


class Link(Protocol):
    """One end of a joined pair; both ends are used the same way."""

    @property
    def name(self) -> str:
        """Who is on the other side, for logs."""
        ...

    async def send(self, frame: Frame) -> None:
        """Hand a frame over; waits while the peer is slow, raises LinkClosed once it has gone."""
        ...

    async def receive(self) -> Frame:
        """The next frame; asking for it says that the one before is safe. Raises LinkClosed."""
        ...

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> Frame:
        """Like `receive`, and ends the loop when the link closes."""
        ...

    async def close(self) -> None:
        """Leave; what the other side has not received yet is lost to it."""
        ...
