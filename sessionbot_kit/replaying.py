"""Runs a recording again, and says where it comes out differently.

    replay = await replay_with(pizza, Recording.load("pizza.jsonl"))
    replay.same                      # True, or False; and then:
    print(replay)                    # turn by turn, what was said and what is said now

Each turn is given the very snapshot, journal, clock and seed that it had. What it did only once
(`chat.once`) is not done again: its value is recalled. The one rule to remember: a plugin that
draws by chance or asks the time by itself comes out differently; `chat.random` and `chat.now` are
the same in each run.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from sessionbot_kit.dialog import Port
from sessionbot_kit.handover import adopt
from sessionbot_kit.journal import Progress
from sessionbot_kit.link import Result
from sessionbot_kit.recording import Recording, Take, document_of, version_of
from sessionbot_kit.registry import Declared, Registry
from sessionbot_kit.runner import Runner
from sessionbot_kit.tables import Table

SHORT: Final = 12
WIDE: Final = 60
_PLACE = re.compile(r" \([^()]*:\d+ in [^()]*\)$")


@dataclass(frozen=True, slots=True, repr=False)
class Replay:
    """A recording, and the same turns as other code has played them."""

    recording: Recording
    played: tuple[Take, ...]
    version: str

    @property
    def differences(self) -> tuple[str, ...]:
        """A line for each turn that came out differently: which one, and how."""
        return tuple(
            f"turn {number} ({_heard(before)}): {how}"
            for number, (before, after) in enumerate(self._pairs(), 1)
            if (how := difference(before, after))
        )

    @property
    def same(self) -> bool:
        return not self.differences

    def table(self) -> Table:
        """What was said and what is said now."""
        rows = [
            (
                number,
                _heard(before),
                _said(before),
                "the same" if not difference(before, after) else _said(after),
            )
            for number, (before, after) in enumerate(self._pairs(), 1)
        ]
        old, new = self.recording.version[:SHORT], self.version[:SHORT]
        note = "; ".join(self.differences) or _count(len(rows))
        columns = ("turn", "heard", f"said by {old}", f"says {new}")
        return Table(f"Replay of {self.recording.plugin}", columns, rows, note=note)

    def _pairs(self) -> list[tuple[Take, Take]]:
        return list(zip(self.recording.takes, self.played, strict=True))

    def __repr__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return self.table().html()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._repr_html_()}


async def replay_with(
    plugin: Declared, recording: Recording, *, turn_timeout_s: float = 30.0
) -> Replay:
    """Start a plugin by itself, give it the state of the recording, and let it play each turn."""
    registry = Registry([plugin])
    await registry.start()
    runner = Runner(turn_timeout_s=turn_timeout_s)
    try:
        if recording.handed is not None and hasattr(plugin, "adopt"):
            await adopt(plugin, recording.handed)
        played = [await _play(runner, plugin, take) for take in recording.takes]
    finally:
        runner.stop()
        await registry.stop()
    return Replay(recording, tuple(played), version_of(plugin))


async def _play(runner: Runner, plugin: Declared, take: Take) -> Take:
    # Its id may be another one by now; the code is what is asked.
    offer = replace(take.offer, plugin=plugin.meta.id)
    port = Recalling(take)
    result = await runner.run(plugin, offer, port)
    if port.ran_out and take.result.error is not None:
        result = replace(result, error=take.result.error)  # it failed outside, and does so again
    return Take(take.offer, tuple(port.steps), result)


class Recalling(Port):
    """The port of a turn that is played again: nothing goes out, and what came in comes again."""

    def __init__(self, take: Take) -> None:
        self.steps: list[Progress] = []
        self.ran_out = False
        self._values = [
            entry.value for step in take.steps for entry in step.entries if entry.kind == "once"
        ][::-1]

    async def step(self, progress: Progress) -> None:
        self.steps.append(progress)

    async def call(self, function: Callable[[], Any]) -> Any:
        if not self._values:
            self.ran_out = True
            raise LookupError("it does something once that was not recorded; record a new turn")
        return self._values.pop()

    async def show(self, kind: str) -> None:
        pass


def difference(before: Take, after: Take) -> str:
    """How one turn differs from another, in one line; empty if it does not."""
    old, new = _essence(before), _essence(after)
    if old == new:
        return ""
    if old["error"] != new["error"]:
        return f"{_ended(old['error'])}; now {_ended(new['error'])}"
    if old["said"] != new["said"]:
        return f"said {_listed(old['said'])}; now {_listed(new['said'])}"
    if old["variables"] != new["variables"]:
        return (
            _first_key(old["variables"] or {}, new["variables"] or {}) or "it sets other variables"
        )
    if old["asks"] != new["asks"]:
        return "it asks no more" if old["asks"] else "it asks now"
    was, now = _kinds(old["entries"]), _kinds(new["entries"])
    if was != now:
        return f"took the steps {was or 'none'}; now {now or 'none'}"
    return next(f"{key} differs" for key in old if old[key] != new[key])


def _essence(take: Take) -> dict[str, Any]:
    """What counts of a turn: not how long it took, nor which lines of code it was."""
    document = document_of(take)
    result, steps = document["result"], document["steps"]
    parts = [*steps, result]
    replies = [reply for part in parts for reply in part.get("replies", ())]
    entries = [entry for part in parts for entry in part.get("entries", ())]
    for entry in entries:
        if entry["kind"] == "begin":
            entry["value"].pop("code", None)
    return {
        "error": _PLACE.sub("", result.get("error") or ""),
        "said": [reply["content"] for reply in replies],
        "replies": replies,
        "variables": next(
            (part["variables"] for part in reversed(parts) if part.get("variables") is not None),
            None,
        ),
        "asks": result.get("asks", False),
        "timeout": result.get("timeout_s"),
        "entries": entries,
        "later": [later for part in parts for later in part.get("later", ())],
        "begins anew": "changed" in result,
    }


def _count(turns: int) -> str:
    return "1 turn, and it is the same" if turns == 1 else f"{turns} turns, all of them the same"


def _ended(error: str) -> str:
    return f"failed with {error}" if error else "was fine"


def _listed(said: list[str]) -> str:
    return " and ".join(repr(_brief(text)) for text in said) or "nothing"


def _kinds(entries: list[Any]) -> str:
    return ", ".join(
        f"{entry['kind']} {entry.get('name', '')}".rstrip()
        for entry in entries
        if entry["kind"] not in ("begin", "answer")
    )


def _first_key(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    for key in dict.fromkeys((*old, *new)):
        if old.get(key) != new.get(key) or (key in old) != (key in new):
            was = repr(old[key]) if key in old else "not there"
            now = repr(new[key]) if key in new else "not there"
            return f"variable {key} was {_brief(was)}; now {_brief(now)}"
    return ""


def _heard(take: Take) -> str:
    message = take.offer.message
    return _brief(message.raw_content or message.content)


def _said(take: Take) -> str:
    if take.result.error is not None:
        return f"failed: {_PLACE.sub('', take.result.error)}"
    parts: tuple[Progress | Result, ...] = (*take.steps, take.result)
    return (
        " | ".join(_brief(reply.content) for part in parts for reply in part.replies) or "(nothing)"
    )


def _brief(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= WIDE else f"{line[: WIDE - 1]}…"
