"""One telling of a dialog: how far its plugin has come in the journal, and what is new since.

    telling = Telling(message, variables={"n": 1}, turn="t2", journal=journal, ...)
    telling.recall("ask", "")        # what came of that step, or None when it is new
    telling.record("once", "order", 17)
    telling.take()                   # everything since the last step, to be made durable

Up to the last recorded step the world is the one in which the dialog began; there it goes over
into that of now (`live`). What a plugin says or changes before a step becomes durable together
with that step, so it is neither said nor counted again when the dialog is told once more.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

import orjson
from pydantic import JsonValue

from sessionbot_kit.errors import DialogTooLong
from sessionbot_kit.journal import MAX_BYTES, MAX_STEPS, Entry, Later, Progress, Replay
from sessionbot_kit.models import IncomingMessage, OutgoingMessage, StoredMessage
from sessionbot_kit.variables import Variables

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class DialogChanged(BaseException):
    """The plugin does not do what it did when the dialog began: it must begin again."""


class Telling:
    """The world of one dialog, as its plugin goes through it."""

    def __init__(
        self,
        message: IncomingMessage,
        *,
        variables: Mapping[str, JsonValue],
        turn: str = "",
        now: datetime = EPOCH,
        seed: int = 0,
        code: str = "",
        journal: tuple[Entry, ...] = (),
        anew: bool = False,
    ) -> None:
        self.turn = turn
        self.changed: str | None = None  # why the dialog must begin again
        self.heard, self.heard_at = message, now  # what came with this turn
        self.said = 0
        self._current = variables
        self._code = code
        self._anew = anew
        self._bytes = 0
        self._entries: list[Entry] = []
        self._replies: list[OutgoingMessage] = []
        self._later: list[Later] = []
        # The world in which the dialog began. Without a journal, that is now.
        self.first = self.message = message
        self.now, self.seed = now, seed
        self.variables = Variables(variables)
        self.edited = False
        self._replay = Replay(journal)
        self.live = self._replay.over
        self._begun = bool(journal) and journal[0].kind == "begin"
        if self._begun:
            self._go_back(journal)
        elif journal:
            self._entries = list(journal)  # done once, in a dialog that this one replaces

    def recall(self, kind: str, name: str) -> Entry | None:
        """What came of this step; None when it is new, and it is the time for new ones."""
        entry = self._replay.recall(kind, name)
        if entry is not None:
            if entry.kind != "kept":  # that was in another turn
                self.said = entry.said
        elif not self.live and kind != "say":  # something else to be said changes nothing
            named = f" named {name!r}" if name else ""
            self.differ(f"it comes to chat.{kind}{named}, which it did not do before")
        if self._replay.over and not self.live:
            self.live = True
            self.variables.renew(self._current)
        return entry

    def record(self, kind: str, name: str, value: Any) -> Entry:
        """Note what came of a new step."""
        entry = Entry(kind, name, value, self.turn, self.said)
        self._replay.note(entry)
        if self._replay.steps > MAX_STEPS:
            raise DialogTooLong(
                f"this dialog has more than {MAX_STEPS:,} steps; return from the plugin now and "
                "then, and keep the rest in chat.vars"
            )
        self._entries.append(entry)
        return entry

    def hear(self) -> None:
        """The message of this turn is the answer: the world goes on to it."""
        self.message, self.now, self.said = self.heard, self.heard_at, 0

    def utter(self, content: str | OutgoingMessage) -> str:
        """Say something together with the next step, unless it was said when this was new.

        Returns the id of the reply.
        """
        if not self.live:
            return ""
        id = f"{self.turn}/{self.said}"
        self.said += 1
        self._replies.append(
            self.message.reply(content, id=id)
            if isinstance(content, str)
            else content.model_copy(update={"id": id})
        )
        return id

    def postpone(self, later: Later) -> None:
        """Say something later, from the next step on."""
        if self.live:
            self._later.append(later)

    def differ(self, how: str) -> NoReturn:
        """The plugin does not do what it did."""
        self.changed = how
        raise DialogChanged(how)

    def take(self, *, steps: bool = True) -> Progress:
        """Everything since the last step. A dialog that is over needs no journal."""
        progress = Progress(
            entries=self._journaled() if steps else (),
            replies=tuple(self._replies),
            variables=self.variables.changes(),
            later=tuple(self._later),
            anew=self._anew,
        )
        self._entries, self._replies, self._later, self._anew = [], [], [], False
        return progress

    def _go_back(self, journal: tuple[Entry, ...]) -> None:
        world: Any = journal[0].value
        self.first = self.message = IncomingMessage.model_validate(world["message"])
        self.now, self.seed = datetime.fromisoformat(world["now"]), world["seed"]
        self.edited = world["code"] != self._code
        self._bytes = sum(_weight(entry) for entry in journal)
        if not self.live:
            self.variables = Variables(world["variables"])

    def _journaled(self) -> tuple[Entry, ...]:
        entries = [_packed(entry) for entry in self._entries]
        self._bytes += sum(_weight(entry) for entry in entries)
        if self._bytes > MAX_BYTES:
            raise DialogTooLong(
                f"the steps of this dialog hold {self._bytes:,} bytes; at most {MAX_BYTES:,}. "
                "Keep large things in a file, and return its name from chat.once"
            )
        if entries and not self._begun:
            self._begun = True
            entries.insert(0, self._beginning())
        return tuple(entries)

    def _beginning(self) -> Entry:
        world: dict[str, JsonValue] = {
            "message": as_json(self.first),
            "variables": dict(self._current),
            "now": self.heard_at.isoformat(),
            "seed": self.seed,
            "code": self._code,
        }
        return Entry("begin", "", world, self.turn)


def as_json(model: IncomingMessage | StoredMessage) -> JsonValue:
    """A message as a journal keeps it."""
    packed: JsonValue = model.model_dump(mode="json", exclude_defaults=True)
    return packed


def _packed(entry: Entry) -> Entry:
    # Lines of history are made into JSON only when a journal is in fact written.
    if entry.kind != "history":
        return entry
    lines: Any = entry.value
    return replace(entry, value=[as_json(line) for line in lines])


def _weight(entry: Entry) -> int:
    """What a step counts. Messages are not the plugin's to keep small."""
    if entry.kind in ("begin", "answer"):
        return 0
    return len(orjson.dumps(entry.value))
