"""The channels of the house that need no platform, held to the contract."""

import asyncio
import io
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from sessionbot_kit.channels.console import Console
from sessionbot_kit.channels.loopback import Loopback
from sessionbot_kit.ids import new_id
from sessionbot_kit.models import IncomingMessage, Media, OutgoingMessage, SendResult
from sessionbot_kit.testing import ChannelContract, Line


class LoopbackPeer:
    """A person on the loopback platform."""

    chat = "ada"

    def __init__(self) -> None:
        self.channel = Loopback()
        self._mine: list[tuple[str, str]] = []

    async def says(self, text: str, *files: Media) -> str:
        id = new_id()
        self._mine.append((id, text))
        await self.channel.hear(text, user="ada", id=id, media=files)
        return id

    async def screen(self) -> list[Line]:
        mine = [Line(id, text, False, (), self._reactions(id)) for id, text in self._mine]
        return mine + [
            Line(
                message.id or "",
                message.content,
                True,
                tuple((file.name, file.read()) for file in message.media),
                self._reactions(message.id or ""),
            )
            for message in self.channel.said
        ]

    async def notices(self) -> list[str]:
        typing = [request.verb for request in self.channel.requests if request.verb == "typing"]
        return [*typing, self.channel.status]

    async def does(self, kind: str, message_id: str, content: str) -> None:
        await self.channel.tell(kind, message_id, content, user="ada")

    def _reactions(self, id: str) -> tuple[str, ...]:
        return tuple(emoji for message, emoji in self.channel.reactions if message == id)


class TestLoopback(ChannelContract):
    signals = frozenset({"edited", "deleted", "reacted", "typing", "read"})
    keeps_unread = False  # it has no memory: who speaks is told that nobody heard it

    @pytest.fixture
    def peer(self) -> LoopbackPeer:
        return LoopbackPeer()


class Screen(io.StringIO):
    """A screen that knows what was written at once."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    def write(self, text: str) -> int:
        self.written.append(text)
        return super().write(text)


class Terminal(Console):
    """A console whose keyboard is a queue, and that tells the names of messages."""

    def __init__(self) -> None:
        self.screen = Screen()
        self.keys: SimpleQueue[str] = SimpleQueue()
        self.typed: SimpleQueue[str] = SimpleQueue()
        self.printed: list[str] = []
        super().__init__(user="ada", screen=self.screen, read_line=self.keys.get)

    async def send(self, message: OutgoingMessage) -> SendResult:
        result = await super().send(message)
        self.printed += result.ids
        return result

    def _message(self, text: str) -> IncomingMessage:
        message = super()._message(text)
        self.typed.put(message.id)
        return message


class ConsolePeer:
    """A person at a terminal."""

    chat = "ada"

    def __init__(self) -> None:
        self.channel = Terminal()

    async def says(self, text: str, *files: Media) -> str:
        self.channel.keys.put(f"{text}\n")
        return await asyncio.to_thread(self.channel.typed.get)

    async def screen(self) -> list[Line]:
        channel = self.channel
        written = zip(channel.printed, channel.screen.written, strict=True)
        return [Line(id, text.removesuffix("\n")) for id, text in written]

    async def notices(self) -> list[str]:
        return []

    async def does(self, kind: str, message_id: str, content: str) -> None:
        raise NotImplementedError("a terminal can only be written at")


class TestConsole(ChannelContract):
    brings_files = False

    @pytest.fixture
    def peer(self) -> Iterator[ConsolePeer]:
        peer = ConsolePeer()
        yield peer
        peer.channel.keys.put("")
