"""A channel carries messages between people on one platform and the gateway.

It is a plugin: what it implements of the `session.*` points is what it can do, and its id is its
`channel_type`. One rule to remember: acknowledge upstream only after `deliver` has returned, for
only then is the message on the disk.

    class Pigeon:
        meta = PluginMeta(
            id="pigeon", implements={"session.receive": "receive", "session.send": "send"}
        )

        async def receive(self, deliver):            # runs until it is canceled
            async for letter in self.loft:
                await deliver(letter.as_message())
                letter.acknowledge()

        async def send(self, message):
            return SendResult(ok=True, ids=(await self.loft.release(message.content),))
"""

from dataclasses import dataclass
from typing import Protocol

from sessionbot_kit.extension import PluginMeta
from sessionbot_kit.models import IncomingMessage, OutgoingMessage, SendResult


@dataclass(frozen=True, slots=True)
class Receipt:
    """A message is stored: under this id, in this session; or it was known already."""

    inbox_id: str
    session_id: str
    chat: tuple[str, str, str]  # channel_type, account, channel_id
    duplicate: bool = False


class Deliver(Protocol):
    """Hands a message to the gateway; returns when it is stored."""

    async def __call__(self, message: IncomingMessage) -> Receipt: ...


class Channel(Protocol):
    """The least that a channel is; everything more is a further `session.*` point."""

    meta: PluginMeta

    async def receive(self, deliver: Deliver) -> None:
        """Hand over what arrives, until canceled."""
        ...

    async def send(self, message: OutgoingMessage) -> SendResult:
        """Say a message; a failure is a result, not an exception."""
        ...
