"""The terminal as a channel: a line is a message, and answers are printed below it.

async with Bot(echo, channels=[Console()]) as bot:
    await bot.channels[-1].ended.wait()          # until the end of the input
"""

import asyncio
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TextIO

from sessionbot_kit.channel import Deliver
from sessionbot_kit.extension import Plugin, PluginMeta
from sessionbot_kit.ids import new_id
from sessionbot_kit.models import IncomingMessage, OutgoingMessage, SendResult


class Console(Plugin):
    """One person at one terminal."""

    meta = PluginMeta(
        id="console",
        version="1",
        implements={"session.receive": "receive", "session.send": "send"},
    )

    def __init__(
        self,
        *,
        user: str = "you",
        source: TextIO | None = None,
        screen: TextIO | None = None,
        read_line: Callable[[], str] | None = None,
    ) -> None:
        self.user = user
        self.ended = asyncio.Event()
        self._screen = screen or sys.stdout
        self._read_line = read_line or (source or sys.stdin).readline
        self._read: asyncio.Queue[IncomingMessage | None] = asyncio.Queue()
        self._unheard: IncomingMessage | None = None  # read, and not yet with the gateway
        self._loop: asyncio.AbstractEventLoop | None = None

    async def receive(self, deliver: Deliver) -> None:
        self._listen()
        while message := self._unheard or await self._read.get():
            self._unheard = message
            await deliver(message)
            self._unheard = None
        self.ended.set()

    async def send(self, message: OutgoingMessage) -> SendResult:
        self._screen.write(message.content + "\n")
        self._screen.flush()
        return SendResult(ok=True, ids=(message.id or new_id(),))

    def _listen(self) -> None:
        begins, self._loop = self._loop is None, asyncio.get_running_loop()
        if begins:
            # A thread of its own, which ends with the process: nobody can interrupt a read.
            threading.Thread(target=self._read_lines, name="console", daemon=True).start()

    def _read_lines(self) -> None:
        while line := self._read_line():
            if text := line.rstrip("\r\n"):
                self._bring(self._message(text))
        self._bring(None)

    def _bring(self, message: IncomingMessage | None) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop has closed: the bot stopped before its input did
            self._loop.call_soon_threadsafe(self._read.put_nowait, message)

    def _message(self, text: str) -> IncomingMessage:
        return IncomingMessage(
            id=new_id(),
            channel_type=self.meta.id,
            channel_id=self.user,
            sender_id=self.user,
            sender_name=self.user,
            content=text,
            timestamp=datetime.now(UTC),
        )
