"""How messages come in, in whichever form a channel gives them."""

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from sessionbot_kit.channel import Receipt, Signal
from sessionbot_kit.errors import ChannelError, MessageError, StoreError
from sessionbot_kit.intake import take_in
from sessionbot_kit.models import IncomingMessage

TYPING = Signal(kind="typing", channel_type="pigeon", channel_id="ada", sender_id="ada")


def letter(text: str) -> IncomingMessage:
    return IncomingMessage(
        id=text, channel_type="pigeon", channel_id="ada", sender_id="ada", sender_name="Ada",
        content=text, timestamp=datetime.now(UTC),
    )  # fmt: skip


class House:
    """Keeps what comes; fails as often as it is told to."""

    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)
        self.heard: list[str] = []
        self.signals: list[Signal] = []
        self.more = asyncio.Event()

    async def deliver(self, message: IncomingMessage) -> Receipt:
        if self.faults:
            raise self.faults.pop(0)
        self.heard.append(message.content)
        self.more.set()
        return Receipt(message.id, "s", ("pigeon", "default", "ada"))

    async def signal(self, signal: Signal) -> None:
        self.signals.append(signal)

    async def takes(self, receive: Any) -> None:
        await take_in(receive, self.deliver, self.signal)

    async def takes_until(self, receive: Any, count: int) -> None:
        """Take in until so many were heard, then stop."""
        task = asyncio.get_running_loop().create_task(self.takes(receive))
        while len(self.heard) < count:
            self.more.clear()
            await self.more.wait()
        task.cancel()
        await asyncio.wait([task])


class Polled:
    """The older contract: asked again and again."""

    def __init__(self, *batches: list[IncomingMessage] | None) -> None:
        self.batches = list(batches)
        self.threads: set[str] = set()

    def poll_updates(self) -> list[IncomingMessage] | None:
        self.threads.add(threading.current_thread().name)
        return self.batches.pop(0) if self.batches else []


async def test_an_async_generator_goes_on_when_its_message_is_stored() -> None:
    house, kept = House(StoreError("the disk is full; make room")), []

    async def receive() -> AsyncIterator[IncomingMessage | Signal]:
        yield letter("one")
        kept.append(list(house.heard))
        yield TYPING

    await house.takes(receive)
    assert (kept, house.signals) == ([["one"]], [TYPING])


async def test_a_channel_that_asks_for_signals_can_tell_them() -> None:
    house = House()

    async def receive(deliver: Any, signal: Any) -> None:
        await deliver(letter("one"))
        await signal(TYPING)

    await house.takes(receive)
    assert (house.heard, house.signals) == (["one"], [TYPING])


async def test_a_poll_runs_in_a_thread_of_its_own() -> None:
    house, channel = House(), Polled([letter("one"), letter("two")], None, [letter("three")])
    await house.takes_until(channel.poll_updates, 2)
    assert house.heard == ["one", "two"]
    assert channel.threads == {"plugin poll"}


async def test_what_was_polled_and_not_stored_comes_first_next_time() -> None:
    channel = Polled([letter("one"), letter("two")])
    with pytest.raises(OSError, match="no house"):
        await House(OSError("no house")).takes(channel.poll_updates)
    house = House()
    await house.takes_until(channel.poll_updates, 2)
    assert house.heard == ["one", "two"]


async def test_a_message_that_nobody_can_use_holds_no_other_up() -> None:
    house, channel = House(MessageError("too large")), Polled([letter("one"), letter("two")])
    await house.takes_until(channel.poll_updates, 1)
    assert house.heard == ["two"]


async def test_what_is_no_message_is_refused_with_a_sentence() -> None:
    async def receive() -> AsyncIterator[str]:
        yield "hello"

    with pytest.raises(ChannelError, match="a channel gave str; it gives messages and signals"):
        await House().takes(receive)


async def test_a_channel_that_asks_for_something_strange_is_told_what_there_is() -> None:
    async def receive(mailbox: Any) -> None: ...

    with pytest.raises(ChannelError, match='asks for "mailbox"; it may ask for deliver, signal'):
        await House().takes(receive)
