"""The variables of a session while a plugin holds them: a copy that knows what has changed.

    variables = Variables({"cart": ["tea"]})
    variables.open()["cart"].append("milk")      # the session's own list stays as it is
    variables.changes()                          # -> {"cart": ["tea", "milk"]}
    variables.changes()                          # -> None: nothing since

One rule to remember: what a plugin took out of its variables stays a part of them, even when they
are brought up to date: containers are changed in place, not exchanged.
"""

import math
from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import JsonValue

from sessionbot_kit.errors import UsageError

MAX_BYTES = 1_000_000
KEEP = "keep text, finite numbers, true, false, None, or lists and dicts of them"


class Variables:
    """A copy through and through, made when somebody looks."""

    def __init__(self, source: Mapping[str, JsonValue]) -> None:
        self.source = source
        self._before = b""
        self._data: dict[str, JsonValue] | None = None

    def open(self) -> dict[str, JsonValue]:
        """The copy, to read and to change."""
        if self._data is None:
            self._before = orjson.dumps(dict(self.source))
            self._data = orjson.loads(self._before)
        return self._data

    def renew(self, source: Mapping[str, JsonValue]) -> None:
        """Forget what was changed, and go on with other values in the same places."""
        self.source = source
        if self._data is not None:
            become(self._data, orjson.loads(orjson.dumps(dict(source))))
            self._before = orjson.dumps(self._data)  # the order of the keys is ours

    def changes(self) -> dict[str, JsonValue] | None:
        """The variables as they are, or None when they are as they were at the last call."""
        if self._data is None:
            return None
        try:
            after = orjson.dumps(self._data)
        except TypeError as error:
            found = strange(self._data) or f"what is not JSON: {error}"
            raise UsageError(f"chat.vars{found}; {KEEP}") from error
        if after == self._before:
            return None
        if len(after) > MAX_BYTES:
            raise UsageError(
                f"chat.vars holds {len(after):,} bytes; at most {MAX_BYTES:,}. "
                "Keep large things in a file, and its name here"
            )
        kept: dict[str, JsonValue] = orjson.loads(after)
        # A date comes back as a text, and no number as null: nobody would notice until it matters.
        if kept != self._data and (found := strange(self._data)):
            raise UsageError(f"chat.vars{found}; {KEEP}")
        self._before = after
        return kept


def strange(value: Any, place: str = "") -> str:
    """Where something in variables is not JSON, and what it is; empty if all of it is."""
    match value:
        case None | bool() | int() | str():
            return ""
        case float():
            return "" if math.isfinite(value) else f"{place} is {value}"
        case dict():
            for key, inner in value.items():
                if not isinstance(key, str):
                    return f"{place} has the key {key!r}"
                if found := strange(inner, f"{place}[{key!r}]"):
                    return found
            return ""
        case list() | tuple():
            inside = (strange(inner, f"{place}[{n}]") for n, inner in enumerate(value))
            return next(filter(None, inside), "")
    return f"{place} holds a value of type {type(value).__name__}"


def become(data: Any, other: Any) -> Any:
    """Make containers equal to others, in place as far as they are of the same kind."""
    if isinstance(data, dict) and isinstance(other, dict):
        for key in data.keys() - other.keys():
            del data[key]
        for key, value in other.items():
            data[key] = become(data.get(key), value)
        return data
    if isinstance(data, list) and isinstance(other, list):
        data[:] = [
            *(become(mine, theirs) for mine, theirs in zip(data, other, strict=False)),
            *other[len(data) :],
        ]
        return data
    return other
