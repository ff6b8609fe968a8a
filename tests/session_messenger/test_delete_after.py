"""What is said for a while is taken back, whatever became of the process that said it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sessionbot_kit.bot import Bot
from sessionbot_kit.channels.session_messenger.channel import SessionMessenger
from sessionbot_kit.channels.session_messenger.events import MessageId, Unsent
from sessionbot_kit.channels.session_messenger.identity import Identity
from sessionbot_kit.channels.session_messenger.loopback import LoopbackNetwork
from sessionbot_kit.channels.session_messenger.pace import Pace
from sessionbot_kit.dialog import Chat
from sessionbot_kit.extension import plugin
from sessionbot_kit.testing import FakeClock

from .people import Person, talking

LONG = "x" * 100_000  # two records


@plugin
async def secret(chat: Chat) -> None:
    """Say something for an hour."""
    text = LONG if chat.message.content == "all of it" else "under the mat"
    await chat.say(text, delete_after=3_600)


class House:
    """A bot that can be ended and begun again."""

    def __init__(self, network: LoopbackNetwork, identity: Identity, folder: Path) -> None:
        self.clock = FakeClock()
        self.id = identity.session_id
        self._network, self._identity, self._folder = network, identity, folder

    def bot(self) -> Bot:
        channel = SessionMessenger(
            self._identity,
            folder=self._folder,
            pace=Pace(fast_s=0.02, slow_s=0.02),
            **self._network.address,
        )
        store = self._folder / "bot.db"
        return Bot(secret, store=store, channels=[channel], clock=self.clock)


@pytest.fixture
async def network() -> AsyncIterator[LoopbackNetwork]:
    async with LoopbackNetwork(limits_rate=False) as network:
        yield network
        assert not network.refusals


@pytest.fixture
async def one(network: LoopbackNetwork, ada: Identity, tmp_path: Path) -> AsyncIterator[Person]:
    async with talking(network, ada, tmp_path / "ada") as person:
        yield person


@pytest.fixture
def house(network: LoopbackNetwork, bob: Identity, tmp_path: Path) -> House:
    return House(network, bob, tmp_path / "bot")


async def test_what_was_said_for_an_hour_is_unsent_by_the_next_process(
    house: House, one: Person
) -> None:
    async with house.bot():
        await one.says(house.id, "where is the key?")
        message = await one.hears()
    house.clock.turn(hours=1)
    async with house.bot():
        assert await one.sees(Unsent) == Unsent(MessageId.parse(message.id))


async def test_an_answer_in_parts_is_unsent_part_by_part(house: House, one: Person) -> None:
    async with house.bot():
        await one.says(house.id, "all of it")
        parts = [await one.hears(), await one.hears()]
        house.clock.turn(hours=1)
        gone = [await one.sees(Unsent), await one.sees(Unsent)]
    assert gone == [Unsent(MessageId.parse(part.id)) for part in parts]
