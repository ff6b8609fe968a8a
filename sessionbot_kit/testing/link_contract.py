"""What every link promises, as tests: subclass it, give it a joined pair, and you know.

    class TestMyLink(LinkContract):
        @pytest_asyncio.fixture
        async def ends(self) -> AsyncIterator[tuple[Link, Link]]:
            async with my_pair() as (gateway_end, kernel_end):
                yield gateway_end, kernel_end

Both ends are used as an application uses them, so nothing here knows how yours carries a frame.
The one rule to remember: a frame counts as safe when the next one is asked for, and not before.
"""

import asyncio
from datetime import UTC, datetime

import pytest

from sessionbot_kit.errors import LinkClosed
from sessionbot_kit.link import (
    Bye,
    Event,
    Frame,
    Hello,
    Link,
    Offer,
    Result,
    Stepped,
    Watch,
    Watched,
)
from sessionbot_kit.models import IncomingMessage, Media, OutgoingMessage, StoredMessage
from sessionbot_kit.routes import Route

Ends = tuple[Link, Link]

NOON = datetime(2026, 1, 2, 12, 30, 15, 123_456, tzinfo=UTC)
PICTURE = Media.from_bytes(bytes(range(256)) * 2_000, name="cat.png", caption="Ünïcödé \U0001f600")
MESSAGE = IncomingMessage(
    id="m1",
    channel_type="web",
    channel_id="c1",
    sender_id="u1",
    sender_name="Ada",
    content='a "quoted" word, a \\ and a \U0001f600',
    timestamp=NOON,
    media=(PICTURE,),
    metadata={"deep": [{"er": None}]},
)
EVERY_KIND: list[Frame] = [
    Hello("bot", "kernel 1", (Route("echo", ("!echo", "!e"), True, 7, "Say it again."),)),
    Offer(
        "t1",
        2,
        2**60,
        "echo",
        "s1",
        MESSAGE,
        {"n": 1, "list": [True, None, "x"]},
        (StoredMessage(session_id="s1", seq=1, role="user", content="hi", timestamp=NOON),),
    ),
    Result(
        "t1",
        2,
        2**60,
        (OutgoingMessage(channel_type="web", channel_id="c1", content="", media=(PICTURE,)),),
        {"n": 2},
        None,
        1.5,
    ),
    Result("t2", 1, 1, error="it broke"),
    Event("t1", "typing", {"on": True}),
    Stepped("t1", 2, 2**60),
    Watch("wire"),
    Watched("wire", ({"id": "1", "bytes": 9},), 3),
    Bye("done"),
]


def step(number: int, turn: str = "t1") -> Event:
    return Event(turn, "step", {"number": number})


def numbers(frames: list[Frame]) -> list[object]:
    return [frame.detail["number"] for frame in frames if isinstance(frame, Event)]


async def take(link: Link, count: int) -> list[Frame]:
    return [await link.receive() for _ in range(count)]


@pytest.mark.asyncio
class LinkContract:
    """One fixture to give, `ends`: the gateway's end and the kernel's."""

    @pytest.fixture
    def ends(self) -> Ends:
        raise NotImplementedError("give a fixture `ends` with a joined pair")

    async def test_every_kind_of_frame_arrives_as_it_was(self, ends: Ends) -> None:
        for sender, receiver in (ends, ends[::-1]):
            for frame in EVERY_KIND:
                await sender.send(frame)
                assert await receiver.receive() == frame

    async def test_good_bye_comes_last(self, ends: Ends) -> None:
        gateway, kernel = ends
        for frame in EVERY_KIND:
            await kernel.send(frame)
        assert (await take(gateway, len(EVERY_KIND)))[-1] == Bye("done")

    async def test_frames_of_one_conversation_arrive_in_order(self, ends: Ends) -> None:
        gateway, kernel = ends
        for number in range(300):
            await kernel.send(step(number))
        assert numbers(await take(gateway, 300)) == list(range(300))

    async def test_a_large_frame_holds_its_place_in_its_conversation(self, ends: Ends) -> None:
        gateway, kernel = ends
        large = Result("t1", 1, 1, (MESSAGE.reply("big").model_copy(update={"media": (PICTURE,)}),))
        frames: list[Frame] = [step(1), large, step(2), large, step(3)]
        for frame in frames:
            await kernel.send(frame)
        assert await take(gateway, 5) == frames

    async def test_both_directions_flow_at_the_same_time(self, ends: Ends) -> None:
        async def talk(link: Link) -> list[Frame]:
            for number in range(200):
                await link.send(step(number))
            return await take(link, 200)

        heard = await asyncio.gather(*(talk(link) for link in ends))
        assert [numbers(frames) for frames in heard] == [list(range(200))] * 2

    async def test_many_may_send_at_once_and_each_keeps_its_order(self, ends: Ends) -> None:
        gateway, kernel = ends

        async def speak(turn: str) -> None:
            for number in range(50):
                await kernel.send(step(number, turn))

        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(speak(f"t{number}"))
            frames = await take(gateway, 1_000)
        for number in range(20):
            of_turn = [f for f in frames if isinstance(f, Event) and f.turn == f"t{number}"]
            assert numbers(list(of_turn)) == list(range(50))

    async def test_a_slow_reader_slows_the_sender_and_nothing_is_lost(self, ends: Ends) -> None:
        gateway, kernel = ends
        total, sent, received, furthest = 12_000, 0, 0, 0

        async def speak() -> None:
            nonlocal sent, furthest
            for number in range(total):
                await kernel.send(step(number))
                sent += 1
                furthest = max(furthest, sent - received)

        async with asyncio.TaskGroup() as group:
            group.create_task(speak())
            for number in range(total):
                assert await gateway.receive() == step(number)
                received += 1
                await asyncio.sleep(0)
        assert furthest <= 6_000

    async def test_a_receive_that_was_cancelled_loses_nothing(self, ends: Ends) -> None:
        gateway, kernel = ends
        waiting = asyncio.ensure_future(gateway.receive())  # parent: this test awaits it
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await kernel.send(step(1))
        assert await gateway.receive() == step(1)

    async def test_what_arrived_before_the_close_can_still_be_received(self, ends: Ends) -> None:
        gateway, kernel = ends
        for number in range(3):
            await kernel.send(step(number))
        assert await gateway.receive() == step(0)
        await kernel.close()
        assert numbers([frame async for frame in gateway]) == [1, 2]

    async def test_iteration_ends_when_the_other_side_closes(self, ends: Ends) -> None:
        gateway, kernel = ends
        await kernel.close()
        assert [frame async for frame in gateway] == []

    async def test_a_closed_link_says_so_on_both_ends(self, ends: Ends) -> None:
        gateway, kernel = ends
        await gateway.close()
        with pytest.raises(LinkClosed):
            await kernel.receive()
        for link in ends:
            with pytest.raises(LinkClosed, match="closed"):
                await link.send(Bye())
            with pytest.raises(LinkClosed, match="closed"):
                await link.receive()

    async def test_closing_wakes_those_who_wait(self, ends: Ends) -> None:
        gateway, _ = ends
        waiting = asyncio.ensure_future(gateway.receive())  # parent: this test awaits it
        await asyncio.sleep(0)
        await gateway.close()
        with pytest.raises(LinkClosed):
            await waiting

    async def test_closing_wakes_a_sender_that_waits_for_room(self, ends: Ends) -> None:
        gateway, kernel = ends

        async def speak() -> None:
            while True:
                await kernel.send(step(0))

        speaker = asyncio.ensure_future(speak())  # parent: this test awaits it
        await gateway.receive()
        await kernel.close()
        with pytest.raises(LinkClosed):
            await speaker

    async def test_closing_twice_is_harmless(self, ends: Ends) -> None:
        for link in (*ends, *ends):
            await link.close()

    async def test_each_end_has_a_name_for_the_logs(self, ends: Ends) -> None:
        assert all(link.name for link in ends)
