"""A channel carries messages between people on one platform and the gateway.

It is a plugin: what it implements of the `session.*` points is what it can do, and its id is its
`channel_type`. Two points make a channel; each of the others is one thing more that it can do:

    session.receive    receive(deliver)  or  receive(deliver, signal)      until it is canceled
    session.send       send(message) -> SendResult
    session.media      send(message) -> SendResult         a message that has files
    session.typing     typing(channel_id)
    session.presence   presence(status)                    "online", "away" or "offline"
    session.edit       edit(channel_id, message_id, content) -> SendResult
    session.delete     delete(channel_id, message_id) -> SendResult
    session.react      react(channel_id, message_id, emoji, remove=False) -> SendResult

What a channel does not implement has a fallback (`fallbacks.py`), which its result names. One rule
to remember: acknowledge upstream only after `deliver` has returned, for only then is the message
on the disk.

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

`ChannelContract` in `sessionbot_kit.testing` is what a channel is tested with.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal, Protocol

from sessionbot_kit.extension import PluginMeta
from sessionbot_kit.models import IncomingMessage, OutgoingMessage, SendResult

Verb = Literal["receive", "send", "media", "typing", "presence", "edit", "delete", "react"]
Status = Literal["online", "away", "offline"]

VERBS: Final[tuple[Verb, ...]] = (
    "receive", "send", "media", "typing", "presence", "edit", "delete", "react",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Receipt:
    """A message is stored: under this id, in this session; or it was known already."""

    inbox_id: str
    session_id: str
    chat: tuple[str, str, str]  # channel_type, account, channel_id
    duplicate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """Something that a person did other than say something. It may get lost; nobody answers it."""

    kind: Literal["edited", "deleted", "reacted", "typing", "read"]
    channel_type: str
    channel_id: str
    sender_id: str
    message_id: str | None = None  # what was edited, deleted, read, or reacted to
    content: str = ""  # the text after an edit; the emoji of a reaction
    removed: bool = False  # the reaction was taken away; the typing has stopped
    account: str = "default"
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


class Deliver(Protocol):
    """Hands a message to the gateway; returns when it is stored."""

    async def __call__(self, message: IncomingMessage) -> Receipt: ...


class Notice(Protocol):
    """Tells the gateway of a signal; it is shown to whoever watches."""

    async def __call__(self, signal: Signal) -> None: ...


class Channel(Protocol):
    """The least that a channel is; everything more is a further `session.*` point.

    One that asks for `signal` too, by name, is given a `Notice`.
    """

    meta: PluginMeta

    async def receive(self, deliver: Deliver) -> None:
        """Hand over what arrives, until canceled."""
        ...

    async def send(self, message: OutgoingMessage) -> SendResult:
        """Say a message; a failure is a result, not an exception."""
        ...


class HasMeta(Protocol):
    """Anything that says what it implements."""

    meta: PluginMeta


def supports(channel: HasMeta, verb: Verb) -> bool:
    """Whether a channel does this itself; otherwise there is a fallback."""
    return f"session.{verb}" in channel.meta.implements


def is_channel(plugin: object) -> bool:
    """Whether a plugin belongs on the gateway's side of the house: a channel, or an observer."""
    meta = getattr(plugin, "meta", None)
    if not isinstance(meta, PluginMeta) or "chat.message" in meta.implements:
        return False
    return any(point.startswith("session.") for point in meta.implements)
