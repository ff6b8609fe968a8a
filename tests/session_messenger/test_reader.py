"""Reading a mailbox: each record once, none forgotten, whatever nodes do."""

import asyncio
import gc
import sys
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sessionbot_kit.channels.session_messenger import compose, reader
from sessionbot_kit.channels.session_messenger.content import Content, DataMessage
from sessionbot_kit.channels.session_messenger.envelope import (
    pack,
    pad,
    seal,
    sign,
    unwrap,
    wrap,
)
from sessionbot_kit.channels.session_messenger.events import DAY_MS, Event, Said
from sessionbot_kit.channels.session_messenger.identity import Identity
from sessionbot_kit.channels.session_messenger.loopback import LoopbackNetwork
from sessionbot_kit.channels.session_messenger.loopback.faults import (
    Codes,
    Forgets,
    HangsUp,
    Refuses,
)
from sessionbot_kit.channels.session_messenger.reader import MailboxReader
from sessionbot_kit.channels.session_messenger.state import State
from sessionbot_kit.channels.session_messenger.swarm import SwarmClient
from sessionbot_kit.errors import ChannelError

NODES = 3
NOISE_BLOCKS = 350


class Place:
    """A network with one swarm, a mailbox in it, and somebody who reads and somebody who writes."""

    def __init__(self, network: LoopbackNetwork, folder: Path, bot: Identity) -> None:
        self.network, self.folder, self.bot = network, folder, bot
        self.heard: list[str] = []
        self.now = 0.0
        self.holding: asyncio.Event | None = None

    async def open(self) -> None:
        self.state = State.open(self.folder / "state.db")
        self.swarm = SwarmClient(self.state, seeds=self.network.seeds, timeout_s=0.5)
        await self.swarm.__aenter__()
        self.reader = MailboxReader(
            self.bot,
            self.swarm,
            self.state,
            self.handle,
            now_ms=self.network.now_ms,
            monotonic=lambda: self.now,
        )

    async def close(self) -> None:
        await self.reader.stop()
        await self.swarm.__aexit__()
        self.state.close()

    async def restart(self) -> None:
        await self.close()
        await self.open()

    async def handle(self, event: Event) -> None:
        if self.holding is not None:
            await self.holding.wait()
        assert isinstance(event, Said)
        self.heard.append(event.text)

    def record(self, text: str, sender: Identity, *, timestamp: int | None = None) -> bytes:
        now = timestamp or self.network.now_ms()
        content = compose.say(text, timestamp=now)
        return pack(content, sender=sender, recipient=self.bot.session_id, timestamp=now)

    async def leave(self, record: bytes, *, only_at: int | None = None) -> None:
        for number, node in enumerate(self.network.nodes):
            node.lagging = only_at not in (None, number)
        # A node takes what a client brings, whether it lags or not: so it goes to the right one.
        nodes = self.swarm.directory.learn(
            self.bot.session_id, await self.swarm.swarm_of(self.bot.session_id)
        )
        here = [n for n in nodes if only_at is None or n.port == self.network.nodes[only_at].port]
        self.swarm.directory.learn(self.bot.session_id, here)
        await self.swarm.store(self.bot.session_id, record, ttl=14 * DAY_MS)
        self.swarm.directory.learn(self.bot.session_id, nodes)

    async def look(self) -> list[str]:
        """What is new."""
        before = len(self.heard)
        await self.reader.look()
        await self.reader.settled()
        return self.heard[before:]

    def read_elsewhere(self) -> None:
        """Time passes, and another node is read."""
        self.now += reader.STAY_S


@pytest.fixture
async def place(tmp_path: Path, bob: Identity) -> AsyncIterator[Place]:
    async with LoopbackNetwork(nodes=NODES, swarms=1, limits_rate=False) as network:
        place = Place(network, tmp_path, bob)
        await place.open()
        yield place
        await place.close()


async def test_each_message_is_heard_once_and_in_order(place: Place, ada: Identity) -> None:
    for number in range(5):
        await place.leave(place.record(str(number), ada))
    assert await place.look() == ["0", "1", "2", "3", "4"]
    assert await place.look() == []


async def test_a_restart_reads_on_where_it_was(place: Place, ada: Identity) -> None:
    await place.leave(place.record("before", ada))
    assert await place.look() == ["before"]
    await place.restart()
    await place.leave(place.record("after", ada))
    assert await place.look() == ["after"]


async def test_a_record_on_every_node_is_heard_once(place: Place, ada: Identity) -> None:
    await place.leave(place.record("once", ada))
    for _ in range(10):
        await place.look()
        place.read_elsewhere()
    assert place.heard == ["once"]
    assert sum("retrieve" in node.calls for node in place.network.nodes) == NODES


async def test_nodes_with_another_order_hide_nothing(place: Place, ada: Identity) -> None:
    texts = [str(number) for number in range(6)]
    for text in texts:
        await place.leave(place.record(text, ada))
    hashes = [kept.hash for kept in place.network.nodes[0].mailbox]
    place.network.nodes[1].mailbox.reorder(hashes[::-1])
    place.network.nodes[2].mailbox.reorder(hashes[3:] + hashes[:3])
    for node in place.network.nodes:
        node.always = Forgets(3)
    for _ in range(12):
        await place.look()
        place.read_elsewhere()
    assert sorted(place.heard) == texts


async def test_a_record_that_only_one_node_has_is_found(place: Place, ada: Identity) -> None:
    await place.leave(place.record("everywhere", ada))
    await place.look()
    await place.leave(place.record("only there", ada), only_at=2)
    for _ in range(20):
        await place.look()
        place.read_elsewhere()
    assert place.heard == ["everywhere", "only there"]


async def test_a_poller_is_not_stuck_on_a_dead_node(place: Place, ada: Identity) -> None:
    for dead in range(NODES):
        for number, node in enumerate(place.network.nodes):
            node.always = None if number == dead else HangsUp()
        await place.leave(place.record(str(dead), ada), only_at=dead)
        assert await place.look() == [str(dead)]


@pytest.mark.parametrize("code", [401, 406, 421, 500])
async def test_a_refused_poll_is_an_error_and_not_an_empty_mailbox(place: Place, code: int) -> None:
    for node in place.network.nodes:
        node.always = Codes(code, "no")
    with pytest.raises(ChannelError):
        await place.look()


async def test_an_answer_that_looks_empty_does_not_move_the_cursor(
    place: Place, ada: Identity
) -> None:
    await place.leave(place.record("first", ada))
    await place.look()
    await place.leave(place.record("second", ada))
    for node in place.network.nodes:
        node.always = Forgets(0)
    assert await place.look() == []
    for node in place.network.nodes:
        node.always = None
    assert await place.look() == ["second"]


async def test_the_same_words_in_another_envelope_are_heard_once(
    place: Place, ada: Identity
) -> None:
    record = place.record("pay me", ada)
    await place.leave(record)
    sealed = unwrap(record).content
    assert sealed is not None
    for forged in (1, place.network.now_ms() + 5, 2**62):
        await place.leave(wrap(sealed, forged))
    assert await place.look() == ["pay me"]
    await place.restart()
    await place.leave(wrap(sealed, 7))
    assert await place.look() == []


async def test_the_same_words_sealed_again_by_their_author_are_one_record_of_the_gateway(
    place: Place, ada: Identity
) -> None:
    now = place.network.now_ms()
    assert place.record("x", ada, timestamp=now) != place.record("x", ada, timestamp=now)
    # The signature is the same, because what is signed is the same.
    await place.leave(place.record("x", ada, timestamp=now))
    await place.leave(place.record("x", ada, timestamp=now))
    assert await place.look() == ["x"]


async def test_what_nobody_can_open_holds_nothing_up(
    place: Place, ada: Identity, mallory: Identity
) -> None:
    bob = place.bot.session_id
    passed_on = sign(pad(b""), ada, mallory.session_id)
    copy = Content(data=DataMessage(body="you wrote", timestamp=1, sync_target=bob))
    now = place.network.now_ms()
    for rubbish in [
        b"rubbish",
        bytes(76_800),
        wrap(b"not sealed", 1),
        wrap(seal(b"not signed", bob, bytes(32)), 1),
        wrap(seal(passed_on, bob, bytes(32)), 1),
        pack(copy, sender=mallory, recipient=bob, timestamp=now),
        pack(HELLO_FROM_LONG_AGO, sender=mallory, recipient=bob, timestamp=now),
        place.record("not for you", ada)[:-5],
    ]:
        await place.leave(rubbish)
    await place.leave(place.record("for you", ada))
    assert await place.look() == ["for you"]
    await place.restart()
    assert await place.look() == []


HELLO_FROM_LONG_AGO = compose.say("Hello", timestamp=1_600_000_000_000)


async def test_the_bot_s_own_words_are_not_heard(place: Place) -> None:
    await place.leave(place.record("echo", place.bot))
    assert await place.look() == []


async def test_a_cursor_does_not_move_before_the_message_is_stored(
    place: Place, ada: Identity
) -> None:
    await place.leave(place.record("first", ada))
    await place.look()
    place.holding = asyncio.Event()
    await place.leave(place.record("under way", ada))
    await place.leave(place.record("behind it", ada))
    await place.reader.look()
    await place.restart()  # as if killed between receive and store
    place.holding = None
    assert await place.look() == ["under way", "behind it"]


async def test_a_copy_from_another_node_does_not_pass_what_is_under_way(
    place: Place, ada: Identity
) -> None:
    place.holding = asyncio.Event()
    await place.leave(place.record("under way", ada))
    for _ in range(NODES * 3):
        await place.reader.look()
        place.read_elsewhere()
    await place.restart()
    place.holding = None
    assert await place.look() == ["under way"]


async def test_one_person_who_waits_does_not_hold_up_the_cursor_for_ever(
    place: Place, ada: Identity, mallory: Identity
) -> None:
    place.holding = asyncio.Event()
    await place.leave(place.record("a", ada))
    await place.leave(place.record("b", mallory))
    await place.reader.look()
    place.holding.set()
    await place.reader.settled()
    cursors = [place.state.cursor(node) for node in place.swarm.directory.pool]
    assert place.network.nodes[0].mailbox.of(place.bot.session_id)[-1].hash in cursors


async def test_when_too_much_waits_nothing_more_is_read(
    place: Place, ada: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "MAX_HELD_BYTES", 100)
    place.holding = asyncio.Event()
    await place.leave(place.record("first", ada))
    await place.reader.look()
    calls = sum(len(node.calls) for node in place.network.nodes)
    looking = asyncio.create_task(place.reader.look())
    await asyncio.wait([looking], timeout=0.05)
    assert not looking.done()
    assert sum(len(node.calls) for node in place.network.nodes) == calls
    place.holding.set()
    await looking


async def test_when_the_state_is_lost_everything_comes_again_by_the_same_names(
    place: Place, ada: Identity
) -> None:
    await place.leave(place.record("once", ada))
    await place.look()
    await place.close()
    (place.folder / "state.db").unlink()
    await place.open()
    assert await place.look() == ["once"]


async def test_more_than_an_answer_holds_is_read_in_one_look(place: Place, ada: Identity) -> None:
    for number in range(90):
        await place.leave(place.record(f"{number:02} " + "x" * 76_000, ada))
    assert [text[:2] for text in await place.look()] == [f"{number:02}" for number in range(90)]


async def test_a_node_that_always_has_more_does_not_keep_us_for_ever(
    place: Place, ada: Identity
) -> None:
    await place.leave(place.record("first", ada))
    kept = place.network.nodes[0].mailbox.of(place.bot.session_id)[0]
    endless = {"messages": [{"hash": kept.hash, "data": ""}], "more": True}
    for node in place.network.nodes:
        node.always = Codes(200, endless)
    await place.reader.look()
    assert sum(len(node.calls) for node in place.network.nodes) < reader.MAX_PAGES + 10


async def test_when_swarms_move_the_mailbox_is_read_at_its_new_place(
    tmp_path: Path, ada: Identity, bob: Identity
) -> None:
    async with LoopbackNetwork(nodes=4, swarms=2) as network:
        place = Place(network, tmp_path, bob)
        await place.open()
        await place.leave(place.record("before", ada))
        assert await place.look() == ["before"]
        network.move_swarms()
        await place.leave(place.record("after", ada))
        assert await place.look() == ["after"]
        await place.close()


async def test_a_busy_node_is_left_for_another(place: Place, ada: Identity) -> None:
    await place.leave(place.record("hello", ada))
    place.network.nodes[0].always = Refuses(429, "Too Many Requests\n")
    place.network.nodes[1].always = Refuses(503, "Service node is not ready: syncing\n")
    assert await place.look() == ["hello"]


@pytest.mark.parametrize("looks", [400, pytest.param(10_000, marks=pytest.mark.long)])
@pytest.mark.timeout(180)
async def test_looks_into_an_empty_mailbox_leave_nothing_in_memory(
    place: Place, looks: int
) -> None:
    for node in place.network.nodes:
        node.calls = deque(maxlen=1)  # it notes what it was asked, for tests
    for _ in range(100):
        await place.reader.look()
    before = held_blocks()
    for _ in range(looks):
        await place.reader.look()
    assert held_blocks() - before < NOISE_BLOCKS  # less than one for each look


def held_blocks() -> int:
    gc.collect()
    return sys.getallocatedblocks()
