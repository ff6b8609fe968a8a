"""A platform in memory. It is a real channel: all goes through the same doors as elsewhere.

It can do everything that a platform can do, and keeps what it was asked for in `requests`. Give it
`keys=True` and it is one of those that know a message by its id, and show it once however often
it is sent.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from sessionbot_kit.channel import Deliver, Notice, Receipt, Signal, Status
from sessionbot_kit.channels.loopback.faults import (
    Arrival,
    Busy,
    Down,
    Late,
    Refused,
    Slow,
    Trouble,
    Twice,
    Unheard,
)
from sessionbot_kit.errors import ChannelError
from sessionbot_kit.extension import Plugin, PluginMeta
from sessionbot_kit.ids import new_id
from sessionbot_kit.models import IncomingMessage, Media, OutgoingMessage, SendResult

KEPT_MESSAGES: Final = 10_000


class Request(NamedTuple):
    """What the platform was asked for, whatever came of it."""

    verb: str
    chat: str
    what: str = ""


class Loopback(Plugin):
    """Hears what it is told and keeps the last messages that the bot said."""

    meta = PluginMeta(
        id="loopback",
        version="1",
        implements={
            "session.receive": "receive",
            "session.send": "send",
            "session.media": "send",
            "session.typing": "typing",
            "session.presence": "presence",
            "session.edit": "edit",
            "session.delete": "delete",
            "session.react": "react",
        },
    )

    def __init__(
        self, now: Callable[[], datetime] = lambda: datetime.now(UTC), *, keys: bool = False
    ) -> None:
        self.said: deque[OutgoingMessage] = deque(maxlen=KEPT_MESSAGES)
        self.requests: deque[Request] = deque(maxlen=KEPT_MESSAGES)
        self.reactions: deque[tuple[str, str]] = deque(maxlen=KEPT_MESSAGES)  # message, emoji
        self.status: Status = "offline"
        self.troubles: deque[Trouble] = deque()
        self.arrivals: deque[Arrival] = deque()
        self._now = now
        self._keys = keys
        self._late: list[asyncio.Event] = []
        self._deliver: Deliver | None = None
        self._signal: Notice | None = None
        self._connected = asyncio.Event()
        self._cut = asyncio.Event()

    async def start(self) -> None:
        self._connected = asyncio.Event()  # of this loop: a bot may be started in another one

    # The bot's side

    async def receive(self, deliver: Deliver, signal: Notice | None = None) -> None:
        self._deliver, self._signal = deliver, signal
        self._cut = asyncio.Event()
        self._connected.set()
        try:
            await self._cut.wait()  # messages come by `hear`, until we are canceled
            raise ChannelError("the line to the loopback platform was cut; connect again")
        finally:
            self._connected.clear()

    async def send(self, message: OutgoingMessage) -> SendResult:
        self.requests.append(Request("send", message.channel_id, message.content))
        return await self._answer(self._show, message)

    async def edit(self, channel_id: str, message_id: str, content: str) -> SendResult:
        self.requests.append(Request("edit", channel_id, content))
        return await self._answer(self._replace, message_id, content)

    async def delete(self, channel_id: str, message_id: str) -> SendResult:
        self.requests.append(Request("delete", channel_id, message_id))
        return await self._answer(self._remove, message_id)

    async def react(
        self, channel_id: str, message_id: str, emoji: str, *, remove: bool = False
    ) -> SendResult:
        self.requests.append(Request("react", channel_id, emoji))
        return await self._answer(self._mark, message_id, emoji, remove)

    async def typing(self, channel_id: str) -> None:
        self.requests.append(Request("typing", channel_id))

    async def presence(self, status: Status) -> None:
        self.requests.append(Request("presence", "", status))
        self.status = status

    # The people's side

    async def hear(
        self,
        content: str,
        *,
        user: str = "you",
        chat: str | None = None,
        id: str | None = None,
        media: tuple[Media, ...] = (),
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
            media=media,
        )
        arrival = self.arrivals.popleft() if self.arrivals else None
        if isinstance(arrival, Late):
            self._late.append(asyncio.Event())
            await self._late[-1].wait()
        await self._connected.wait()
        assert self._deliver is not None
        receipt = await self._deliver(message)
        if isinstance(arrival, Twice):
            await self._deliver(message)
        late, self._late = self._late, []
        for one in late:
            one.set()
        return receipt

    async def tell(self, kind: Any, message_id: str = "", content: str = "", **more: Any) -> None:
        """Do something else as a person: edit, delete, react, type or read."""
        user = more.pop("user", "you")
        signal = Signal(
            kind=kind,
            channel_type=self.meta.id,
            channel_id=more.pop("chat", user),
            sender_id=user,
            message_id=message_id or None,
            content=content,
            at=self._now(),
            **more,
        )
        await self._connected.wait()
        if self._signal is not None:
            await self._signal(signal)

    def disconnect(self) -> None:
        """Cut the line: whoever receives gets an error, and may connect again."""
        self._connected.clear()
        self._cut.set()

    def said_to(self, chat: str) -> list[str]:
        """What the bot said in a chat, as it stands there now, oldest first."""
        return [message.content for message in self.said if message.channel_id == chat]

    def answers(self, receipt: Receipt) -> list[str]:
        """What the bot said to one message."""
        begin = f"{receipt.inbox_id}/"
        return [message.content for message in self.said if (message.id or "").startswith(begin)]

    # How it works

    async def _answer(self, do: Callable[..., SendResult], *arguments: Any) -> SendResult:
        if not self.troubles:
            return do(*arguments)
        match self.troubles.popleft():
            case Busy(retry_after):
                return SendResult(ok=False, error="too many requests", retry_after=retry_after)
            case Refused(error):
                return SendResult(ok=False, error=error, permanent=True)
            case Down():
                raise ConnectionError("the loopback platform cannot be reached")
            case Unheard():
                do(*arguments)
                raise ConnectionError("the loopback platform has not answered")
            case Slow(until):
                await until.wait()
        return do(*arguments)

    def _show(self, message: OutgoingMessage) -> SendResult:
        id = message.id or new_id()
        if not self._keys or all(other.id != id for other in self.said):
            self.said.append(message if message.id else message.model_copy(update={"id": id}))
        return SendResult(ok=True, ids=(id,))

    def _replace(self, id: str, content: str) -> SendResult:
        if (place := self._place(id)) is None:
            return _unknown(id)
        self.said[place] = self.said[place].model_copy(update={"content": content})
        return SendResult(ok=True, ids=(id,))

    def _remove(self, id: str) -> SendResult:
        if (place := self._place(id)) is not None:
            del self.said[place]
        return SendResult(ok=True)  # gone is gone, whoever did it

    def _mark(self, id: str, emoji: str, remove: bool) -> SendResult:
        mark = (id, emoji)
        if remove and mark in self.reactions:
            self.reactions.remove(mark)
        elif not remove and mark not in self.reactions:
            self.reactions.append(mark)
        return SendResult(ok=True)

    def _place(self, id: str) -> int | None:
        return next((n for n, message in enumerate(self.said) if message.id == id), None)


def _unknown(id: str) -> SendResult:
    return SendResult(ok=False, permanent=True, error=f"there is no message {id} in this chat")
