"""What the tests of stores are about: keys, lines, messages and replies, each in a word."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sessionbot_kit.context import Summary
from sessionbot_kit.ids import new_id
from sessionbot_kit.models import IncomingMessage, OutgoingMessage, SessionKey
from sessionbot_kit.store import InboxRow, NewMessage, Turn

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def key(user: str = "ada", *, chat: str = "", interface: str = "telegram") -> SessionKey:
    return SessionKey("shop", interface, chat or user, user)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def line(text: str, *, tokens: int = 1, seconds: float = 0, **more: Any) -> NewMessage:
    return NewMessage("user", text, at(seconds), tokens=tokens, **more)


def lines(count: int, *, tokens: int = 1) -> list[NewMessage]:
    return [line(f"line {n}", tokens=tokens, seconds=n) for n in range(1, count + 1)]


def summary(first: int, last: int, *, text: str = "they talked") -> Summary:
    return Summary(first, last, text, 3, last - first + 1, 1, NOON)


def heard(text: str = "hello", *, id: str = "1", chat: str = "c1", **more: Any) -> IncomingMessage:
    return IncomingMessage(
        id=id,
        channel_type="telegram",
        channel_id=chat,
        sender_id="ada",
        sender_name="Ada",
        content=text,
        timestamp=NOON,
        **more,
    )


def inbox(session_id: str, message: IncomingMessage | None = None) -> InboxRow:
    return InboxRow(new_id(), session_id, message or heard())


def reply(row: InboxRow, step: int = 1, text: str = "hi") -> OutgoingMessage:
    return row.message.reply(text, id=f"{row.id}/{step}")


def answer(row: InboxRow, epoch: int, *texts: str, **more: Any) -> Turn:
    """A turn that answers a row with these texts."""
    replies = tuple(reply(row, step, text) for step, text in enumerate(texts, 1))
    return Turn(row.id, row.session_id, epoch, replies=replies, **more)


async def becomes_true(read: Callable[[], Awaitable[bool]], *, within_s: float) -> bool:
    """Read until it is so, at most so long: for what another process wrote."""
    deadline = asyncio.get_running_loop().time() + within_s
    while not await read():
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(0.002)
    return True
