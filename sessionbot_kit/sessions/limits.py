"""How much a session may be and do, and the `config.csv` in which such limits are written.

    SessionLimits().per_minute                      # 60
    limits, clocks = read_config("session-timeout,900\nsession-rate-limit,30")

The one rule to remember: a limit that was reached is said, never applied in silence.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from pydantic import JsonValue

from sessionbot_kit.errors import MessageError, SettingsError, UsageError, VariableQuotaExceeded
from sessionbot_kit.models import Media
from sessionbot_kit.sessions.lifecycle import Clocks


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """The documented limits; each is a setting."""

    history: int = 50  # messages of a context
    variable_bytes: int = 1_000_000  # of one session, as JSON
    media_bytes: int = 10_000_000  # of one file
    loaded: int = 1_000  # sessions in memory; more are unloaded, never refused
    per_minute: int = 60  # messages of one session
    uncounted: tuple[str, ...] = ("loopback", "console")  # channels where the developer types

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if name != "uncounted" and getattr(self, name) < 1:
                raise SettingsError(f"{name} is {getattr(self, name)}; it must be at least 1")

    def check_variables(self, variables: Mapping[str, JsonValue]) -> None:
        """Refuse variables that are no JSON, or too many; the largest is named."""
        sizes = {}
        for name, value in variables.items():
            try:
                sizes[name] = len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode())
            except (TypeError, ValueError) as error:
                raise UsageError(
                    f"the variable {name} cannot be kept ({error}); give text, numbers, true, "
                    "false, null, or lists and mappings of them"
                ) from error
        total = sum(sizes.values()) + sum(len(name.encode()) + 4 for name in sizes)
        if total > self.variable_bytes:
            largest = max(sizes, key=lambda name: sizes[name])
            raise VariableQuotaExceeded(
                f"the variables take {total:,} bytes, and a session may have "
                f"{self.variable_bytes:,}; {largest} alone takes {sizes[largest]:,}"
            )

    def check_media(self, media: Iterable[Media]) -> None:
        """Refuse a file that is too large."""
        for file in media:
            size = file.size or len(file.data or b"")
            if size > self.media_bytes:
                raise MessageError(
                    f"{file.name or 'a file'} has {size:,} bytes; a file may have "
                    f"{self.media_bytes:,}. Send a link, or split it"
                )


_LIMITS: Final[Mapping[str, str]] = {
    "session-history-limit": "history",
    "session-variable-bytes": "variable_bytes",
    "session-upload-bytes": "media_bytes",
    "session-concurrent-limit": "loaded",
    "session-rate-limit": "per_minute",
}
_CLOCKS: Final[Mapping[str, str]] = {
    "session-timeout": "idle_after_s",
    "session-anonymous-expiry": "anonymous_expires_after_s",
    "session-authenticated-expiry": "authenticated_expires_after_s",
    "session-message-expiry": "message_expires_after_s",
}


def read_config(text: str, clocks: Clocks | None = None) -> tuple[SessionLimits, Clocks]:
    """Read `name,value` lines; spans are in seconds, or `never`. Other names are left alone."""
    limits: dict[str, int] = {}
    spans: dict[str, float | None] = {}
    for row in csv.reader(io.StringIO(text), skipinitialspace=True):
        if len(row) < 2:
            continue
        name, value = row[0].strip(), row[1].strip()
        if name in _LIMITS:
            limits[_LIMITS[name]] = int(_number(name, value))
        elif name in _CLOCKS:
            spans[_CLOCKS[name]] = None if value == "never" else _number(name, value)
        elif name.startswith("session-"):
            known = ", ".join([*_LIMITS, *_CLOCKS])
            raise SettingsError(f"config.csv names {name!r}, which is none of {known}")
    return SessionLimits(**limits), replace(clocks or Clocks(), **spans)  # type: ignore[arg-type]  # the names are the fields of _CLOCKS


def _number(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise SettingsError(f"config.csv: {name} is {value!r}; write a number") from None
