"""One request and its answer, over plain ASGI.

    request = Request(scope, receive)
    body = await request.document(Said)        # read, checked and understood, or a Problem
    return json_answer({"ok": True})

A body is looked at before it is read: one that says that it is too large is refused at its first
byte, one that lies about it at the byte where the lie shows, and one that comes too slowly when
its time is over. The one rule to remember: nothing is read that has no limit.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

import orjson
from pydantic import BaseModel, ValidationError

from sessionbot_kit.rest.problems import CONTENT_TYPE, Problem

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Model = TypeVar("Model", bound=BaseModel)

JSON: Final = b"application/json"
MAX_JSON_BYTES: Final = 1_000_000
BODY_TIMEOUT_S: Final = 15.0
MAX_QUERY_FIELDS: Final = 50
DISCARDED_BYTES: Final = 16_000_000
DISCARD_S: Final = 2.0

_Headers = tuple[tuple[bytes, bytes], ...]


class Hangup(Exception):
    """Whoever asked has gone; there is nobody to answer."""


@dataclass(slots=True)
class Answer:
    """What goes back: bytes, or a stream of them."""

    status: int = 200
    body: bytes = b""
    type: bytes = JSON
    headers: _Headers = ()
    stream: AsyncIterator[bytes] | None = None
    length: int | None = None  # of the stream


class Request:
    """What somebody asks."""

    __slots__ = ("_body", "_query", "_receive", "headers", "method", "params", "path", "scope")

    def __init__(self, scope: Scope, receive: Receive, path: str | None = None) -> None:
        self.scope = scope
        self._receive = receive
        self.method: str = scope.get("method", "GET")
        self.path: str = scope["path"] if path is None else path
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.params: Mapping[str, str] = {}
        self._query: dict[str, str] | None = None
        self._body: bytes | None = None

    def header(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")

    @property
    def query(self) -> dict[str, str]:
        if self._query is None:
            text = self.scope["query_string"].decode("latin-1")
            try:
                pairs = parse_qsl(
                    text,
                    keep_blank_values=True,
                    errors="strict",
                    max_num_fields=MAX_QUERY_FIELDS,
                )
            except ValueError as error:
                raise Problem(400, "invalid", f"the query cannot be read: {error}") from error
            self._query = dict(pairs)
        return self._query

    def query_number(self, name: str, default: int, *, least: int = 1, most: int) -> int:
        """A number of the query; one that is out of range is refused, not bent."""
        text = self.query.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdecimal()) or not least <= int(text[:18]) <= most:
            raise Problem(
                400, "invalid", f"{name} is {text[:40]!r}; give a number from {least} to {most}"
            )
        return int(text)

    @property
    def client(self) -> str:
        """The address of whoever asks."""
        client = self.scope.get("client")
        return client[0] if client else "unknown"

    def cookie(self, name: str) -> str:
        text = self.header(b"cookie")
        if name not in text:
            return ""
        try:
            morsel = SimpleCookie(text).get(name)
        except CookieError:
            return ""
        return morsel.value if morsel is not None else ""

    async def chunks(self, *, limit: int, timeout_s: float) -> AsyncIterator[bytes]:
        """The body as it comes, at most `limit` bytes, all of it within `timeout_s`."""
        announced = self.header(b"content-length")
        if announced.isdecimal() and int(announced[:18]) > limit:
            raise _too_large(limit)
        taken, more = 0, True
        end = asyncio.get_running_loop().time() + timeout_s
        while more:
            try:
                async with asyncio.timeout_at(end):
                    event = await self._receive()
            except TimeoutError:
                raise Problem(
                    408,
                    "too_slow",
                    f"the body did not come within {timeout_s:g} s; send it faster, or in parts",
                    headers=((b"connection", b"close"),),
                ) from None
            if event["type"] == "http.disconnect":
                raise Hangup
            chunk: bytes = event.get("body", b"")
            taken += len(chunk)
            if taken > limit:
                raise _too_large(limit)
            more = event.get("more_body", False)
            if chunk:
                yield chunk

    async def discard(self) -> None:
        """Let what still comes of a refused body go by, for a moment.

        To close a connection with unread bytes cuts it, and the refusal would be lost on its way.
        """
        left = DISCARDED_BYTES
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DISCARD_S):
                while left > 0:
                    event = await self._receive()
                    left -= len(event.get("body", b""))
                    if event["type"] == "http.disconnect" or not event.get("more_body", False):
                        return

    async def body(self, *, limit: int = MAX_JSON_BYTES) -> bytes:
        """All of the body."""
        if self._body is None:
            chunks = self.chunks(limit=limit, timeout_s=BODY_TIMEOUT_S)
            self._body = b"".join([chunk async for chunk in chunks])
        return self._body

    async def document(self, model: type[Model], *, empty: bool = False) -> Model:
        """The body as JSON of this shape; `empty` lets no body stand for an empty object."""
        kind = self.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        body = await self.body()
        if not body and empty:
            body = b"{}"
        elif kind != JSON:
            raise Problem(
                415, "not_json", "send JSON, with the header Content-Type: application/json"
            )
        try:
            return model.model_validate(orjson.loads(body))
        except orjson.JSONDecodeError as error:
            raise Problem(400, "not_json", f"the body is no JSON: {error}") from error
        except ValidationError as error:
            faults = [
                {"pointer": "/" + "/".join(map(str, fault["loc"])), "detail": fault["msg"]}
                for fault in error.errors(include_url=False, include_input=False)[:20]
            ]
            first = faults[0]
            raise Problem(
                400, "invalid", f"{first['pointer']}: {first['detail']}", errors=faults
            ) from None


def json_answer(document: object, status: int = 200, headers: _Headers = ()) -> Answer:
    return Answer(status, orjson.dumps(document), JSON, headers)


def problem_answer(problem: Problem) -> Answer:
    return Answer(problem.status, problem.body(), CONTENT_TYPE, problem.headers)


async def reply(answer: Answer, request: Request, send: Send, headers: _Headers = ()) -> None:
    """Send an answer; for HEAD, what would have been its head."""
    head = request.method == "HEAD"
    lines = [*headers, *answer.headers]
    length = answer.length if answer.stream is not None else len(answer.body)
    if answer.status not in (204, 304):
        lines.append((b"content-type", answer.type))
        if length is not None:
            lines.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": lines})
    if answer.status == 413:
        await send({"type": "http.response.body", "body": answer.body, "more_body": True})
        await request.discard()
        return await send({"type": "http.response.body", "body": b""})
    if answer.stream is None or head:
        return await send({"type": "http.response.body", "body": b"" if head else answer.body})
    async for chunk in answer.stream:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _too_large(limit: int) -> Problem:
    # What still comes is not read: the connection ends with this answer.
    return Problem(
        413,
        "too_large",
        f"the body has more than {limit:,} bytes; send less, or a link",
        headers=((b"connection", b"close"),),
    )
