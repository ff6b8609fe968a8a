"""Frames that a peer should not send, from a file, each with what must become of it.

    for case in load("core"):          # or "wire": raw WebSocket frames; or "upgrade": HTTP
        for step in case.steps():
            ...

`expect` is accept, ignore, reject, close(code) or http(status). A step is a frame (text, or bytes
where the file gives hex) or a `Wait`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

DATA = Path(__file__).parent / "data"
FILES = ("bad_frames.jsonl", "more_bad_frames.jsonl")

Level = Literal["core", "wire", "upgrade"]


@dataclass(frozen=True)
class Wait:
    """Time that passes between two frames."""

    seconds: float


@dataclass(frozen=True)
class Case:
    """One line of the file."""

    name: str
    frames: list[dict[str, Any]]
    expect: str
    why: str = ""
    code: str | None = None
    legacy: bool = False
    http: dict[str, Any] | None = None
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def level(self) -> Level:
        if self.http is not None:
            return "upgrade"
        raw = any("raw" in frame for frame in self.frames)
        return "wire" if raw or self.more else "core"

    def steps(self) -> Iterator[str | bytes | Wait]:
        """What arrives, one after another."""
        for frame in self.frames:
            yield from _steps(frame)


def load(level: Level) -> list[Case]:
    """The cases of one level."""
    cases = []
    for name in FILES:
        for line in (DATA / name).read_text("utf-8").splitlines():
            found = json.loads(line)
            known = {key: found.pop(key) for key in list(found) if key in _FIELDS}
            case = Case(**known, more=found)
            if "legacy shim only" in case.why:
                case = Case(**{**known, "legacy": True}, more=found)
            cases.append(case)
    return [case for case in cases if case.level == level]


def text_fragment(message_id: str, index: int, total: int, data: str) -> str:
    return json.dumps({"messageId": message_id, "index": index, "total": total, "data": data})


_FIELDS = ("name", "frames", "expect", "why", "code", "legacy", "http")


def _steps(frame: dict[str, Any]) -> Iterator[str | bytes | Wait]:
    if "text" in frame:
        yield frame["text"]
    elif "hex" in frame:
        yield bytes.fromhex(frame["hex"])
    elif "fill" in frame:
        yield _filled(**frame["fill"])
    elif "sleep_ms" in frame:
        yield Wait(frame["sleep_ms"] / 1000)
    elif "step" in frame:
        # The file writes F(index, total, 'x'*count, 'id$i').
        count = int(frame["step"].partition("*")[2].partition(",")[0])
        index, total = frame["step"].removeprefix("F(").split(",")[:2]
        for number in range(frame["repeat"]):
            yield text_fragment(f"id{number}", int(index), int(total), "x" * count)
    else:
        yield bytes.fromhex(frame["raw"])


def _filled(char: str, n: int, wrap: dict[str, Any] | None = None) -> str:
    if wrap is None:
        return char * n
    return json.dumps({key: char * n if value == "$" else value for key, value in wrap.items()})
