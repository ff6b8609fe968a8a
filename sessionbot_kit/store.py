"""What a store promises: sessions, messages, the inbox, the outbox, and one commit a turn.

Everything that a method says it has written is on the disk when it returns. Times, ids and
epochs come in as arguments or are given here once; nothing is read back to be known.

    row = InboxRow(id=new_id(), session_id=session.id, message=message)
    await store.accept(row)                       # False: we have this message already
    await store.commit(Turn(row.id, ...))         # inbox, messages, variables, outbox: together
    await store.commit(Turn(row.id, ..., done=False))      # a step of a turn that goes on
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, Self

from pydantic import JsonValue

from sessionbot_kit.journal import Journal
from sessionbot_kit.models import (
    IncomingMessage,
    Media,
    OutgoingMessage,
    Role,
    Session,
    SessionKey,
    StoredMessage,
)

SessionRef = (
    str | int | SessionKey
)  # uuid, seq or natural key: accepted wherever a session is named


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to serve a partition. A commit with an older epoch is refused with StaleLease."""

    partition: int
    holder: str
    epoch: int
    crashed: bool = False  # whoever had it before did not give it back


@dataclass(frozen=True, slots=True)
class InboxRow:
    """A message that was accepted and has not been answered yet; or a timer that has run out."""

    id: str
    session_id: str
    message: IncomingMessage
    attempts: int = 0  # how often it was offered again because a process had died
    kind: str = "message"  # or that of the timer


@dataclass(frozen=True, slots=True)
class Timer:
    """A moment to come. Then its message takes its place in the inbox."""

    id: str
    session_id: str
    kind: str  # timeout: of a question; expiry: of a dialog; later: something to be said
    due: datetime
    message: IncomingMessage


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A line to append to a conversation; the store gives it its `seq`."""

    role: Role
    content: str
    timestamp: datetime
    tokens: int = 0
    media: tuple[Media, ...] = ()
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Turn:
    """Everything that one turn changes. It happens together or not at all."""

    inbox_id: str
    session_id: str
    epoch: int
    messages: tuple[NewMessage, ...] = ()
    variables: Mapping[str, JsonValue] | None = None  # None: unchanged
    replies: tuple[OutgoingMessage, ...] = ()  # each has its id
    error: str | None = None
    done: bool = True  # False: a step in the middle; the message still waits for its answer
    ended: tuple[str, ...] = ()  # journals that are over, by id; they go first
    journal: Journal | None = None  # entries to add to it, and whether it is open
    first: int = 0  # where in the journal they begin
    timers: tuple[Timer, ...] = ()  # each in place of one with the same id
    stopped: tuple[str, ...] = ()  # timers that are not needed any more


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A reply that its channel has not taken yet."""

    id: str
    session_id: str
    message: OutgoingMessage
    attempts: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Stats:
    """How much a store holds."""

    sessions: int
    messages: int
    tokens: int
    inbox: int  # waiting for an answer
    outbox: int  # waiting for their channel
    dead: int  # given up


class Store(Protocol):
    """The contract; `StoreContract` in `testing.py` holds every store to it."""

    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *exc_info: object) -> None: ...

    async def acquire(self, holder: str, *, partition: int = 0) -> Lease:
        """Take a partition with a new epoch; StoreHeld names the living holder who refuses it."""
        ...

    async def release(self, lease: Lease) -> None: ...

    async def session_for(self, key: SessionKey) -> Session:
        """The session of this key, made if it is new, in one atomic step."""
        ...

    async def session(self, ref: SessionRef) -> Session | None: ...

    async def sessions(self, *, limit: int = 100, before: int | None = None) -> list[Session]:
        """The newest first; `before` is the `seq` to go on from."""
        ...

    async def append(
        self, session_id: str, messages: Sequence[NewMessage]
    ) -> tuple[StoredMessage, ...]:
        """Add lines to a conversation, in order and without a gap."""
        ...

    async def tail(self, session_id: str, count: int) -> tuple[StoredMessage, ...]:
        """The last lines of a conversation, oldest first."""
        ...

    async def messages(
        self, session_id: str, *, after: int = 0, limit: int = 100
    ) -> tuple[StoredMessage, ...]:
        """Lines with a `seq` above `after`, oldest first."""
        ...

    async def set_variables(self, session_id: str, variables: Mapping[str, JsonValue]) -> None:
        """Replace the variables of a session."""
        ...

    async def accept(self, row: InboxRow) -> bool:
        """Write a message down; False when this channel, account, chat and id is known already."""
        ...

    async def attempt(self, inbox_id: str) -> int:
        """Count one more try at answering, on the disk, and return how many there were."""
        ...

    async def commit(self, turn: Turn) -> tuple[StoredMessage, ...]:
        """Inbox done, messages, variables, outbox: one transaction, if the epoch is current."""
        ...

    async def journals(self, session_id: str) -> list[Journal]:
        """The dialogs of a session: at most one that is open, and that of an unfinished turn."""
        ...

    async def journaled(self) -> list[str]:
        """The ids of all sessions that have a journal."""
        ...

    async def timers(self, *, limit: int = 100) -> list[Timer]:
        """The timers that run out first, in that order."""
        ...

    async def fire(self, timer: Timer, row: InboxRow) -> bool:
        """Put a row in the place of its timer; False when the timer is not there any more."""
        ...

    async def waiting(self) -> list[InboxRow]:
        """Messages without an answer, in the order in which they came."""
        ...

    async def unsent(self) -> list[OutboxRow]:
        """Replies that no channel took yet, in the order in which they were made."""
        ...

    async def sent(self, outbox_id: str, ids: Sequence[str]) -> None:
        """The channel took it, and calls it by these ids."""
        ...

    async def failed(self, outbox_id: str, error: str) -> None:
        """The channel did not take it this time."""
        ...

    async def bury(self, outbox_id: str, error: str) -> None:
        """Give a reply up: it becomes a dead letter."""
        ...

    async def dead_letters(self, *, limit: int = 100) -> list[OutboxRow]: ...

    async def stats(self) -> Stats: ...
