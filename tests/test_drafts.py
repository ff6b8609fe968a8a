"""An answer is shown as it grows, where the platform can edit, and ends as what was said."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from sessionbot_kit import Bot
from sessionbot_kit.channel import Deliver
from sessionbot_kit.dialog import Chat
from sessionbot_kit.drafts import Drafts
from sessionbot_kit.extension import Plugin, PluginMeta, plugin
from sessionbot_kit.llms import Scripted
from sessionbot_kit.models import IncomingMessage, OutgoingMessage, SendResult
from sessionbot_kit.outlet import Outlet
from sessionbot_kit.plugins.assistant import Assistant


class Board(Plugin):
    """A platform that can edit; `lines` is what people see there."""

    meta = PluginMeta(
        id="board",
        implements={
            "session.receive": "receive",
            "session.send": "send",
            "session.edit": "edit",
        },
    )

    max_chars: int | None = None

    def __init__(self, *, refuses: bool = False) -> None:
        self.lines: dict[str, str] = {}
        self.seen: list[str] = []
        self.refuses = refuses
        self.changed = asyncio.Event()
        self._deliver: asyncio.Future[Deliver] = asyncio.get_running_loop().create_future()

    async def receive(self, deliver: Deliver) -> None:
        self._deliver.set_result(deliver)
        await asyncio.Event().wait()

    async def send(self, message: OutgoingMessage) -> SendResult:
        id = f"line {len(self.lines)}"
        self._write(id, message.content)
        return SendResult(ok=True, ids=(id,))

    async def edit(self, channel_id: str, message_id: str, content: str) -> SendResult:
        if self.refuses:
            return SendResult(ok=False, error="too old to edit")
        self._write(message_id, content)
        return SendResult(ok=True, ids=(message_id,))

    async def hear(self, content: str) -> None:
        await (await self._deliver)(incoming(content))

    async def until(self, text: str) -> None:
        async with asyncio.timeout(10):
            while text not in self.seen:
                self.changed.clear()
                await self.changed.wait()

    def _write(self, id: str, content: str) -> None:
        self.lines[id] = content
        self.seen.append(content)
        self.changed.set()


def incoming(content: str) -> IncomingMessage:
    return IncomingMessage(
        id=content,
        channel_type="board",
        channel_id="c",
        sender_id="ada",
        sender_name="Ada",
        content=content,
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
    )


@plugin("!tell")
async def tell(message: IncomingMessage, chat: Chat) -> str:
    """Tell a story in two pieces."""
    await chat.draft("Once")
    await chat.once("story", lambda: "Once upon a time.")
    return "Once upon a time."


async def test_an_answer_grows_in_one_message() -> None:
    board = Board()

    @plugin("!tell")
    async def tell(message: IncomingMessage, chat: Chat) -> str:
        await chat.draft("Once")
        await board.until("Once …")
        await chat.draft("Once upon")
        await board.until("Once upon …")
        return "Once upon a time."

    async with Bot(tell, channels=[board]) as bot:
        await board.hear("!tell")
        await board.until("Once upon a time.")
        await bot.settle()
    assert board.seen == ["Once …", "Once upon …", "Once upon a time."]
    assert list(board.lines.values()) == ["Once upon a time."]


async def test_a_platform_that_cannot_edit_gets_the_answer_alone() -> None:
    class Stone(Board):
        meta = PluginMeta(
            id="board", implements={"session.receive": "receive", "session.send": "send"}
        )

    board = Stone()
    async with Bot(tell, channels=[board]) as bot:
        await board.hear("!tell")
        await bot.settle()
    assert board.seen == ["Once upon a time."]


async def test_what_is_heard_is_the_answer_and_not_its_draft() -> None:
    async with Bot(tell) as bot:
        assert await bot.hear("!tell") == ["Once upon a time."]


async def test_where_the_edit_is_refused_the_answer_is_sent() -> None:
    board = Board(refuses=True)
    async with Bot(tell, channels=[board]) as bot:
        await board.hear("!tell")
        await bot.settle()
    assert list(board.lines.values()) == ["Once …", "Once upon a time."]


async def test_a_turn_that_fails_leaves_no_half_answer() -> None:
    board = Board()

    @plugin("!tell")
    async def tell(message: IncomingMessage, chat: Chat) -> str:
        await chat.draft("Once")
        raise RuntimeError("no more stories")

    async with Bot(tell, channels=[board]) as bot:
        await board.hear("!tell")
        await bot.settle()
    (line,) = board.lines.values()
    assert line.startswith("Sorry")


async def test_the_assistant_shows_its_answer_as_it_grows() -> None:
    board = Board()
    async with Bot(Assistant(Scripted(["Hello dear Ada."])), channels=[board]) as bot:
        await board.hear("Hi")
        await bot.settle()
    assert board.seen == ["Hello  …", "Hello dear Ada."]


@pytest_asyncio.fixture
async def drafts() -> AsyncIterator[Drafts]:
    drafts = Drafts()
    yield drafts
    await drafts.stop()


async def test_of_many_drafts_a_slow_platform_shows_the_newest(drafts: Drafts) -> None:
    begun, slow = asyncio.Event(), asyncio.Event()

    class Slow(Board):
        async def send(self, message: OutgoingMessage) -> SendResult:
            begun.set()
            await slow.wait()
            return await super().send(message)

    board = Slow()
    outlet = Outlet(board)
    drafts.show("t", "a", incoming("x"), outlet)
    await begun.wait()
    for text in ("ab", "abc"):
        drafts.show("t", text, incoming("x"), outlet)
    asyncio.get_running_loop().call_soon(slow.set)
    settled = await drafts.settle(incoming("x").reply("abcd", id="t/0"))
    assert settled is not None
    assert settled.ids == ("line 0",)
    assert board.seen == ["a …", "abcd"]


async def test_a_draft_keeps_to_the_room_that_a_platform_has(drafts: Drafts) -> None:
    board = Board()
    board.max_chars = 6
    drafts.show("t", "abcdefgh", incoming("x"), Outlet(board))
    await board.until("abcd …")
    await drafts.settle(incoming("x").reply("abcdefgh", id="t/0"))
    assert list(board.lines.values()) == ["abcdef", "gh"]


@pytest.mark.parametrize("fault", [SendResult(ok=False), RuntimeError("away")])
async def test_a_draft_that_cannot_be_sent_is_given_up(
    drafts: Drafts, fault: SendResult | Exception
) -> None:
    class Broken(Board):
        async def send(self, message: OutgoingMessage) -> SendResult:
            if isinstance(fault, Exception):
                raise fault
            return fault

    drafts.show("t", "a", incoming("x"), Outlet(Broken()))
    assert await drafts.settle(incoming("x").reply("b", id="t/0")) is None
    assert await drafts.settle(incoming("x").reply("b", id="t/0")) is None
