"""The journal of a dialog, and how it is told again.

A plugin that asked a question is not kept waiting: it has ended. With the answer it is run again
from its first line, and each step it takes finds here what came of it the first time:

    begin   the first message, the variables, the clock and a seed: the world it began in
    ask     "Small or large?"
    answer  {"text": "large"}
    once    what the function gave back

A step is found by its kind, its name and its order among those; after the last one begins what
never happened before. One rule to remember: what is in a journal was done, and is not done again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import JsonValue

from sessionbot_kit.models import OutgoingMessage

MAX_STEPS = 1000
MAX_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a journal: a step, and what came of it."""

    kind: str  # begin, kept, ask, answer, say, once, history, ...
    name: str = ""
    value: JsonValue = None
    turn: str = ""  # the turn in which it was written
    said: int = 0  # how many replies that turn had made by then


@dataclass(frozen=True, slots=True)
class Journal:
    """The steps of one dialog; its id is that of the turn that began it."""

    id: str
    plugin: str
    entries: tuple[Entry, ...] = ()
    open: bool = False  # it waits for an answer

    @property
    def questions(self) -> int:
        """How many there were; the last one may be open."""
        return sum(entry.kind == "ask" for entry in self.entries)


@dataclass(frozen=True, slots=True)
class Later:
    """Something to be said, or done, at a moment to come."""

    due: datetime
    text: str
    kind: str = "later"  # or transfer: the conversation goes on elsewhere
    about: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Progress:
    """What a turn has done since its last step. It becomes durable together, or not at all."""

    entries: tuple[Entry, ...] = ()
    replies: tuple[OutgoingMessage, ...] = ()
    variables: Mapping[str, JsonValue] | None = None  # None: unchanged
    later: tuple[Later, ...] = ()
    anew: bool = False  # the journal that was offered does not fit any more; this begins another


class Replay:
    """Gives back recorded steps in the order in which a plugin asks for them."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._found: dict[tuple[str, str, int], Entry] = {}
        self._kept: dict[str, Entry] = {}
        self._asked_for: dict[tuple[str, str], int] = {}
        self._last: Entry | None = None
        self.steps = 0
        counts: dict[tuple[str, str], int] = {}
        for entry in entries:
            if entry.kind == "begin":
                continue
            if entry.kind == "kept":
                self._kept[entry.name] = entry
                continue
            key = entry.kind, entry.name
            counts[key] = order = counts.get(key, 0) + 1
            self._found[*key, order] = self._last = entry
            self.steps += entry.kind != "answer"

    @property
    def over(self) -> bool:
        """Whether everything that was recorded up to the last step has been told."""
        return self._last is None

    def recall(self, kind: str, name: str = "") -> Entry | None:
        """What came of the next step of this kind and name; None when it was not recorded.

        What is done once in a dialog is found again, however often it is asked for.
        """
        if kind == "once":
            return self._told(self._found.get((kind, name, 1))) or self._kept.get(name)
        key = kind, name
        self._asked_for[key] = order = self._asked_for.get(key, 0) + 1
        return self._told(self._found.get((*key, order)))

    def note(self, entry: Entry) -> None:
        """Add a step that has happened just now."""
        self.steps += entry.kind != "answer"
        if entry.kind == "once":
            self._kept[entry.name] = entry

    def _told(self, entry: Entry | None) -> Entry | None:
        if entry is not None and entry is self._last:
            self._last = None
        return entry


def taken_back(entries: Iterable[Entry], turn: str) -> tuple[Entry, ...]:
    """The journal as if this turn had not been, but for what it did only once."""
    entries = tuple(entries)
    kept = carried(entry for entry in entries if entry.turn == turn)
    return (*(entry for entry in entries if entry.turn != turn), *kept)


def carried(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """What outlives a dialog that begins again: things that were to be done only once."""
    return tuple(
        Entry("kept", entry.name, entry.value, entry.turn)
        for entry in entries
        if entry.kind in ("once", "kept")
    )
