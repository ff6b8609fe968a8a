"""A model server on loopback that does what a test tells it, well or badly.

    async with model_server(say("Hello")) as server:
        await OpenAICompatible(server.url, model="m").chat(...)
    server.requests[0]["messages"]

Each request is answered by the next behavior of the list; the last one stays.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Behavior = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class ModelServer:
    url: str
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    dropped: asyncio.Event = field(default_factory=asyncio.Event)  # a client went away in between


@asynccontextmanager
async def model_server(*behaviors: Behavior) -> AsyncIterator[ModelServer]:
    served = ModelServer("")
    handlers: set[asyncio.Task[Any]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(
                (int(h.split(":")[1]) for h in head.lower().split("\r\n") if "length:" in h), 0
            )
            body = await reader.readexactly(length)
            served.headers.append(head)
            served.requests.append(json.loads(body) if body else {})
            behavior = behaviors[min(len(served.requests), len(behaviors)) - 1]
            await behavior(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            served.dropped.set()
        finally:
            handlers.discard(task)
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    served.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield served
    finally:
        server.close()
        for task in list(handlers):
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)


def event(content: str | None = None, **choice: Any) -> bytes:
    delta = {} if content is None else {"content": content}
    delta |= choice.pop("delta", {})
    data = {"model": "served", "choices": [{"delta": delta, **choice}]}
    return f"data: {json.dumps(data)}\n\n".encode()


USAGE = b'data: {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}\n\n'
DONE = b"data: [DONE]\n\n"
STOP = event(finish_reason="stop")


def stream(*chunks: bytes) -> Behavior:
    """Stream these bytes, then close."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(_head(200, "text/event-stream; charset=utf-8"))
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()

    return behave


def say(*pieces: str) -> Behavior:
    return stream(*map(event, pieces), STOP, USAGE, DONE)


def hang(*chunks: bytes) -> Behavior:
    """Stream these bytes, then say nothing more and stay."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        await stream(*chunks)(writer)
        while True:  # until the client goes
            writer.write(b": still here\n\n")
            await writer.drain()
            await asyncio.sleep(0.005)

    return behave


def nothing() -> Behavior:
    """Take the request and never answer."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    return behave


def slam() -> Behavior:
    """Close without a word."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    return behave


def answer(
    body: Any, status: int = 200, kind: str = "application/json", **headers: str
) -> Behavior:
    """A whole answer: JSON, or the bytes as they are."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(_head(status, kind, length=str(len(data)), **headers) + data)
        await writer.drain()

    return behave


def endless(piece: bytes) -> Behavior:
    """Stream the same bytes for ever."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(_head(200, "text/event-stream"))
        while True:
            writer.write(piece)
            await writer.drain()

    return behave


def _head(status: int, kind: str, length: str = "", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", "connection: close"]
    lines += [f"content-length: {length}"] if length else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
