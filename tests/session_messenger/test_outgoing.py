"""What is said is said once, however often it is tried."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sessionbot_kit.channels.session_messenger.envelope import unpack
from sessionbot_kit.channels.session_messenger.events import MessageId
from sessionbot_kit.channels.session_messenger.files import FileClient
from sessionbot_kit.channels.session_messenger.identity import Identity
from sessionbot_kit.channels.session_messenger.loopback import LoopbackNetwork
from sessionbot_kit.channels.session_messenger.loopback.faults import (
    Codes,
    Fault,
    HangsUp,
    KeepsNothing,
    Waits,
)
from sessionbot_kit.channels.session_messenger.outgoing import Outgoing
from sessionbot_kit.channels.session_messenger.signals import CHANNEL_TYPE
from sessionbot_kit.channels.session_messenger.state import State
from sessionbot_kit.channels.session_messenger.swarm import SwarmClient
from sessionbot_kit.models import Media, OutgoingMessage, SendResult

ONCE = "0190/1"


class Desk:
    """A bot that writes to ada, and what lies in her mailbox."""

    def __init__(
        self, network: LoopbackNetwork, ada: Identity, bot: Identity, folder: Path
    ) -> None:
        self.network, self.ada, self.bot = network, ada, bot
        self.state = State.open(folder / "state.db")
        self.swarm = SwarmClient(self.state, seeds=network.seeds, timeout_s=0.5)
        self.files = FileClient(folder / "media", url=network.file_server_url, pause_s=0.0)
        self.outgoing = Outgoing(bot, self.swarm, self.files, self.state, name="Bot")

    async def says(self, text: str, *, id: str | None = ONCE, **more: Any) -> SendResult:
        message = OutgoingMessage(
            channel_type=CHANNEL_TYPE,
            channel_id=self.ada.session_id,
            content=text,
            id=id,
            **more,
        )
        return await self.outgoing.say(message)

    def texts(self) -> list[str]:
        """What ada can read, on whichever node it is."""
        found = {
            kept.hash: unpack(kept.data, self.ada).content.data
            for node in self.network.nodes
            for kept in node.mailbox.of(self.ada.session_id)
        }
        return [data.body or "" for data in found.values() if data]

    def all_nodes(self, fault: Fault | None) -> None:
        for node in self.network.nodes:
            node.always = fault


@pytest.fixture
async def desk(ada: Identity, bob: Identity, tmp_path: Path) -> AsyncIterator[Desk]:
    async with LoopbackNetwork(nodes=2, swarms=1) as network:
        desk = Desk(network, ada, bob, tmp_path)
        async with desk.swarm, desk.files:
            with desk.state:
                await desk.swarm.swarm_of(ada.session_id)
                yield desk


async def test_the_same_message_twice_is_sent_once(desk: Desk) -> None:
    first = await desk.says("Hello")
    assert await desk.says("Hello") == first
    assert desk.texts() == ["Hello"]
    assert sum(node.calls.count("store") for node in desk.network.nodes) == 1


async def test_two_messages_without_ids_are_two(desk: Desk) -> None:
    await desk.says("Hello", id=None)
    await desk.says("Hello", id=None)
    assert desk.texts() == ["Hello", "Hello"]


@pytest.mark.parametrize("fault", [HangsUp(), HangsUp(after=30), KeepsNothing(), Codes(500, "no")])
async def test_a_second_try_sends_the_very_same_record(desk: Desk, fault: Fault) -> None:
    # A node that hangs up has stored the record all the same; we cannot know.
    desk.all_nodes(fault)
    assert not await desk.says("Hello")
    (part,) = desk.state.parts(ONCE)
    desk.all_nodes(None)
    result = await desk.says("Hello")
    assert result.ids == (str(MessageId(desk.bot.session_id, part.timestamp)),)
    assert desk.texts() == ["Hello"]


async def test_of_several_parts_only_the_missing_ones_are_sent_again(desk: Desk) -> None:
    text = "word " * 40_000
    desk.network.nodes[0].faults += [Codes(503, "busy")] * 20
    desk.network.nodes[1].faults += [Waits(done()), Codes(503, "busy"), Codes(503, "busy")]
    assert not await desk.says(text)
    sent = [part.hash is not None for part in desk.state.parts(ONCE)]
    assert sent == [True, False, False]
    desk.network.nodes[0].faults.clear()
    desk.network.nodes[1].faults.clear()
    assert await desk.says(text)
    assert "".join(desk.texts()) == text
    assert len(desk.texts()) == 3


def done() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


async def test_a_try_that_is_given_up_in_the_middle_is_taken_up_again(desk: Desk) -> None:
    slow = Waits()
    desk.all_nodes(slow)
    trying = asyncio.create_task(desk.says("Hello"))
    await slow.begun.wait()
    trying.cancel()
    await asyncio.wait([trying])
    desk.all_nodes(None)
    assert await desk.says("Hello")
    assert desk.texts() == ["Hello"]


async def test_what_the_swarm_refuses_for_good_is_not_kept_for_later(desk: Desk) -> None:
    desk.all_nodes(Codes(400, "I will not"))
    result = await desk.says("Hello")
    assert (result.ok, result.permanent) == (False, True)
    assert desk.state.parts(ONCE) == ()


async def test_a_swarm_that_is_away_is_worth_another_try(desk: Desk) -> None:
    desk.all_nodes(HangsUp())
    result = await desk.says("Hello")
    assert (result.ok, result.permanent) == (False, False)
    assert "Try again later" in (result.error or "")


async def test_what_is_written_down_to_be_sent_cannot_be_read_there(
    desk: Desk, tmp_path: Path
) -> None:
    desk.all_nodes(HangsUp())
    await desk.says("the secret of the pyramids")
    files = contents(tmp_path)
    assert files
    assert not any(b"pyramids" in content for content in files)


def contents(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


async def test_what_was_sent_is_not_kept_but_for_its_name(desk: Desk) -> None:
    await desk.says("Hello")
    (part,) = desk.state.parts(ONCE)
    assert part.data is None
    assert part.hash


async def test_a_file_is_not_uploaded_again_for_a_second_try(desk: Desk) -> None:
    desk.all_nodes(Codes(500, "no"))
    media = (Media.from_bytes(b"meow", name="cat.jpg"),)
    await desk.says("Look", media=media)
    desk.all_nodes(None)
    assert await desk.says("Look", media=media)
    assert desk.network.files.requests == 1


@pytest.mark.parametrize(("fault", "permanent"), [(HangsUp(), False), (Codes(400, "no"), True)])
async def test_a_signal_that_does_not_get_through_says_so(
    desk: Desk, fault: Fault, permanent: bool
) -> None:
    desk.all_nodes(fault)
    result = await desk.outgoing.typing(desk.ada.session_id, started=True)
    assert (result.ok, result.permanent) == (False, permanent)


async def test_a_typing_sign_does_not_stay_in_the_swarm(desk: Desk) -> None:
    await desk.outgoing.typing(desk.ada.session_id, started=True)
    desk.network.wind(seconds=21)
    assert not any(len(node.mailbox) for node in desk.network.nodes)


async def test_messages_carry_the_network_s_time_and_not_ours(desk: Desk) -> None:
    async with SwarmClient(
        desk.state, seeds=desk.network.seeds, now=lambda: time.time() - 3_600
    ) as swarm:
        desk.outgoing = Outgoing(desk.bot, swarm, desk.files, desk.state)
        (id,) = (await desk.says("Hello")).ids
    assert abs(MessageId.parse(id).timestamp - desk.network.now_ms()) < 60_000


@pytest.mark.parametrize(
    ("delete_after", "kept"),
    [
        (None, 1_209_600),
        (3_600, 3_600),
        (0.5, 60),
        (float("inf"), 1_209_600),
        (10**9, 1_209_600),
        (-1, 1_209_600),
        ("soon", 1_209_600),
    ],
)
async def test_what_will_be_taken_back_does_not_stay_in_the_swarm_longer(
    desk: Desk, delete_after: object, kept: int
) -> None:
    await desk.says("soon gone", metadata={"delete_after": delete_after})
    (record,) = desk.network.nodes[0].mailbox.of(desk.ada.session_id)
    assert record.expiry - record.timestamp == kept * 1000
