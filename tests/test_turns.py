"""Turns between a gateway and kernels that die, freeze, leave and come back late."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest

from sessionbot_kit import Gateway, PluginMeta
from sessionbot_kit.answering import ABSENT, ASIDE, NOT_HERE
from sessionbot_kit.channels.loopback import Loopback
from sessionbot_kit.journal import Entry, Progress
from sessionbot_kit.link import Bye, Event, Hello, Offer, Result, Step, Stepped
from sessionbot_kit.links.memory import MemoryLink, memory_link
from sessionbot_kit.routes import Route
from sessionbot_kit.stores.sqlite import SqliteStore
from sessionbot_kit.testing import FakeClock


class House:
    """A gateway with people on one side; on the other, kernels whose part the test plays."""

    def __init__(self, gateway: Gateway, loopback: Loopback, clock: FakeClock) -> None:
        self.gateway = gateway
        self.loopback = loopback
        self.clock = clock

    async def kernel(
        self, *plugins: str, name: str = "kernel", turn_timeout_s: float = 30.0
    ) -> MemoryLink:
        """The kernel's end of a link, introduced."""
        outer, inner = memory_link(name)
        self.gateway.serve(outer)
        routes = tuple(Route(plugin, (f"!{plugin}",)) for plugin in plugins or ("a",))
        await inner.send(Hello("bot", name, routes, turn_timeout_s))
        return inner

    async def says(self, text: str, user: str = "ada") -> None:
        await self.loopback.hear(text, user=user)

    def said(self, user: str = "ada") -> list[str]:
        return self.loopback.said_to(user)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    clock = FakeClock()
    loopback = Loopback(clock.now)
    async with (
        SqliteStore(tmp_path / "bot.db", clock=clock.now) as store,
        Gateway(store, channels=[loopback], clock=clock, drain_s=0.0) as gateway,
    ):
        yield House(gateway, loopback, clock)


async def offered(link: MemoryLink) -> Offer:
    frame = await link.receive()
    assert isinstance(frame, Offer)
    return frame


def answer(offer: Offer, text: str = "", **more: Any) -> Result:
    replies = (offer.message.reply(text, id=f"{offer.turn}/0"),) if text else ()
    return Result(offer.turn, offer.attempt, offer.epoch, replies, **more)


def step(offer: Offer, *entries: Entry, **more: Any) -> Step:
    return Step(offer.turn, offer.attempt, offer.epoch, Progress(entries, **more))


async def attempts(house: House) -> list[int]:
    return [row.attempts for row in await house.gateway.store.waiting()]


async def test_a_turn_whose_kernel_dies_is_offered_to_the_next(house: House) -> None:
    first = await house.kernel(name="first")
    await house.says("!a")
    lost = await offered(first)
    await first.close()
    second = await house.kernel(name="second")
    again = await offered(second)
    assert (again.turn, again.attempt) == (lost.turn, 2)
    await second.send(answer(again, "here"))
    await house.gateway.settle()
    assert house.said() == ["here"]


async def test_a_death_is_counted_and_a_good_bye_is_not(house: House) -> None:
    first = await house.kernel()
    await house.says("!a")
    await offered(first)
    await first.send(Bye())
    second = await house.kernel()
    await offered(second)
    assert await attempts(house) == [0]
    await second.close()
    await offered(await house.kernel())
    assert await attempts(house) == [1]


async def test_the_second_time_a_turn_runs_alone(house: House) -> None:
    await house.says("!a")
    for _ in range(2):
        kernel = await house.kernel()
        await offered(kernel)
        await kernel.close()
    kernel = await house.kernel()
    alone = await offered(kernel)
    await house.says("!a", user="bob")
    await house.says("!a", user="eve")
    await kernel.send(answer(alone, "at last"))
    others = [await offered(kernel), await offered(kernel)]
    assert {offer.message.sender_id for offer in others} == {"bob", "eve"}
    await until(lambda: house.said() == ["at last"])


async def test_a_turn_that_kills_its_kernel_is_set_aside_in_the_end(house: House) -> None:
    await house.says("!a")
    for _ in range(5):
        kernel = await house.kernel()
        await offered(kernel)
        await kernel.close()
    await house.gateway.settle()
    assert house.said() == [ASIDE]
    assert await house.gateway.store.waiting() == []


async def test_what_a_frozen_kernel_says_too_late_is_refused(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessionbot_kit.switchboard.GRACE_S", 0.01)
    frozen = await house.kernel(name="frozen", turn_timeout_s=0.01)
    await house.says("!a")
    old = await offered(frozen)
    other = await house.kernel(name="other")
    new = await offered(other)
    await frozen.send(step(old, Entry("say")))
    assert await frozen.receive() == Stepped(old.turn, old.attempt, old.epoch, ok=False)
    await frozen.send(answer(old, "stale"))
    await other.send(answer(new, "fresh"))
    await house.gateway.settle()
    assert house.said() == ["fresh"]


async def test_a_step_is_answered_when_it_is_on_the_disk(house: House) -> None:
    kernel = await house.kernel()
    await house.says("!a")
    offer = await offered(kernel)
    reply = offer.message.reply("so far", id=f"{offer.turn}/0")
    await kernel.send(step(offer, Entry("say", turn=offer.turn, said=1), replies=(reply,)))
    assert await kernel.receive() == Stepped(offer.turn, offer.attempt, offer.epoch)
    (journal,) = await house.gateway.store.journals(offer.session_id)
    assert [entry.kind for entry in journal.entries] == ["say"]
    assert await attempts(house) == [0]


async def test_a_kernel_gets_the_journal_of_a_turn_that_began_elsewhere(house: House) -> None:
    first = await house.kernel()
    await house.says("!a")
    offer = await offered(first)
    entries = Entry("begin", "", {}, offer.turn), Entry("once", "x", 1, offer.turn)
    await first.send(step(offer, *entries, variables={"n": 1}))
    await first.receive()
    await first.close()
    again = await offered(await house.kernel())
    assert again.journal == entries
    assert again.variables == {"n": 1}


# Nobody is there


async def test_without_a_kernel_a_message_waits_and_the_person_is_told_once(house: House) -> None:
    await house.says("!a")
    await house.says("!a")
    await until(lambda: len(house.clock._sleepers) > 0)
    house.clock.turn(seconds=9)
    assert house.said() == []
    house.clock.turn(seconds=1)
    await until(lambda: house.said() == [ABSENT])
    house.clock.turn(minutes=10)
    kernel = await house.kernel()
    for _ in range(2):
        await kernel.send(answer(await offered(kernel), "back"))
    await house.gateway.settle()
    assert house.said() == [ABSENT, "back", "back"]


async def test_a_person_is_told_once_even_if_the_gateway_restarts(tmp_path: Path) -> None:
    clock = FakeClock()
    loopback = Loopback(clock.now)
    for _ in range(2):
        async with (
            SqliteStore(tmp_path / "bot.db", clock=clock.now) as store,
            Gateway(store, channels=[loopback], clock=clock) as gateway,
        ):
            if not loopback.said:
                await loopback.hear("!a", user="ada")
            await until(lambda: len(clock._sleepers) > 0)
            clock.turn(seconds=11)
            await until(lambda: len(loopback.said) == 1)
            await gateway.courier.settle()
    assert loopback.said_to("ada") == [ABSENT]


async def test_a_dialog_whose_plugin_is_away_stays_open_for_its_return(house: House) -> None:
    kernel = await house.kernel("a")
    await house.says("!a")
    offer = await offered(kernel)
    entries = Entry("begin", "", {}, offer.turn), Entry("ask", "", "Well?", offer.turn, 1)
    await kernel.send(answer(offer, "Well?", asks=True, entries=entries))
    await house.gateway.settle()
    await kernel.send(Hello("bot", "kernel", (Route("b", ("!b",)),)))
    await until(lambda: house.gateway.routes()[0].plugin == "b")
    await house.says("yes")
    await until(lambda: len(house.clock._sleepers) > 1)
    house.clock.turn(seconds=31)
    await house.gateway.settle()
    assert house.said() == ["Well?", NOT_HERE]
    await kernel.send(Hello("bot", "kernel", (Route("a", ("!a",)),)))
    await house.says("yes")
    assert (await offered(kernel)).journal == entries


async def test_typing_is_shown_where_the_platform_can_and_may_fail(tmp_path: Path) -> None:
    class Typing(Loopback):
        meta = PluginMeta(
            id="loopback",
            implements={
                "session.receive": "receive",
                "session.send": "send",
                "session.typing": "typing",
            },
        )
        shown: ClassVar[list[str]] = []

        async def typing(self, chat: str) -> None:
            self.shown.append(chat)
            raise OSError("on purpose")

    loopback = Typing()
    async with (
        SqliteStore(tmp_path / "bot.db") as store,
        Gateway(store, channels=[loopback]) as gateway,
    ):
        house = House(gateway, loopback, FakeClock())
        kernel = await house.kernel()
        await house.says("!a")
        offer = await offered(kernel)
        await kernel.send(Event(offer.turn, "typing"))
        await kernel.send(Event("another turn", "typing"))
        await kernel.send(answer(offer, "done"))
        await gateway.settle()
    assert (loopback.shown, house.said()) == (["ada"], ["done"])


async def until(condition: Callable[[], bool]) -> None:
    """Let others go on until something is true."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the condition is somebody else's
            await asyncio.sleep(0.001)


async def test_timestamps_are_ours(house: House) -> None:
    await house.says("!a")
    offer = await offered(await house.kernel())
    assert offer.now == house.clock.now()
    assert offer.message.timestamp <= datetime.now(UTC)
