"""What gateway and plugin kernel say to each other, and the contract of what carries it.

    kernel                              gateway
      | -- Hello(plugins, routes) -------> |
      | <-- Offer(turn, message, journal) - |     a turn to run; the kernel keeps no state
      | -- Event(turn, "typing") ---------> |     may be lost; nothing depends on it
      | -- Step(turn, progress) ----------> |     what must not be done again
      | <-- Stepped(turn) ----------------- |     it is on the disk
      | -- Result(turn, replies, ...) ----> |     committed together, or not at all

A link carries these values whole, in order within a conversation, and each of them once. The one
rule to remember: **asking for the next frame says that the last one is safe with you.** A link
may forget a frame only then; what was not asked past is delivered again after a cut.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Protocol, Self

from pydantic import Field, JsonValue

from sessionbot_kit.context import Summary
from sessionbot_kit.journal import Entry, Later, Progress
from sessionbot_kit.models import IncomingMessage, OutgoingMessage, StoredMessage
from sessionbot_kit.routes import Only, Route

# Bounds that are kept where a frame comes in from a peer.
Name = Annotated[str, Field(min_length=1, max_length=512)]
Count = Annotated[int, Field(strict=True, ge=0, le=2**63 - 1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class Hello:
    """A kernel introduces itself: which bot it serves, with which plugins, and for whom.

    As a `shadow` it is given copies of turns, and answers nobody.
    """

    bot: Name
    kernel: Name
    routes: Annotated[tuple[Route, ...], Field(max_length=10_000)] = ()
    turn_timeout_s: Seconds = 30.0  # a turn that is out for much longer is not coming back
    only: Only | None = None  # None: every session
    shadow: bool = False


@dataclass(frozen=True, slots=True)
class Live:
    """What came of a turn whose copy is offered to a shadow."""

    plugin: str | None = None  # None: nobody answered
    replies: tuple[str, ...] = ()  # what was said; a comparison needs no more
    error: str | None = None


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
    now: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    seed: int = 0
    journal: tuple[Entry, ...] = ()  # of the dialog that this message belongs to
    timed_out: bool = False  # nobody has answered its question
    summaries: tuple[Summary, ...] = ()  # of what was said before the window
    context: Mapping[str, JsonValue] = field(default_factory=dict)  # as the session was set up
    live: Live | None = None  # this is a copy: nothing that comes of it counts


@dataclass(frozen=True, slots=True)
class Step:
    """What a turn did that must not be done again. It goes on when it has been Stepped."""

    turn: Name
    attempt: Count
    epoch: Count
    progress: Progress


@dataclass(frozen=True, slots=True)
class Stepped:
    """The step is on the disk; or it is refused, for the turn is somebody else's now."""

    turn: Name
    attempt: Count
    epoch: Count
    ok: bool = True


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a turn: replies and changed variables, or the error that ended it.

    A turn that `asks` is not the end of its dialog: its journal is kept and comes with the answer.
    """

    turn: Name
    attempt: Count
    epoch: Count
    replies: tuple[OutgoingMessage, ...] = ()
    variables: Mapping[str, JsonValue] | None = None  # None: unchanged
    error: str | None = None  # for the log; the person is told politely
    ms: Seconds = 0.0
    asks: bool = False
    timeout_s: Seconds | None = None  # how long the question waits for its answer
    entries: tuple[Entry, ...] = ()
    later: tuple[Later, ...] = ()
    anew: bool = False  # the journal that was offered is void
    changed: str | None = None  # why it is: the plugin is not what it was
    would_do: str | None = None  # the `once` at which a copy ended


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth showing while a turn runs, such as "typing"."""

    turn: Name
    kind: Name
    detail: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Watch:
    """Somebody wants to see what passes; they answer nothing."""

    what: Name = "wire"


@dataclass(frozen=True, slots=True)
class Watched:
    """What has passed since the last of these, and how much of it was lost on a slow watcher."""

    what: Name
    events: Annotated[tuple[Mapping[str, JsonValue], ...], Field(max_length=10_000)] = ()
    lost: Count = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Bye:
    """The sender leaves on purpose and takes no more turns."""

    reason: str = ""


Frame = Hello | Offer | Step | Stepped | Result | Event | Watch | Watched | Bye


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
