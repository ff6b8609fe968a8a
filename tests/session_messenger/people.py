"""People who talk over a loopback network: each has a channel, and a gateway that keeps it all.

async with talking(network, ada, folder) as one:
    await one.says(bob.session_id, "Hello")
    message = await one.hears()
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sessionbot_kit.channel import Receipt
from sessionbot_kit.channels.session_messenger.channel import SessionMessenger
from sessionbot_kit.channels.session_messenger.events import Event
from sessionbot_kit.channels.session_messenger.identity import Identity
from sessionbot_kit.channels.session_messenger.loopback import LoopbackNetwork
from sessionbot_kit.channels.session_messenger.pace import Pace
from sessionbot_kit.channels.session_messenger.signals import CHANNEL_TYPE
from sessionbot_kit.models import IncomingMessage, OutgoingMessage, SendResult

FAST_S = 0.01


class Person:
    """Somebody with a channel, who remembers what came."""

    def __init__(self, identity: Identity, **settings: Any) -> None:
        self.channel = SessionMessenger(identity, on_event=self._note, **settings)
        self.id = identity.session_id
        self.heard: list[IncomingMessage] = []
        self.offered = 0
        self.faults: list[BaseException] = []  # raised one by one, instead of storing
        self._events: list[Event] = []
        self._told = 0
        self._news = asyncio.Event()

    async def deliver(self, message: IncomingMessage) -> Receipt:
        """What a gateway does: store a message once, or fail."""
        self.offered += 1
        if self.faults:
            raise self.faults.pop(0)
        known = message.id in {other.id for other in self.heard}
        if not known:
            self.heard.append(message)
            self._news.set()
        return Receipt(message.id, "session", (CHANNEL_TYPE, "default", self.id), known)

    async def hears(self) -> IncomingMessage:
        """The next message."""
        await self._until(lambda: len(self.heard) > self._told)
        self._told += 1
        return self.heard[self._told - 1]

    async def sees(self, kind: type[Any]) -> Any:
        """The next event of a kind."""
        await self._until(lambda: any(isinstance(event, kind) for event in self._events))
        found = next(event for event in self._events if isinstance(event, kind))
        self._events.remove(found)
        return found

    async def says(self, to: str, text: str = "", **more: Any) -> SendResult:
        message = OutgoingMessage(channel_type=CHANNEL_TYPE, channel_id=to, content=text, **more)
        return await self.channel.send(message)

    def _note(self, event: Event) -> None:
        self._events.append(event)
        self._news.set()

    async def _until(self, come: Callable[[], bool]) -> None:
        while not come():
            self._news.clear()
            await self._news.wait()


@asynccontextmanager
async def talking(
    network: LoopbackNetwork, identity: Identity, folder: Path, **settings: Any
) -> AsyncIterator[Person]:
    """Start a person's channel and let it listen, until the block ends."""
    settings = {"pace": Pace(fast_s=FAST_S, slow_s=FAST_S), **settings}
    person = Person(identity, folder=folder, **network.address, **settings)
    await person.channel.start()
    listening = asyncio.create_task(person.channel.receive(person.deliver))
    try:
        yield person
    finally:
        listening.cancel()
        await asyncio.wait([listening])
        await person.channel.stop()
        if not listening.cancelled():
            listening.result()
