"""What people did, on its way to the gateway."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from sessionbot_kit.channels.session_messenger.content import AttachmentPointer
from sessionbot_kit.channels.session_messenger.events import (
    Event,
    Expiry,
    MessageId,
    Said,
    TypingSeen,
)
from sessionbot_kit.channels.session_messenger.files import FileClient
from sessionbot_kit.channels.session_messenger.identity import Identity
from sessionbot_kit.channels.session_messenger.incoming import Incoming, Manners
from sessionbot_kit.channels.session_messenger.loopback import LoopbackNetwork
from sessionbot_kit.channels.session_messenger.loopback.faults import Refuses
from sessionbot_kit.channels.session_messenger.outgoing import Outgoing
from sessionbot_kit.channels.session_messenger.state import Contact, State
from sessionbot_kit.channels.session_messenger.swarm import SwarmClient
from sessionbot_kit.errors import StoreBusy, StoreFull
from sessionbot_kit.models import Media

from .people import Person

NOW = 1767225600000


class Door:
    """A gateway's door, with all that stands behind it."""

    def __init__(
        self, network: LoopbackNetwork, ada: Identity, bot: Identity, folder: Path
    ) -> None:
        self.network, self.ada = network, ada
        self.gateway = Person(bot, folder=folder)
        self.state = State.open(folder / "state.db")
        self.swarm = SwarmClient(self.state, seeds=network.seeds, timeout_s=0.5)
        self.files = FileClient(folder / "media", url=network.file_server_url, pause_s=0.0)
        self.outgoing = Outgoing(bot, self.swarm, self.files, self.state)
        self.waits: list[float] = []

    async def pause(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0)

    async def hears(
        self,
        event: Event,
        *,
        manners: Manners | None = None,
        on_event: Callable[[Event], object] | None = None,
    ) -> None:
        incoming = Incoming(
            self.gateway.deliver,
            self.state,
            self.files,
            self.outgoing,
            manners=manners or Manners(approve_requests=False),
            on_event=on_event,
            pause=self.pause,
        )
        await incoming.handle(event)

    def said(self, text: str = "Hello", **more: object) -> Said:
        id = MessageId(self.ada.session_id, NOW)
        return Said(id, "Ada", text, **more)  # type: ignore[arg-type]  # a table of fields


@pytest.fixture
async def door(ada: Identity, bob: Identity, tmp_path: Path) -> AsyncIterator[Door]:
    async with LoopbackNetwork(nodes=1, swarms=1) as network:
        door = Door(network, ada, bob, tmp_path)
        async with door.swarm, door.files:
            with door.state:
                yield door


async def test_a_message_is_offered_until_the_store_takes_it(door: Door) -> None:
    door.gateway.faults = [StoreBusy("locked"), StoreFull("no room")] * 10
    await door.hears(door.said())
    assert [message.content for message in door.gateway.heard] == ["Hello"]
    assert door.waits[:7] == [0.5, 1, 2, 4, 8, 16, 30]
    assert max(door.waits) == 30


async def test_a_message_that_breaks_the_gateway_is_set_aside_after_a_while(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    door.gateway.faults = [RuntimeError("a bug")] * 10
    await door.hears(door.said())
    assert door.gateway.offered == 5
    assert "message set aside" in caplog.messages
    assert "Hello" not in caplog.text


async def test_being_canceled_is_not_a_fault_of_the_gateway(door: Door) -> None:
    door.gateway.faults = [asyncio.CancelledError()]
    with pytest.raises(asyncio.CancelledError):
        await door.hears(door.said())
    assert not door.gateway.heard


async def test_a_file_that_cannot_be_had_does_not_hold_its_message_up(door: Door) -> None:
    good = await door.files.upload(Media.from_bytes(b"meow", name="cat.jpg"))
    gone = AttachmentPointer(id=5, key=bytes(64), digest=bytes(32), size=5, file_name="dog.jpg")
    await door.hears(door.said("Look", attachments=(gone, good)))
    (message,) = door.gateway.heard
    assert message.content == "Look"
    assert [media.name for media in message.media] == ["cat.jpg"]
    why = "a file is not on the server any more; ask for it again"
    assert message.metadata["files_missing"] == [{"name": "dog.jpg", "why": why}]


async def test_a_file_server_that_is_down_does_not_hold_its_message_up(door: Door) -> None:
    pointer = await door.files.upload(Media.from_bytes(b"meow", name="cat.jpg"))
    door.network.files.faults = [Refuses(500)] * 10
    await door.hears(door.said("Look", attachments=(pointer,)))
    (message,) = door.gateway.heard
    assert "the file server answers 500" in str(message.metadata["files_missing"])


async def test_a_message_with_more_files_than_there_is_room_for_comes_with_fewer(
    door: Door,
) -> None:
    pointer = await door.files.upload(Media.from_bytes(bytes(600), name="x"))
    manners = Manners(approve_requests=False, max_media_bytes=1_000)
    await door.hears(door.said(attachments=(pointer, pointer)), manners=manners)
    (message,) = door.gateway.heard
    assert len(message.media) == 1
    assert "1,000 bytes together" in str(message.metadata["files_missing"])


async def test_who_wrote_is_remembered(door: Door) -> None:
    await door.hears(door.said(expiry=Expiry(2, 60)))
    assert door.state.contact(door.ada.session_id) == Contact("Ada", expiry=Expiry(2, 60))
    await door.hears(door.said())
    assert door.state.contact(door.ada.session_id) == Contact("Ada")


async def test_an_approval_that_does_not_get_through_is_tried_again_next_time(door: Door) -> None:
    door.network.nodes[0].always = Refuses(503)
    await door.hears(door.said(), manners=Manners())
    assert not door.state.contact(door.ada.session_id).approved
    door.network.nodes[0].always = None
    await door.hears(door.said(), manners=Manners())
    assert door.state.contact(door.ada.session_id).approved


async def test_other_events_are_told_and_delivered_to_nobody(door: Door) -> None:
    seen: list[Event] = []
    event = TypingSeen(door.ada.session_id, started=True)
    await door.hears(event, on_event=seen.append)
    assert (seen, door.gateway.heard) == ([event], [])


async def test_an_observer_that_fails_harms_nobody(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(event: Event) -> None:
        raise RuntimeError("somebody else's bug")

    await door.hears(door.said(), on_event=fail)
    assert len(door.gateway.heard) == 1
    assert "observer failed" in caplog.messages
