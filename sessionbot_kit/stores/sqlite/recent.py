"""The sessions used last, as they are on the disk: bounded, and in the loop's hands alone.

It changes after a commit, never before. A session that is written to while it is being read is
not kept from that reading; the next reading keeps it.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import JsonValue

from sessionbot_kit.context import Summary
from sessionbot_kit.models import Session, StoredMessage, Totals
from sessionbot_kit.store import ENDED, Loaded, SessionRef


@dataclass(slots=True, eq=False)
class Entry:
    """A session, its summaries, and the end of its conversation."""

    session: Session
    summaries: tuple[Summary, ...] = ()
    lines: list[StoredMessage] = field(default_factory=list)
    whole: bool = True  # the lines reach back to the first that is stored
    last_seq: int = 0
    live_messages: int = 0
    live_tokens: int = 0
    names: list[SessionRef] = field(default_factory=list)
    news: dict[str, Any] = field(default_factory=dict)  # what changed since `session` was made
    added: "Appended | None" = None  # the last lines that `session` does not know of

    def current(self) -> Session:
        """The session with what changed since; made when somebody asks, not at each append."""
        if self.added is not None:
            self.news["totals"] = Totals(messages=self.added.messages, tokens=self.added.tokens)
            self.news["last_activity"] = self.lines[-1].timestamp
            self.added = None
        if self.news:
            self.session = self.session.model_copy(update=self.news)
            self.news = {}
        return self.session


@dataclass(slots=True, eq=False)
class Reading:
    """A reading under way, and the sessions that were written to meanwhile."""

    touched: set[str] = field(default_factory=set)
    stale: bool = False  # another process wrote: nothing is known


@dataclass(slots=True, eq=False)
class Appended:
    """What a job has added to a conversation, and what that makes of its session."""

    session_id: str
    first: int
    new_tokens: int
    messages: int  # of the whole session
    tokens: int
    woken: datetime | None = None  # it was new or idle, and is due at this moment


class Recent:
    """At most `capacity` sessions, each with at most twice `lines` of its last lines."""

    def __init__(self, capacity: int, lines: int) -> None:
        self._capacity = capacity
        self._lines = lines
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._ids: dict[SessionRef, str] = {}
        self._readings: set[Reading] = set()
        self.hits = 0  # how often what was asked for was here
        self.misses = 0

    def find(self, ref: SessionRef) -> Entry | None:
        """Find a session by any of its names, and count it as used."""
        session_id = ref if ref in self._entries else self._ids.get(ref)
        if session_id is None:
            return None
        self._entries.move_to_end(session_id)  # type: ignore[arg-type]  # a key of it, so a str
        return self._entries[session_id]  # type: ignore[index]  # as above

    def view(self) -> Mapping[str, Loaded]:
        """What is kept now, by session id; looking at it does not count as use."""
        return _View(self._entries)

    def begin(self) -> Reading:
        """Say that something is being read, to know at the `end` whether it may be kept."""
        reading = Reading()
        self._readings.add(reading)
        return reading

    def end(self, reading: Reading) -> None:
        """Say that it was read, or could not be."""
        self._readings.discard(reading)

    def keep_read(self, reading: Reading, entry: Entry, ref: SessionRef) -> None:
        """Keep what was read, unless it changed since the reading began."""
        if not reading.stale and entry.session.id not in reading.touched:
            self.keep(entry, ref)

    def keep(self, entry: Entry, ref: SessionRef | None = None) -> None:
        """Keep what was read or made; `ref` is the name it was asked by."""
        session = entry.session
        self.forget(session.id)
        if session.state not in ENDED:
            entry.names.append(session.key)
        entry.names.append(session.seq)
        if ref is not None and ref != session.id and ref not in entry.names:
            entry.names.append(ref)  # an alias
        for name in entry.names:
            self._ids[name] = session.id
        self._entries[session.id] = entry
        if len(self._entries) > self._capacity:
            self.forget(next(iter(self._entries)))

    def appended(self, added: Appended, lines: Sequence[StoredMessage]) -> None:
        """Lines were committed."""
        if self._readings:
            self.touch(added.session_id)
        entry = self._entries.get(added.session_id)
        if entry is None:
            return
        count = len(lines)
        if added.first != entry.last_seq + 1:
            if added.first + count - 1 > entry.last_seq:
                self.forget(added.session_id)  # a gap: something was missed
            return  # else a reading has seen these lines already
        entry.lines += lines
        entry.last_seq += count
        entry.live_messages += count
        entry.live_tokens += added.new_tokens
        entry.added = added
        if len(entry.lines) > 2 * self._lines:
            del entry.lines[: -self._lines]
            entry.whole = False
        if added.woken is not None:
            entry.news["state"] = "active"
            entry.news["expires_at"] = added.woken

    def changed(self, session_id: str, variables: Mapping[str, JsonValue], version: int) -> None:
        """The variables of a session were committed."""
        self.touch(session_id)
        entry = self._entries.get(session_id)
        if entry is not None:
            entry.news["variables"] = variables
            entry.news["version"] = version

    def touch(self, session_id: str) -> None:
        """A session was written to: readings under way may have missed it."""
        for reading in self._readings:
            reading.touched.add(session_id)

    def forget(self, session_id: str) -> None:
        """Let go of a session."""
        entry = self._entries.pop(session_id, None)
        if entry is not None:
            for name in entry.names:
                if self._ids.get(name) == session_id:
                    del self._ids[name]

    def unname(self, ref: SessionRef) -> None:
        """A name leads somewhere else now."""
        self._ids.pop(ref, None)

    def clear(self) -> None:
        """Let go of everything."""
        self._entries.clear()
        self._ids.clear()
        for reading in self._readings:
            reading.stale = True


class _View(Mapping[str, Loaded]):
    """Makes a Loaded only of what somebody looks at."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = entries

    def __getitem__(self, session_id: str) -> Loaded:
        return loaded(self._entries[session_id])

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._entries))

    def __len__(self) -> int:
        return len(self._entries)


def loaded(entry: Entry) -> Loaded:
    """What others see of an entry."""
    return Loaded(
        session=entry.current(),
        summaries=entry.summaries,
        tail=tuple(entry.lines),
        last_seq=entry.last_seq,
        live_messages=entry.live_messages,
        live_tokens=entry.live_tokens,
    )
