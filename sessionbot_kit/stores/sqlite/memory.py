"""What was read or written lately: the ends of conversations, bounded, in the loop's hands.

Only the loop touches it, and only after a commit. A conversation that is being read while it is
written to is not kept from that reading: the next reading gets it whole.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import JsonValue

from sessionbot_kit.models import Session, SessionKey, StoredMessage, Totals

MAX_LINES: Final = 100


@dataclass(slots=True, eq=False)
class Loaded:
    """What is known of one session."""

    session: Session | None = None
    lines: list[StoredMessage] | None = None
    whole: bool = False  # the lines reach back to the first one


@dataclass(slots=True, eq=False)
class Reading:
    """A reading under way; `stale` once the session changed meanwhile."""

    session_id: str
    stale: bool = False


class Memory:
    """The sessions used last, at most `capacity` of them."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._loaded: OrderedDict[str, Loaded] = OrderedDict()
        self._ids: dict[SessionKey | int, str] = {}
        self._readings: dict[str, list[Reading]] = {}

    def __len__(self) -> int:
        return len(self._loaded)

    def session(self, ref: str | int | SessionKey) -> Session | None:
        session_id = ref if isinstance(ref, str) else self._ids.get(ref)
        loaded = self._loaded.get(session_id) if session_id is not None else None
        if loaded is None or loaded.session is None:
            return None
        self._loaded.move_to_end(loaded.session.id)
        return loaded.session

    def tail(self, session_id: str, count: int) -> tuple[StoredMessage, ...] | None:
        loaded = self._loaded.get(session_id)
        if loaded is None or loaded.lines is None:
            return None
        if len(loaded.lines) < count and not loaded.whole:
            return None
        self._loaded.move_to_end(session_id)
        return tuple(loaded.lines[-count:]) if count > 0 else ()

    def begin(self, session_id: str) -> Reading:
        """Say that a session is being read; give what was found to `keep_*`."""
        reading = Reading(session_id)
        self._readings.setdefault(session_id, []).append(reading)
        return reading

    def end(self, reading: Reading) -> bool:
        """True if nothing was changed since the reading began."""
        readings = self._readings[reading.session_id]
        readings.remove(reading)
        if not readings:
            del self._readings[reading.session_id]
        return not reading.stale

    def keep_session(self, session: Session) -> None:
        loaded = self._entry(session.id)
        loaded.session = session
        self._ids[session.key] = session.id
        self._ids[session.seq] = session.id

    def keep_tail(self, session_id: str, lines: list[StoredMessage], *, whole: bool) -> None:
        loaded = self._entry(session_id)
        loaded.lines, loaded.whole = lines, whole

    def appended(
        self, session_id: str, lines: Sequence[StoredMessage], totals: Totals, at: datetime
    ) -> None:
        """Lines were committed."""
        self._spoil(session_id)
        loaded = self._loaded.get(session_id)
        if loaded is None or not lines:
            return
        if loaded.lines is not None:
            self._extend(loaded, loaded.lines, lines)
        if loaded.session is not None:
            loaded.session = loaded.session.model_copy(
                update={"totals": totals, "last_activity": at, "state": _awake(loaded.session)}
            )

    def changed(self, session_id: str, variables: Mapping[str, JsonValue]) -> None:
        """The variables of a session were committed."""
        self._spoil(session_id)
        loaded = self._loaded.get(session_id)
        if loaded is not None and loaded.session is not None:
            loaded.session = loaded.session.model_copy(update={"variables": variables})

    def forget(self, session_id: str) -> None:
        self._spoil(session_id)
        loaded = self._loaded.pop(session_id, None)
        if loaded is not None:
            self._unname(loaded)

    def clear(self) -> None:
        """Another process has written: nothing that is kept can be trusted."""
        self._loaded.clear()
        self._ids.clear()
        for session_id in self._readings:
            self._spoil(session_id)

    def _extend(
        self, loaded: Loaded, known: list[StoredMessage], lines: Sequence[StoredMessage]
    ) -> None:
        last = known[-1].seq if known else (0 if loaded.whole else -1)
        fresh = [line for line in lines if line.seq > last]
        if fresh and known and fresh[0].seq != last + 1:
            loaded.lines = None  # a gap: read again
            return
        known.extend(fresh)
        if len(known) > MAX_LINES + MAX_LINES // 4:
            del known[:-MAX_LINES]
            loaded.whole = False

    def _entry(self, session_id: str) -> Loaded:
        loaded = self._loaded.get(session_id)
        if loaded is None:
            loaded = self._loaded[session_id] = Loaded()
            if len(self._loaded) > self._capacity:
                self._unname(self._loaded.popitem(last=False)[1])
        else:
            self._loaded.move_to_end(session_id)
        return loaded

    def _unname(self, loaded: Loaded) -> None:
        if loaded.session is not None:
            self._ids.pop(loaded.session.key, None)
            self._ids.pop(loaded.session.seq, None)

    def _spoil(self, session_id: str) -> None:
        for reading in self._readings.get(session_id, ()):
            reading.stale = True


def _awake(session: Session) -> str:
    return "active" if session.state in ("new", "idle") else session.state
