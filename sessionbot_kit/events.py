"""What happens to a message on its way through the house, for everybody who watches.

    async for event in feed.watch():
        ...        # Received, Offered, Said, Sent, Failed, Swapped and so on

Events show; nothing depends on them. A watcher that is too slow loses the oldest ones and learns
how many it lost; a turn never waits for a watcher.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field

from sessionbot_kit.channel import Signal
from sessionbot_kit.models import IncomingMessage, OutgoingMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message is on the disk, and acknowledged."""

    turn: str
    session: str
    message: IncomingMessage
    at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A plugin kernel was asked to answer it."""

    turn: str
    session: str
    plugin: str
    kernel: str
    attempt: int
    at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepped:
    """A turn has come to a step, which is on the disk; it goes on."""

    turn: str
    session: str
    plugin: str
    kind: str
    replies: tuple[OutgoingMessage, ...] = ()
    at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A turn has ended in a question; its dialog goes on with the answer."""

    turn: str
    session: str
    plugin: str
    at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """The answer is on the disk, together with all that the turn changed."""

    turn: str
    session: str
    plugin: str | None
    replies: tuple[OutgoingMessage, ...]
    plugin_ms: float
    at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Something went wrong with a turn or with a reply; `error` says what."""

    turn: str
    session: str
    error: str
    at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The channel took a reply, and calls it by these ids."""

    turn: str
    session: str
    reply: str
    ids: tuple[str, ...]
    at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Swapped:
    """A plugin joined, took the place of another version, or left; it belongs to no turn."""

    plugin: str
    version: str | None  # None: it left
    before: str | None = None  # None: it is new
    error: str | None = None  # it could not start: the version before goes on
    turn: str = ""
    session: str = ""
    at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A shadow has run the copy of a turn: what was answered, and what it would have said."""

    turn: str
    session: str
    plugin: str
    kernel: str
    live: tuple[str, ...]
    shadow: tuple[str, ...]
    same: bool
    error: str | None = None
    would_do: str | None = None
    at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signaled:
    """A person did something other than say something: edited, reacted, is typing."""

    session: str  # empty, where there is none yet
    signal: Signal
    turn: str = ""  # it belongs to none
    at: float = field(default_factory=time.monotonic)


HouseEvent = (
    Received | Offered | Stepped | Said | Asked | Failed | Sent | Signaled | Swapped | Compared
)


class Watch:
    """One watcher's window: bounded, the oldest events go first."""

    def __init__(self, session: str | None, limit: int) -> None:
        self.lost = 0
        self._session = session
        self._events: deque[HouseEvent] = deque(maxlen=limit)
        self._waiting: asyncio.Future[None] | None = None

    def show(self, event: HouseEvent) -> None:
        """Keep an event for the watcher, who may live in another thread."""
        if self._session is not None and event.session != self._session:
            return
        self.lost += len(self._events) == self._events.maxlen
        self._events.append(event)
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            with suppress(RuntimeError):  # the watcher's loop is closed
                waiting.get_loop().call_soon_threadsafe(_wake, waiting)

    async def next(self) -> HouseEvent:
        while True:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting = waiting  # before the look, so that nothing slips in between
            if self._events:
                self._waiting = None
                return self._events.popleft()
            await waiting

    def take(self) -> list[HouseEvent]:
        """What happened and was not read yet, without waiting."""
        taken = []
        with suppress(IndexError):  # another thread may add meanwhile
            while True:
                taken.append(self._events.popleft())
        return taken


def _wake(waiting: "asyncio.Future[None]") -> None:
    if not waiting.done():
        waiting.set_result(None)


class Feed:
    """Tells everybody who watches. It costs nothing while nobody does."""

    def __init__(self, *, limit: int = 1000) -> None:
        self._limit = limit
        self._watches: list[Watch] = []

    def tell(self, event: HouseEvent) -> None:
        for watch in self._watches:
            watch.show(event)

    async def watch(self, session: str | None = None) -> AsyncIterator[HouseEvent]:
        """Events from now on, of one session or of all."""
        watch = self.open(session)
        try:
            while True:
                yield await watch.next()
        finally:
            self.close(watch)

    def open(self, session: str | None = None) -> Watch:
        """Begin to watch at once; `watch` begins only with its first step."""
        watch = Watch(session, self._limit)
        self._watches.append(watch)
        return watch

    def close(self, watch: Watch) -> None:
        self._watches.remove(watch)

    @property
    def watched(self) -> bool:
        return bool(self._watches)
