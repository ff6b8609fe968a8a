"""What a store promises: sessions, messages, the inbox, the outbox, and one commit a turn.

Everything that a method says it has written is on the disk when it returns. Times, ids and
epochs come in as arguments or are given here once; nothing is read back to be known.

    row = InboxRow(id=new_id(), session_id=session.id, message=message)
    await store.accept(row)                       # False: we have this message already
    await store.commit(Turn(row.id, ...))         # inbox, messages, variables, outbox: together
    await store.commit(Turn(row.id, ..., done=False))      # a step of a turn that goes on
    await store.change(Change(session.id, if_version=3, context={...}))     # or StoreConflict

A session is named by its id, its `seq` or its key; ids of sessions that were merged into another
go on naming that one. The one rule to remember: **what belongs together goes into one call**.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Final, Literal, Protocol, Self

from pydantic import JsonValue

from sessionbot_kit.context import Summary
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

Identity = Literal["anonymous", "authenticated"]
State = Literal["new", "active", "idle", "expired", "closed"]

ENDED: Final[frozenset[State]] = frozenset({"expired", "closed"})  # their key is free again


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
    """Everything that one turn changes. It happens together or not at all.

    `variables` replaces what is there. With `base`, the variables that the turn began with, only
    what the turn changed is written, and a key that somebody else changed too is a StoreConflict.
    """

    inbox_id: str
    session_id: str
    epoch: int
    messages: tuple[NewMessage, ...] = ()
    variables: Mapping[str, JsonValue] | None = None  # None: unchanged
    replies: tuple[OutgoingMessage, ...] = ()  # each has its id
    error: str | None = None
    base: Mapping[str, JsonValue] | None = None
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
class NewSession:
    """What a session begins with, where the store's own choice will not do."""

    key: SessionKey
    id: str | None = None  # None: a new one
    identity: Identity = "anonymous"
    variables: Mapping[str, JsonValue] = field(default_factory=dict)
    context: Mapping[str, JsonValue] = field(default_factory=dict)
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    created_at: datetime | None = None  # None: now
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A session as it is held in memory: what a turn or a context window is made of."""

    session: Session
    summaries: tuple[Summary, ...]  # by `first`
    tail: tuple[StoredMessage, ...]  # the newest lines without a gap, oldest first
    last_seq: int  # the highest ever given; a clear does not take it back
    live_messages: int  # stored lines after the last summary
    live_tokens: int


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A key to a session. Only the hash of the token is ever stored."""

    hash: str
    session_id: str
    created_at: datetime
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """Something to be remembered beyond a session; the value None forgets it."""

    scope: str  # "user", "bot", ...
    owner: str
    name: str
    value: JsonValue


class Keep(Enum):
    """Says that a field stays as it is, where None means something."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP


@dataclass(frozen=True, slots=True)
class Change:
    """Everything that is to happen to a session, from top to bottom, if the conditions hold."""

    session_id: str
    new: NewSession | None = None  # make it first; a key or id that is taken is a conflict

    if_version: int | None = None
    if_last_seq: int | None = None
    if_covered: int | None = None  # `last` of the newest summary; 0: there is none
    if_no_inbox: bool = False  # no message of this session waits for its answer

    truncate_after: int | None = None  # later lines go, and the next one is this + 1
    forget_through: int | None = None  # lines up to this go; `last_seq` stays
    append: tuple[NewMessage, ...] = ()
    summaries: tuple[Summary, ...] | None = None  # the whole set, replaced

    key: SessionKey | None = None
    identity: Identity | None = None
    state: State | None = None
    variables: Mapping[str, JsonValue] | None = None
    context: Mapping[str, JsonValue] | None = None
    metadata: Mapping[str, JsonValue] | None = None
    expires_at: datetime | Keep | None = KEEP
    last_activity: datetime | None = None

    revoke_tokens: bool = False
    tokens: tuple[TokenRow, ...] = ()

    become: str | None = None  # all its names now name that session, and what waits goes there
    remove: bool = False  # the session goes, with everything that is its own


@dataclass(frozen=True, slots=True)
class Stats:
    """How much a store holds."""

    sessions: int
    messages: int
    tokens: int
    inbox: int  # waiting for an answer
    outbox: int  # waiting for their channel
    dead: int  # given up
    active: int = 0  # sessions that have not ended
    active_messages: int = 0
    by_interface: Mapping[str, int] = field(default_factory=dict)  # active sessions
    hits: int = 0  # sessions that were asked for and in memory, since the store was opened
    misses: int = 0  # and that had to be read


class Store(Protocol):
    """The contract; `StoreContract` in `testing.py` holds every store to it."""

    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *exc_info: object) -> None: ...

    async def acquire(self, holder: str, *, partition: int = 0) -> Lease:
        """Take a partition with a new epoch; StoreHeld names the living holder who refuses it."""
        ...

    async def release(self, lease: Lease) -> None: ...

    async def session_for(
        self, key: SessionKey, *, now: datetime | None = None, new: NewSession | None = None
    ) -> Session:
        """The session of this key, made if it is new, in one atomic step."""
        ...

    async def session(self, ref: SessionRef) -> Session | None: ...

    async def load(self, ref: SessionRef) -> Loaded | None:
        """A session with its summaries and its last lines; from memory when it is there."""
        ...

    def loaded(self) -> Mapping[str, Loaded]:
        """What is in memory now, by session id."""
        ...

    def unload(self, session_id: str | None = None) -> None:
        """Let go of a session in memory, or of all."""
        ...

    async def sessions(
        self,
        *,
        limit: int = 100,
        before: int | None = None,
        active_since: datetime | None = None,
        bot: str | None = None,
        interface: str | None = None,
        user: str | None = None,
        states: Collection[State] | None = None,
    ) -> list[Session]:
        """The newest first; `before` is the `seq` to go on from."""
        ...

    async def due(self, now: datetime, *, limit: int = 500) -> list[Session]:
        """Sessions whose `expires_at` has come, in any state, the longest due first."""
        ...

    async def change(
        self, *changes: Change, memories: Sequence[Memory] = ()
    ) -> tuple[Session | None, ...]:
        """All of it or, with StoreConflict, nothing; the sessions as they are then, None if gone.

        A key may be taken over within one call: from a change before that ends or moves its owner.
        """
        ...

    async def append(
        self, session_id: str, messages: Sequence[NewMessage]
    ) -> tuple[StoredMessage, ...]:
        """Add lines to a conversation, in order and without a gap.

        The first one wakes a session that is new or idle, and makes it due at once, so that
        whoever looks after sessions sets its clock again. One that has ended is SessionEnded.
        """
        ...

    async def tail(self, session_id: str, count: int) -> tuple[StoredMessage, ...]:
        """The last lines of a conversation, oldest first."""
        ...

    async def messages(
        self, session_id: str, *, after: int = 0, limit: int = 100
    ) -> tuple[StoredMessage, ...]:
        """Lines with a `seq` above `after`, oldest first."""
        ...

    async def set_variables(
        self,
        session_id: str,
        variables: Mapping[str, JsonValue],
        *,
        base: Mapping[str, JsonValue] | None = None,
    ) -> None:
        """Replace the variables of a session, or merge them as a Turn with a `base` does."""
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

    async def ids_of(self, outbox_id: str) -> tuple[str, ...] | None:
        """What its channel calls a reply, nothing while it is not sent; None: no such reply."""
        ...

    def sent_soon(
        self, outbox_id: str, ids: Sequence[str], noted: Callable[[BaseException | None], None]
    ) -> None:
        """Like `sent`, with the next commit; `noted` is called then, with what went wrong."""
        ...

    async def failed(self, outbox_id: str, error: str) -> None:
        """The channel did not take it this time."""
        ...

    async def bury(self, outbox_id: str, error: str) -> None:
        """Give a reply up: it becomes a dead letter."""
        ...

    async def dead_letters(self, *, limit: int = 100) -> list[OutboxRow]: ...

    async def retry(self, outbox_id: str) -> None:
        """Send a dead letter once more, as if it had never been tried."""
        ...

    async def drop(self, outbox_id: str) -> None:
        """Forget a dead letter."""
        ...

    async def prune(self, before: datetime) -> int:
        """Forget which messages were answered, and which replies sent, before a moment.

        The copy of a message that is older still would be taken for a new one.
        """
        ...

    async def token(self, hash: str) -> TokenRow | None:
        """Find a token by the hash of it."""
        ...

    async def remember(self, *memories: Memory) -> None:
        """Keep what was learned about a user or a bot; one transaction."""
        ...

    async def memories(self, scope: str, owner: str) -> dict[str, JsonValue]: ...

    async def erase(self, user: str, *, bot: str | None = None) -> Mapping[str, int]:
        """Remove a user from every table and from the file itself; how many rows, by table."""
        ...

    async def stats(self) -> Stats: ...
