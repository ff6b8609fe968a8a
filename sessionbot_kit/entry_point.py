"""Writes the entry point of a plugin into a pyproject.toml, and nothing else.

    with_entry(text, "greet", "my_bot.greet:greet")

The text around it stays as its owner wrote it. What comes out is read again and compared: if
anything but this entry has changed, nothing is written. The one rule to remember: an entry point
is seen by Python only when its project is installed anew.
"""

import re
import tomllib
from typing import Any, Final

from sessionbot_kit.errors import UsageError

GROUP: Final = "sessionbot_kit.plugins"
_HEADER = re.compile(
    r"""^\[\s*project\s*\.\s*entry-points\s*\.\s*["']sessionbot_kit\.plugins["']\s*\].*$""", re.M
)


def with_entry(text: str, name: str, value: str) -> str:
    """The text of a pyproject.toml with this entry point."""
    before = _read(text)
    if _entries(before).get(name) == value:
        return text
    line = f"{_quoted(name)} = {_quoted(value, always=True)}"
    header = _HEADER.search(text)
    if name in _entries(before):
        raise UsageError(
            f"pyproject.toml has {name} = {_entries(before)[name]!r} already; change it to {line}"
        )
    if header is not None:
        text = f"{text[: header.end()]}\n{line}{text[header.end() :]}"
    else:
        text = f'{text.rstrip()}\n\n[project.entry-points."{GROUP}"]\n{line}\n'
    wanted = before
    wanted.setdefault("project", {}).setdefault("entry-points", {}).setdefault(GROUP, {})[name] = (
        value
    )
    try:
        right = tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        right = False
    if not right:
        raise UsageError(
            f"pyproject.toml is laid out in a way that is not understood here; add {line} to "
            f'[project.entry-points."{GROUP}"]'
        )
    return text


def _read(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"pyproject.toml cannot be read: {error}; mend it first") from error


def _entries(document: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = document.get("project", {}).get("entry-points", {}).get(GROUP, {})
    return found


def _quoted(text: str, *, always: bool = False) -> str:
    return text if not always and re.fullmatch(r"[A-Za-z0-9_-]+", text) else f'"{text}"'
