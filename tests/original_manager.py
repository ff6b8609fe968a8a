"""The original plugin manager in Python, as it speaks and reads; its faults are kept.

It forgets all other messages when one is whole, encodes its answers twice, cuts them into a
million characters, names messages by the address of an object, and is silent when nobody answers.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

MAX_CHUNKS = 1_000
MAX_CHUNK_SIZE = 256 * 1024
CHUNK_SIZE = 1_000_000

Attachments = list[dict[str, str]]
Notify = Callable[[str, str, Attachments], Awaitable[None]]


class Echo:
    """An observer like that of the original test plugin."""

    def __init__(self, manager: "OriginalManager") -> None:
        self.manager = manager

    def prefix(self) -> str:
        return "!echo"

    async def notify(self, msg: str, to: str, attachments: Attachments) -> None:
        await self.manager.notify(msg, to, attachments)


class OriginalManager:
    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.observers: dict[str, Any] = {"!echo": Echo(self)}
        self.default: Any = None
        self.messages: list[dict[str, Any]] = []
        self.connected = asyncio.Event()
        self.socket: ClientConnection

    async def run(self) -> None:
        async with connect(self.uri, proxy=None) as self.socket:
            self.connected.set()
            try:
                while True:
                    await self._route(await self._receive())
            except ConnectionClosed:
                return

    async def _receive(self) -> dict[str, Any]:
        partial: dict[str, dict[str, Any]] = {}
        while True:
            chunk = json.loads(await self.socket.recv())
            assert sorted(chunk) == ["data", "index", "messageId", "total"]
            assert 0 < chunk["total"] <= MAX_CHUNKS
            assert len(chunk["data"]) <= MAX_CHUNK_SIZE
            entry = partial.setdefault(
                chunk["messageId"], {"received": 0, "chunks": [None] * chunk["total"]}
            )
            entry["chunks"][chunk["index"]] = chunk["data"]
            entry["received"] += 1
            if entry["received"] == chunk["total"]:
                assert len(partial) == 1, "messages were mixed, and the others are lost"
                found: dict[str, Any] = json.loads("".join(entry["chunks"]))
                return found

    async def _route(self, message: dict[str, Any]) -> None:
        self.messages.append(message)
        words = message["text"].split(" ")
        rest = " ".join(words[1:])
        if (observer := self.observers.get(words[0])) is not None:
            await observer.notify(rest, message["to"], message["attachments"])
        elif self.default is not None:
            await self.default.notify(words[0] + " " + rest, message["to"], message["attachments"])

    async def notify(self, text: str, to: str, attachments: Attachments) -> None:
        message = {"from": to, "text": text, "frombobot": True, "attachments": attachments}
        twice = json.dumps(json.dumps(message))
        slices = [twice[at : at + CHUNK_SIZE] for at in range(0, len(twice), CHUNK_SIZE)]
        for index, data in enumerate(slices):
            chunk = {
                "messageId": str(id(message)),
                "index": index,
                "total": len(slices),
                "data": data,
            }
            await self.socket.send(json.dumps(chunk))
