"""A bot behind its door, on a real port, and programs that talk to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect

from sessionbot_kit import Bot, Chat, IncomingMessage, plugin
from sessionbot_kit.plugins.echo import echo
from sessionbot_kit.web import Door, WebChannel, serve

ADMIN = "the-admin-token-of-the-tests"
AS_ADMIN = {"Authorization": f"Bearer {ADMIN}"}


@plugin("!size")
async def size(chat: Chat) -> str:
    """Ask for a size."""
    return f"One {await chat.ask('Small or large?', choices=['small', 'large'])} pizza."


@plugin("!slow")
async def slow(chat: Chat) -> str:
    """Answer when somebody says so."""
    await chat.typing()
    await asyncio.Event().wait()
    return "never"


@plugin(default=True)
async def say_again(message: IncomingMessage) -> str:
    """Say everything again."""
    return f"You said: {message.content}"


@dataclass
class Talk:
    """A program in a conversation over a WebSocket."""

    socket: ClientConnection
    frames: list[dict[str, Any]] = field(default_factory=list)

    async def next(self, kind: str = "message", **wanted: Any) -> dict[str, Any]:
        """The next frame of a kind; what comes before it is kept in `frames`."""
        async with asyncio.timeout(10):
            while True:
                frame = orjson.loads(await self.socket.recv())
                self.frames.append(frame)
                fits = all(frame.get(name) == value for name, value in wanted.items())
                if frame["type"] == kind and fits:
                    return dict(frame)

    async def send(self, frame: dict[str, Any]) -> None:
        await self.socket.send(orjson.dumps(frame).decode())

    async def says(self, text: str, id: str = "message-1") -> str:
        """Say something; what the bot answers."""
        await self.send({"type": "message", "id": id, "content": text})
        return str((await self.next(who="bot"))["content"])


@dataclass
class House:
    """What is under test, and how to reach it."""

    bot: Bot
    channel: WebChannel
    door: Door
    client: httpx.AsyncClient

    async def visitor(self) -> dict[str, str]:
        """The headers of a new visitor, and whose they are."""
        begun = (await self.client.post("/api/session")).json()
        return {"Authorization": f"Bearer {begun['token']}", "x-session": begun["session_id"]}

    async def admin(self, action: str, **more: Any) -> httpx.Response:
        """One of MyBot's actions."""
        return await self.client.post(
            "/api/sessions", json={"action": action, **more}, headers=AS_ADMIN
        )

    @asynccontextmanager
    async def talk(
        self, headers: dict[str, str] | None = None, *, after: int = 0, path: str = ""
    ) -> AsyncIterator[Talk]:
        """A conversation of a visitor, after its `ready`."""
        headers = headers or await self.visitor()
        token = headers["Authorization"].removeprefix("Bearer ")
        async with connect(self.ws(path)) as socket:
            talk = Talk(socket)
            await talk.send({"type": "hello", "token": token, "after": after})
            await talk.next("ready")
            yield talk

    def ws(self, path: str = "") -> str:
        return self.door.url.replace("http", "ws") + path + "/ws"

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.door.url.removeprefix("http://").partition(":")
        return host, int(port)


@asynccontextmanager
async def house(
    folder: Path, *plugins: Any, dev: bool = False, **options: Any
) -> AsyncIterator[House]:
    """Start a bot with its door in a folder of its own."""
    channel = WebChannel(folder / "files")
    chosen = plugins or (echo, size, slow, say_again)
    async with (
        Bot(*chosen, store=folder / "bot.db", channels=[channel], drain_s=0.2) as bot,
        serve(
            bot, port=0, admin_token=None if dev else ADMIN, dev=dev, drain_s=1.0, **options
        ) as door,
        httpx.AsyncClient(base_url=door.url) as client,
    ):
        yield House(bot, channel, door, client)
