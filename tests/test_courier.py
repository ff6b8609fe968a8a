import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sessionbot_kit.courier import Courier, Patience
from sessionbot_kit.events import Failed, Feed, Sent
from sessionbot_kit.models import IncomingMessage, OutgoingMessage, SendResult, SessionKey
from sessionbot_kit.store import InboxRow, NewMessage, OutboxRow, Turn
from sessionbot_kit.stores.sqlite import SqliteStore

AT_ONCE = Patience(tries=3, first_wait_s=0.001, longest_wait_s=0.001, send_timeout_s=5)
REFUSED = SendResult(ok=False, error="no")

Answer = SendResult | Exception


class Platform:
    """Takes messages, and answers as the test says, then with yes."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.heard: list[str] = []

    async def send(self, message: OutgoingMessage) -> SendResult:
        self.heard.append(message.content)
        answer = self.answers.pop(0) if self.answers else SendResult(ok=True, ids=("p1",))
        if isinstance(answer, Exception):
            raise answer
        return answer


class House:
    """A store, a courier, and somebody who writes replies."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.feed = Feed()
        self.watch = self.feed.open()
        self.turns = 0

    def courier(
        self,
        send: Callable[[OutgoingMessage], Awaitable[SendResult]],
        patience: Patience = AT_ONCE,
    ) -> Courier:
        return Courier(self.store, send, self.feed, patience)

    async def reply(self, *contents: str, chat: str = "ada") -> list[OutboxRow]:
        """Commit a turn that says these things; return their rows in the outbox."""
        self.turns += 1
        turn, now = f"t{self.turns}", datetime.now(UTC)
        message = IncomingMessage(
            id=turn, channel_type="pigeon", channel_id=chat, sender_id=chat, sender_name=chat,
            content="?", timestamp=now,
        )  # fmt: skip
        session = await self.store.session_for(SessionKey("bot", "pigeon", chat, chat))
        await self.store.accept(InboxRow(turn, session.id, message))
        replies = tuple(
            message.reply(content, id=f"{turn}/{n}") for n, content in enumerate(contents)
        )
        lines = tuple(NewMessage("assistant", content, now) for content in contents)
        await self.store.commit(Turn(turn, session.id, self.epoch, lines, None, replies))
        return [OutboxRow(reply.id or "", session.id, reply) for reply in replies]

    epoch = 0


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with SqliteStore(tmp_path / "bot.db") as store:
        lease = await store.acquire("test")
        house = House(store)
        house.epoch = lease.epoch
        yield house


async def test_a_reply_is_sent_and_leaves_the_outbox(house: House) -> None:
    platform = Platform()
    courier = house.courier(platform.send)
    (row,) = await house.reply("hello")
    courier.post(row)
    await courier.settle()
    assert platform.heard == ["hello"]
    assert await house.store.unsent() == []
    event = await house.watch.next()
    assert isinstance(event, Sent)
    assert (event.reply, event.ids) == ("t1/0", ("p1",))


async def test_replies_to_one_chat_keep_their_order_through_failures(house: House) -> None:
    platform = Platform(REFUSED, OSError("away"))
    courier = house.courier(platform.send)
    for row in await house.reply("one", "two", "three"):
        courier.post(row)
    await courier.settle()
    assert platform.heard == ["one", "one", "one", "two", "three"]


async def test_a_chat_that_fails_holds_nobody_else_up(house: House) -> None:
    never = asyncio.Event()
    heard: list[str] = []

    async def send(message: OutgoingMessage) -> SendResult:
        if message.channel_id == "ada":
            await never.wait()
        heard.append(message.content)
        return SendResult(ok=True)

    courier = house.courier(send)
    courier.post((await house.reply("stuck", chat="ada"))[0])
    courier.post((await house.reply("free", chat="bob"))[0])
    await courier.settle(("pigeon", "default", "bob"))
    assert heard == ["free"]
    await courier.stop()
    assert [row.message.content for row in await house.store.unsent()] == ["stuck"]


async def test_after_the_last_try_a_reply_is_a_dead_letter(house: House) -> None:
    platform = Platform(*[REFUSED] * 3)
    courier = house.courier(platform.send)
    for row in await house.reply("unheard", "heard"):
        courier.post(row)
    await courier.settle()
    assert platform.heard == ["unheard"] * 3 + ["heard"]
    (dead,) = await house.store.dead_letters()
    assert (dead.message.content, dead.error, dead.attempts) == ("unheard", "no", 3)


async def test_a_channel_that_says_never_is_not_asked_again(house: House) -> None:
    platform = Platform(SendResult(ok=False, permanent=True, error="you are blocked"))
    courier = house.courier(platform.send)
    courier.post((await house.reply("hello"))[0])
    await courier.settle()
    assert platform.heard == ["hello"]
    assert [letter.error for letter in await house.store.dead_letters()] == ["you are blocked"]
    assert isinstance(await house.watch.next(), Failed)


async def test_a_channel_that_does_not_answer_is_a_failure_too(house: House) -> None:
    async def send(message: OutgoingMessage) -> SendResult:
        await asyncio.Event().wait()
        raise AssertionError

    courier = house.courier(send, Patience(tries=1, send_timeout_s=0.01))
    courier.post((await house.reply("hello"))[0])
    await courier.settle()
    (dead,) = await house.store.dead_letters()
    assert dead.error == "no answer within 0.01 s"


async def test_tries_are_counted_across_restarts(house: House) -> None:
    platform = Platform(*[REFUSED] * 10)
    (row,) = await house.reply("hello")
    await house.store.failed(row.id, "no")
    await house.store.failed(row.id, "no")
    (left,) = await house.store.unsent()
    courier = house.courier(platform.send)
    courier.post(left)
    await courier.settle()
    assert platform.heard == ["hello"]
    assert len(await house.store.dead_letters()) == 1


async def test_the_wait_honors_what_the_platform_asks_for(house: House) -> None:
    courier = house.courier(Platform().send, Patience(first_wait_s=1, longest_wait_s=4))
    assert courier._wait_s(1, retry_after=30.0) == 30.0
    waits = {courier._wait_s(8, None) for _ in range(200)}
    assert 0 <= min(waits) < 1 < max(waits) <= 4


async def test_a_platform_that_takes_so_many_a_second_is_not_asked_faster(house: House) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    courier = Courier(
        house.store, Platform().send, house.feed, most_per_s={"pigeon": 1e-6}, sleep=sleep
    )
    for chat in ("ada", "bob", "eve"):
        courier.post((await house.reply("hello", chat=chat))[0])
    await courier.settle()
    assert waits == [0.0, pytest.approx(1e6, rel=1e-3), pytest.approx(2e6, rel=1e-3)]


async def test_what_a_channel_calls_a_reply_is_known_at_once_and_after_a_restart(
    house: House,
) -> None:
    courier = house.courier(Platform().send)
    sent, waiting = await house.reply("one", "two")
    courier.post(sent)
    await courier.settle(("pigeon", "default", "ada"))
    assert await courier.ids_of(sent.id) == ("p1",)
    await courier.settle()
    later = house.courier(Platform().send)
    assert await later.ids_of(sent.id) == ("p1",)
    assert await later.ids_of(waiting.id) == ()
    assert await later.ids_of("p1") is None
