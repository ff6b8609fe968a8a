"""Somebody with the messenger, as notebooks use him."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sessionbot_kit.bot import Bot
from sessionbot_kit.channels.session_messenger.channel import SessionMessenger
from sessionbot_kit.channels.session_messenger.identity import Identity
from sessionbot_kit.channels.session_messenger.loopback import LoopbackNetwork, Person
from sessionbot_kit.channels.session_messenger.pace import Pace
from sessionbot_kit.errors import ChannelError
from sessionbot_kit.models import Media
from sessionbot_kit.plugins.echo import echo


@pytest.fixture
async def network() -> AsyncIterator[LoopbackNetwork]:
    async with LoopbackNetwork() as network:
        yield network


@pytest.fixture
async def ada(network: LoopbackNetwork) -> AsyncIterator[Person]:
    async with Person("Ada", network) as person:
        yield person


@pytest.fixture
async def bot(
    network: LoopbackNetwork, bob: Identity, tmp_path: Path
) -> AsyncIterator[SessionMessenger]:
    pace = Pace(fast_s=0.02, slow_s=0.02)
    channel = SessionMessenger(bob, folder=tmp_path, pace=pace, **network.address)
    async with Bot(echo, channels=[channel]):
        yield channel


async def test_a_person_talks_with_a_bot(ada: Person, bot: SessionMessenger) -> None:
    await ada.says(bot.session_id, "!echo Hello")
    answer = await ada.hears()
    assert (answer.content, answer.sender_id) == ("Hello", bot.session_id)


async def test_two_people_talk_with_each_other(network: LoopbackNetwork, ada: Person) -> None:
    async with Person("Bob", network) as bob:
        await ada.says(bob.session_id, "Look", media=[Media.from_bytes(b"meow", name="cat.jpg")])
        message = await bob.hears()
    assert (message.sender_name, message.content) == ("Ada", "Look")
    assert message.media[0].data == b"meow"


async def test_a_person_to_whom_nobody_writes_says_so(ada: Person) -> None:
    with pytest.raises(ChannelError, match=r"nobody wrote to Ada within 0\.01 s"):
        await ada.hears(timeout_s=0.01)


async def test_a_person_who_cannot_write_says_why(ada: Person) -> None:
    with pytest.raises(ChannelError, match="Ada could not write: 'bob' is no Session ID"):
        await ada.says("bob", "Hello")


def test_a_person_shows_his_name_alone(network: LoopbackNetwork) -> None:
    assert repr(Person("Ada", network)) == "Person(Ada)"
    assert repr(network) == "LoopbackNetwork of 4 nodes in 2 swarms"
