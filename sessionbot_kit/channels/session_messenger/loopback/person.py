"""Somebody with the messenger on his telephone, for tests and notebooks.

async with Person("Ada", network) as ada:
    await ada.says(bot.session_id, "Hello")
    (await ada.hears()).content
"""

import asyncio
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Self

from sessionbot_kit.channel import Receipt
from sessionbot_kit.channels.session_messenger.channel import SessionMessenger
from sessionbot_kit.channels.session_messenger.events import Event
from sessionbot_kit.channels.session_messenger.identity import Identity
from sessionbot_kit.channels.session_messenger.loopback.network import LoopbackNetwork
from sessionbot_kit.channels.session_messenger.pace import Pace
from sessionbot_kit.channels.session_messenger.signals import CHANNEL_TYPE
from sessionbot_kit.crew import Crew
from sessionbot_kit.errors import ChannelError
from sessionbot_kit.models import IncomingMessage, Media, OutgoingMessage

KEPT_MESSAGES = 1_000


class Person:
    """He sees what comes in the order in which it comes; `events` holds all that is not words."""

    def __init__(
        self, name: str, network: LoopbackNetwork, *, identity: Identity | None = None
    ) -> None:
        self.name = name
        self.identity = identity or Identity.new()
        self.session_id = self.identity.session_id
        self.events: list[Event] = []
        self._network = network
        self._inbox: asyncio.Queue[IncomingMessage] = asyncio.Queue(KEPT_MESSAGES)
        self._known: set[str] = set()

    async def start(self) -> Self:
        """Turn the telephone on; or `async with Person(...)`, which turns it off again, too."""
        async with AsyncExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            self.channel = SessionMessenger(
                self.identity,
                folder=folder,
                client_name=self.name,
                pace=Pace(fast_s=0.05, slow_s=0.05),
                on_event=self.events.append,
                **self._network.address,
            )
            await self.channel.start()
            stack.push_async_callback(self.channel.stop)
            crew = Crew(self.name)
            stack.push_async_callback(crew.stop)
            crew.start(self.channel.receive(self._deliver), "mailbox")
            self._stack = stack.pop_all()
        return self

    async def stop(self) -> None:
        """Turn it off. What comes meanwhile waits in the swarm."""
        await self._stack.aclose()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    def __repr__(self) -> str:
        return f"Person({self.name})"

    async def says(self, to: str, text: str = "", *, media: Sequence[Media] = ()) -> str:
        """Write to somebody; returns the id of the message."""
        message = OutgoingMessage(
            channel_type=CHANNEL_TYPE, channel_id=to, content=text, media=tuple(media)
        )
        if not (result := await self.channel.send(message)):
            raise ChannelError(f"{self.name} could not write: {result.error}")
        return result.ids[0]

    async def hears(self, *, timeout_s: float = 10.0) -> IncomingMessage:
        """The next message, as soon as it is there."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._inbox.get()
        except TimeoutError:
            raise ChannelError(f"nobody wrote to {self.name} within {timeout_s:g} s") from None

    async def _deliver(self, message: IncomingMessage) -> Receipt:
        known = message.id in self._known
        if not known:
            self._known.add(message.id)
            await self._inbox.put(message)
        return Receipt(message.id, self.session_id, (CHANNEL_TYPE, "default", self.name), known)
