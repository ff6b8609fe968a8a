"""Which plugin answers a message: the first word decides, and the default takes the rest.

    choose("!echo hello", [("kernel 1", Route("echo", prefixes=("!echo",)))])
    # -> Choice(by="kernel 1", route=..., content="hello")

Rules, in this order: a kernel that serves only some sessions comes first in those; a prefix equals
the whole first word; the default gets the whole text; among several, the lower priority and then
the plugin's id.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from pydantic import Field

from sessionbot_kit.errors import UsageError
from sessionbot_kit.models import IncomingMessage

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
class Only:
    """The sessions that a kernel serves: those that fit everything which is named here.

    `share` is a part of all sessions, from 0 to 1: always the same ones.
    """

    chats: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    share: Annotated[float, Field(ge=0, le=1)] = 1.0

    @classmethod
    def of(cls, wanted: "Only | str | Mapping[str, object]") -> "Only":
        """From `Only(...)`, the name of a chat, or `{"user": "ada", "share": 0.1}`."""
        if isinstance(wanted, Only):
            return wanted
        if isinstance(wanted, str):
            return cls(chats=(wanted,))
        if strange := wanted.keys() - {"chat", "user", "channel", "share"}:
            raise UsageError(f"only= knows no {min(strange)!r}; name chat, user, channel or share")
        share = wanted.get("share", 1.0)
        if not isinstance(share, int | float) or not 0 < share <= 1:
            raise UsageError(f"a share of {share!r} is none; give more than 0, and at most 1")
        return cls(
            _names(wanted.get("chat")), _names(wanted.get("user")), _names(wanted.get("channel")),
            float(share),
        )  # fmt: skip

    def fits(self, message: IncomingMessage, session: str) -> bool:
        """Whether this message of this session is among them."""
        return (
            (not self.chats or message.channel_id in self.chats)
            and (not self.users or message.sender_id in self.users)
            and (not self.channels or message.channel_type in self.channels)
            and (self.share >= 1 or place_of(session) < self.share)
        )


def place_of(session: str) -> float:
    """Where a session stands among all, from 0 to 1: the same on every machine and every day."""
    return int.from_bytes(hashlib.sha256(session.encode()).digest()[:6]) / 2**48


def _names(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, list | tuple | set) or not all(isinstance(n, str) for n in names):
        raise UsageError(f"{value!r} names nobody; give a text, or a list of texts")
    return tuple(names)


@dataclass(frozen=True, slots=True)
class Choice(Generic[By]):
    """Who answers, and the text without the prefix that led there."""

    by: By
    route: Route
    content: str


def choose(
    content: str,
    served: Iterable[tuple[By, Route]],
    *,
    first: Iterable[tuple[By, Route]] = (),
) -> Choice[By] | None:
    """Find the route for a text, among the `first` ones if they want it; None if nobody does."""
    word, rest = first_word(content)
    return _best(word, rest, content, first) or _best(word, rest, content, served)


def _best(
    word: str, rest: str, content: str, served: Iterable[tuple[By, Route]]
) -> Choice[By] | None:
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
