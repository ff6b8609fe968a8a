"""The terminal as a channel: a line is a message, and answers are printed below it.

async with Bot(echo, channels=[Console()]) as bot:
    await bot.channels[-1].ended.wait()          # until the end of the input
"""

import asyncio
import sys
import threading
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
        self, *, user: str = "you", source: TextIO | None = None, screen: TextIO | None = None
    ) -> None:
        self.user = user
        self.ended = asyncio.Event()
        self._source = source or sys.stdin
        self._screen = screen or sys.stdout

    async def receive(self, deliver: Deliver) -> None:
        lines: asyncio.Queue[str] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        # A thread of its own, which ends with the process: nobody can interrupt a read of stdin.
        threading.Thread(target=self._read, args=(loop, lines), daemon=True).start()
        while line := await lines.get():
            if text := line.rstrip("\r\n"):
                await deliver(self._message(text))
        self.ended.set()

    async def send(self, message: OutgoingMessage) -> SendResult:
        files = (f"[{file.name or file.kind}, {file.size or 0:,} bytes]" for file in message.media)
        self._screen.write("\n".join((message.content, *files)) + "\n")
        self._screen.flush()
        return SendResult(ok=True, ids=(message.id or new_id(),))

    def _read(self, loop: asyncio.AbstractEventLoop, lines: "asyncio.Queue[str]") -> None:
        line = "first"
        while line:
            line = self._source.readline()  # empty at the end, and the empty line ends us both
            try:
                loop.call_soon_threadsafe(lines.put_nowait, line)
            except RuntimeError:  # the loop has closed: the bot stopped before its input did
                return

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
