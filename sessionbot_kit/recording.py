"""What a plugin was asked and what it did, turn by turn, as lines of JSON.

    bot = Bot(pizza, record="own")
    await bot.hear("!pizza")
    recording = bot.recordings("pizza")[-1]
    recording.save("pizza.jsonl")             # and Recording.load("pizza.jsonl")

A turn is recorded whole: the message, the snapshot of the session, the journal of its dialog, the
clock and the seed it was given, each step, and the result. So it can be run again anywhere, also
against other code (`replaying.py`). Each version of a plugin has a recording of its own, which
begins with the state that the version began with.

The one rule to remember: **only chats of your own are recorded**, those of the loopback and the
console, unless `record="all"` asks for those of real people too.
"""

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import orjson

from sessionbot_kit.errors import UsageError
from sessionbot_kit.handover import Handed
from sessionbot_kit.journal import Progress
from sessionbot_kit.link import Offer, Result
from sessionbot_kit.registry import Declared

if TYPE_CHECKING:  # making one costs more than starting a bot
    from pydantic import TypeAdapter

log = logging.getLogger(__name__)

FORMAT: Final = 1
OWN_CHANNELS: Final = frozenset({"loopback", "console"})
MAX_TURNS: Final = 1_000
MAX_BYTES: Final = 8 * 1024 * 1024
MAX_GENERATIONS: Final = 10

What = Literal["drafts", "own", "all", "nothing"]


@dataclass(frozen=True, slots=True)
class Take:
    """One turn: what was offered, what became durable on the way, and what came of it."""

    offer: Offer
    steps: tuple[Progress, ...]
    result: Result


@dataclass(frozen=True, slots=True)
class Recording:
    """The turns of one version of a plugin, and the state that it began with."""

    plugin: str
    version: str
    handed: Handed | None = None  # by the version before it, if there was one with a state
    takes: tuple[Take, ...] = field(default=(), repr=False)

    def text(self) -> str:
        """One line that says whose it is, then one for each turn."""
        head = {
            "recording": FORMAT,
            "plugin": self.plugin,
            "version": self.version,
            "handed": self.handed,
        }
        return "\n".join((json.dumps(head), *map(line_of, self.takes), ""))

    def save(self, path: str | Path) -> None:
        Path(path).write_text(self.text(), "utf-8")

    @classmethod
    def load(cls, path: str | Path) -> "Recording":
        """Read what `save` wrote."""
        return cls.read(Path(path).read_text("utf-8"), str(path))

    @classmethod
    def read(cls, text: str, name: str = "the recording") -> "Recording":
        """Understand what `text` gives."""
        first, *lines = [line for line in text.split("\n") if line] or [""]
        try:
            head = json.loads(first)
            if head.pop("recording") != FORMAT:
                raise ValueError("it is of another version of the toolkit")
            handed = head.pop("handed", None)
            takes = tuple(map(take_of, lines))
            return cls(**head, handed=Handed(*handed) if handed else None, takes=takes)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UsageError(f"{name} is not a recording: {_brief(error)}; record it anew") from (
                error
            )

    @property
    def people(self) -> tuple[str, ...]:
        """Who talks in it, in the order in which they came."""
        return tuple(dict.fromkeys(take.offer.message.sender_id for take in self.takes))

    @property
    def strangers(self) -> tuple[str, ...]:
        """The channels in it that are not one's own."""
        channels = (take.offer.message.channel_type for take in self.takes)
        return tuple(dict.fromkeys(name for name in channels if name not in OWN_CHANNELS))

    def __repr__(self) -> str:
        count = len(self.takes)
        return f"recording of {self.plugin} {self.version[:12]}: {count} turn{'s' * (count != 1)}"


class Recorder:
    """Records the turns of a plugin kernel, up to a limit for each version of each plugin."""

    def __init__(
        self,
        what: What = "drafts",
        *,
        max_turns: int = MAX_TURNS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        if what not in ("drafts", "own", "all", "nothing"):
            raise UsageError(f"record={what!r}; write drafts, own, all or nothing")
        self.what = what
        self._max_turns = max_turns
        self._max_bytes = max_bytes
        self._generations: dict[str, list[_Generation]] = {}

    def begin(self, plugin: Declared, handed: Handed | None = None) -> None:
        """A version serves from now on, with the state that it was handed."""
        if not self._follows(plugin):
            return
        past = self._generations.setdefault(plugin.meta.id, [])
        if past and past[-1].plugin is plugin:
            return
        past.append(_Generation(plugin, version_of(plugin), handed))
        del past[:-MAX_GENERATIONS]

    def end(self, plugin: Declared) -> None:
        """A version serves no more, and its code may go."""
        for generation in self._generations.get(plugin.meta.id, ()):
            if generation.plugin is plugin:
                generation.plugin = None

    def note(
        self, plugin: Declared, offer: Offer, steps: Iterable[Progress], result: Result
    ) -> None:
        """A turn is over."""
        if not self._follows(plugin):
            return
        if self.what != "all" and offer.message.channel_type not in OWN_CHANNELS:
            return
        # A turn that began before a swap may end after it.
        for generation in reversed(self._generations.get(plugin.meta.id, ())):
            if generation.plugin is plugin:
                try:
                    line = line_of(Take(offer, tuple(steps), result))
                except ValueError as error:  # half a character in an error's text, say
                    extra = {"plugin": plugin.meta.id, "turn": offer.turn, "error": str(error)}
                    return log.warning("turn not recorded", extra=extra)
                return generation.add(line, offer, self._max_turns, self._max_bytes)

    def recordings(self, plugin: str) -> tuple[Recording, ...]:
        """What was recorded of each version of a plugin, the oldest first."""
        return tuple(one.recording() for one in self._generations.get(plugin, ()))

    def forget(self, user: str) -> int:
        """Drop every turn in which somebody spoke; how many there were."""
        generations = [one for past in self._generations.values() for one in past]
        return sum(generation.forget(user) for generation in generations)

    def _follows(self, plugin: Declared) -> bool:
        if self.what == "drafts":
            return is_draft(plugin)
        return self.what != "nothing"


class _Generation:
    """One version of a plugin as it serves. Turns are kept as text: that bounds what they weigh."""

    def __init__(self, plugin: Declared, version: str, handed: Handed | None) -> None:
        self.plugin: Declared | None = plugin
        self._id = plugin.meta.id
        self._version = version
        self._handed = handed
        self._lines: list[tuple[str, str]] = []  # who spoke, and the turn
        self._bytes = 0
        self._full = False

    def add(self, line: str, offer: Offer, max_turns: int, max_bytes: int) -> None:
        if self._full:
            return
        self._bytes += len(line)
        if len(self._lines) == max_turns or self._bytes > max_bytes:
            # Not the oldest: what comes later may rest on the state that they made.
            self._full = True
            log.warning(
                "recording is full, later turns are not recorded",
                extra={"plugin": self._id, "turns": len(self._lines)},
            )
            return
        self._lines.append((offer.message.sender_id, line))

    def forget(self, user: str) -> int:
        before = len(self._lines)
        self._lines = [(who, line) for who, line in self._lines if who != user]
        return before - len(self._lines)

    def recording(self) -> Recording:
        takes = tuple(take_of(line) for _, line in self._lines)
        return Recording(self._id, self._version, self._handed, takes)


def is_draft(plugin: Declared) -> bool:
    """Whether a plugin comes from a cell or a file, and not from what is installed."""
    return getattr(plugin, "edition", None) is not None


def version_of(plugin: Any) -> str:
    """The sha256 of the plugin's bytes, or else the version that it gives itself."""
    edition = getattr(plugin, "edition", None)
    return str(plugin.meta.version if edition is None else edition.version)


def line_of(take: Take) -> str:
    """A turn as one line of JSON."""
    return _takes().dump_json(take, exclude_defaults=True).decode()


def take_of(line: str) -> Take:
    """A turn from its line; a ValueError when it is none."""
    return _takes().validate_json(line)


def document_of(take: Take) -> Any:
    """A turn as plain data."""
    return orjson.loads(line_of(take))


@cache
def _takes() -> "TypeAdapter[Take]":
    from pydantic import TypeAdapter

    return TypeAdapter(Take)


def _brief(error: Exception) -> str:
    describe: Callable[..., Any] | None = getattr(error, "errors", None)
    if describe is None:
        return " ".join(str(error).split())[:200]
    fault = describe(include_url=False)[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
