"""What happens when something is full: nobody is forgotten, and nobody else has to wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sessionbot_kit import Bot, IncomingMessage, KitError, OutgoingMessage, PluginMeta, plugin
from sessionbot_kit.bounds import Bounds
from sessionbot_kit.channel import Deliver
from sessionbot_kit.errors import RateLimited
from sessionbot_kit.models import SendResult
from sessionbot_kit.plugins import echo


class Gate:
    """A plugin, or a channel, that waits until it may go on."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def answer(self, message: IncomingMessage) -> str:
        await self.open.wait()
        return message.content


class Snail:
    """A platform that takes its time."""

    meta = PluginMeta(id="snail", implements={"session.receive": "receive", "session.send": "send"})

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.here = asyncio.Event()
        self.taken: list[str] = []

    async def receive(self, deliver: Deliver) -> None:
        self.deliver = deliver
        self.here.set()
        await asyncio.Event().wait()

    async def send(self, message: OutgoingMessage) -> SendResult:
        await self.open.wait()
        self.taken.append(message.content)
        return SendResult(ok=True)

    async def says(self, text: str) -> Any:
        await self.here.wait()
        return await self.deliver(
            IncomingMessage(
                id=text, channel_type="snail", channel_id="ada", sender_id="ada",
                sender_name="Ada", content=text, timestamp=datetime.now(UTC),
            )
        )  # fmt: skip


@asynccontextmanager
async def a_bot(folder: Path, *plugins: Any, **options: Any) -> AsyncIterator[Bot]:
    async with Bot(*plugins, store=folder / "bot.db", drain_s=0.0, **options) as bot:
        yield bot


async def test_whoever_writes_faster_than_they_are_answered_is_refused(tmp_path: Path) -> None:
    gate = Gate()
    waits = plugin(id="waits")(gate.answer)
    async with a_bot(tmp_path, waits, bounds=Bounds(turns_per_session=2)) as bot:
        for number in range(2):
            await bot.loopback.hear(str(number), user="ada")
        with pytest.raises(RateLimited, match="2 messages of this session wait") as refused:
            await bot.loopback.hear("2", user="ada")
        assert refused.value.retry_after > 0
        await bot.loopback.hear("of somebody else", user="bob")
        gate.open.set()
        await bot.settle()
        assert await bot.hear("2", user="ada") == ["2"]
        assert bot.loopback.said_to("ada") == ["0", "1", "2"]


async def test_channels_wait_when_too_many_turns_wait_in_all(tmp_path: Path) -> None:
    gate = Gate()
    async with a_bot(tmp_path, plugin(id="waits")(gate.answer), bounds=Bounds(turns=2)) as bot:
        for number in range(2):
            await bot.loopback.hear("hi", user=f"user {number}")
        late = asyncio.ensure_future(bot.loopback.hear("hi", user="user 2"))
        await asyncio.wait([late], timeout=0.1)
        assert not late.done()
        gate.open.set()
        await late
        await bot.settle()
        assert [bot.loopback.said_to(f"user {number}") for number in range(3)] == [["hi"]] * 3
        assert len(bot.gateway.turns) == 0


async def test_a_chat_that_takes_no_replies_gets_no_more_of_them_made(tmp_path: Path) -> None:
    snail, made = Snail(), []

    @plugin
    async def count(message: IncomingMessage) -> str:
        made.append(message.content)
        return message.content

    bounds = Bounds(replies_per_chat=2)
    async with a_bot(tmp_path, count, channels=[snail], bounds=bounds) as bot:
        for number in range(5):
            receipt = await snail.says(str(number))
        assert await bot.hear("others are answered", user="bob") == ["others are answered"]
        assert [text for text in made if text.isdecimal()] == ["0", "1"]
        snail.open.set()
        await bot.gateway.settle(receipt)
        assert snail.taken == ["0", "1", "2", "3", "4"]


async def test_a_slow_channel_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    snail = Snail()
    async with a_bot(tmp_path, echo, channels=[snail]) as bot:
        await snail.says("!echo slow")
        for number in range(50):
            assert await bot.hear(f"!echo {number}") == [str(number)]
        assert snail.taken == []


@pytest.mark.parametrize("field", ["turns_per_session", "turns", "replies_per_chat", "replies"])
def test_a_bound_of_nothing_is_refused(field: str) -> None:
    with pytest.raises(KitError, match=f"Bounds.{field} is 0; give 1 or more"):
        Bounds(**{field: 0})
