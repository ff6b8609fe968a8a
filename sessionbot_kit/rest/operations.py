"""What can be asked, as a table: paths, handlers, who may, what goes in and what comes out.

    Operation("GET", "/api/chat", history, "What was said so far", "visitor", {200: History})

The router, the checks at the door and the OpenAPI document are all made of it, so that they cannot
differ. The one rule to remember: a status that an operation answers stands in its row.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pydantic import BaseModel

from sessionbot_kit.bot import Bot
from sessionbot_kit.channels.web import WebChannel
from sessionbot_kit.rest.exchange import Answer, Request
from sessionbot_kit.rest.guard import Guard
from sessionbot_kit.sessions import Conversation, SessionManager

Scope = Literal["anybody", "visitor", "watch", "admin"]


@dataclass(slots=True)
class Room:
    """One bot behind the door, and the path under which it is found."""

    path: str  # "" or "/support"
    bot: Bot
    channel: WebChannel
    guard: Guard
    secure: bool = False  # browsers may send our cookie over TLS alone
    languages: tuple[str, ...] = ("en", "fr")

    @property
    def sessions(self) -> SessionManager:
        return self.bot.gateway.sessions

    @property
    def cookie(self) -> str:
        """The name of its cookie: the bots behind one door do not share one."""
        return "sessionbot" + re.sub(r"[^a-z0-9]", "_", self.path.lower())


@dataclass(slots=True)
class Ask:
    """A request that has come as far as its handler."""

    request: Request
    room: Room
    visitor: Conversation | None = None

    @property
    def session(self) -> Conversation:
        assert self.visitor is not None  # the router has seen to it
        return self.visitor


Handler = Callable[[Ask], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something in the query or in the path."""

    name: str
    schema: Mapping[str, Any]
    description: str
    required: bool = False
    place: Literal["query", "path", "header"] = "query"


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that can be asked."""

    method: str
    path: str
    handler: Handler
    summary: str
    scope: Scope
    answers: Mapping[int, Any] = field(default_factory=dict)  # a model, a media type, or None
    body: type[BaseModel] | None = None
    media: str = ""  # of a body that is no JSON
    parameters: tuple[Parameter, ...] = ()
    faults: tuple[int, ...] = ()
    repeatable: bool = False  # an Idempotency-Key makes it happen once
    tag: str = "chat"

    @property
    def name(self) -> str:
        words = re.findall(r"[a-zA-Z]+", self.path.replace("/api/", "/"))
        return "_".join((self.method.lower(), *words))


LIMIT: Final = Parameter(
    "limit", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}, "How many"
)
CURSOR: Final = Parameter(
    "cursor",
    {"type": "string", "pattern": "^[0-9]{1,15}$"},
    "Where to go on: `next_cursor` of the answer before",
)
SESSION: Final = Parameter(
    "session_id",
    {"type": "string", "maxLength": 600},
    "One's own session; the token alone says which",
)
ITS_ID: Final = Parameter(
    "id", {"type": "string", "minLength": 1, "maxLength": 600}, "Its id", True, "path"
)


class Router:
    """Finds the operation of a request."""

    def __init__(self, operations: tuple[Operation, ...]) -> None:
        self.operations = operations
        self._fixed: dict[str, dict[str, Operation]] = {}
        self._open: list[tuple[re.Pattern[str], dict[str, Operation]]] = []
        patterns: dict[str, dict[str, Operation]] = {}
        for operation in operations:
            table = patterns if "{" in operation.path else self._fixed
            table.setdefault(operation.path, {})[operation.method] = operation
        for path, methods in sorted(patterns.items(), key=lambda each: -len(each[0])):
            # An id may have slashes, as that of a reply has.
            pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>.+)", path), re.DOTALL)
            self._open.append((pattern, methods))

    def find(self, path: str) -> tuple[Mapping[str, Operation], Mapping[str, str]] | None:
        """The operations of a path by their method, and what stands in it."""
        if (fixed := self._fixed.get(path)) is not None:
            return fixed, {}
        for pattern, methods in self._open:
            if found := pattern.fullmatch(path):
                return methods, found.groupdict()
        return None
