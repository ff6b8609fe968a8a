"""Which plugin answers a message: the first word decides, and the default takes the rest.

    choose("!echo hello", [("kernel 1", Route("echo", prefixes=("!echo",)))])
    # -> Choice(by="kernel 1", route=..., content="hello")

Rules, in this order: a prefix equals the whole first word; the default gets the whole text; among
several, the lower priority and then the plugin's id.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

By = TypeVar("By")


@dataclass(frozen=True, slots=True)
class Route:
    """How a plugin is found: the first word, or nothing for the plugin that takes the rest."""

    plugin: str
    prefixes: tuple[str, ...] = ()
    default: bool = False
    priority: int = 50
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Choice(Generic[By]):
    """Who answers, and the text without the prefix that led there."""

    by: By
    route: Route
    content: str


def choose(content: str, served: Iterable[tuple[By, Route]]) -> Choice[By] | None:
    """Find the route for a text; None when nobody wants it."""
    word, rest = first_word(content)
    best: tuple[bool, int, str] | None = None
    choice: Choice[By] | None = None
    for by, route in served:
        prefixed = word != "" and word in route.prefixes
        if not prefixed and not route.default:
            continue
        rank = (not prefixed, route.priority, route.plugin)
        if best is None or rank < best:
            best = rank
            choice = Choice(by, route, rest if prefixed else content)
    return choice


def first_word(content: str) -> tuple[str, str]:
    """The first word, and what follows the one white space after it."""
    parts = content.split(maxsplit=1)
    if not parts:
        return "", content
    word = parts[0]
    begin = content.index(word) + len(word)
    return word, content[begin + 1 :]
