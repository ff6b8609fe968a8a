"""A platform in memory, for tests, notebooks and the first ten minutes.

    loopback = Loopback()
    receipt = await loopback.hear("!echo hello", user="alice")
    loopback.said_to("alice")                  # what the bot said there, oldest first

It is a real channel: messages enter and leave by the same doors as on any other platform.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

from sessionbot_kit.channel import Deliver, Receipt
from sessionbot_kit.extension import Plugin, PluginMeta
from sessionbot_kit.ids import new_id
from sessionbot_kit.models import IncomingMessage, OutgoingMessage, SendResult

KEPT_MESSAGES = 10_000


class Loopback(Plugin):
    """Hears what it is told and keeps the last messages that the bot said."""

    meta = PluginMeta(
        id="loopback",
        version="1",
        implements={"session.receive": "receive", "session.send": "send"},
    )

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self.said: deque[OutgoingMessage] = deque(maxlen=KEPT_MESSAGES)
        self._deliver: Deliver | None = None
        self._connected = asyncio.Event()

    async def start(self) -> None:
        self._connected = asyncio.Event()  # of this loop: a bot may be started in another one

    async def receive(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._connected.set()
        try:
            await asyncio.Event().wait()  # messages come by `hear`, until we are canceled
        finally:
            self._connected.clear()

    async def send(self, message: OutgoingMessage) -> SendResult:
        self.said.append(message)
        return SendResult(ok=True, ids=(message.id or new_id(),))

    async def hear(
        self, content: str, *, user: str = "you", chat: str | None = None, id: str | None = None
    ) -> Receipt:
        """Say something to the bot as `user`; returns when it is stored."""
        message = IncomingMessage(
            id=id or new_id(),
            channel_type=self.meta.id,
            channel_id=chat or user,
            sender_id=user,
            sender_name=user,
            content=content,
            timestamp=self._now(),
        )
        await self._connected.wait()
        assert self._deliver is not None
        return await self._deliver(message)

    def said_to(self, chat: str) -> list[str]:
        """What the bot said in a chat, oldest first."""
        return [message.content for message in self.said if message.channel_id == chat]

    def answers(self, receipt: Receipt) -> list[str]:
        """What the bot said to one message."""
        begin = f"{receipt.inbox_id}/"
        return [message.content for message in self.said if (message.id or "").startswith(begin)]
