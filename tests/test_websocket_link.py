"""A link over real sockets: what is cut goes on, what is closed is over."""

import asyncio
import random
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from sessionbot_kit.control import Greeting, Report, Terms
from sessionbot_kit.errors import LinkClosed, MessageError, UsageError
from sessionbot_kit.link import Event, Hello, Link, Result
from sessionbot_kit.links.websocket import (
    BINARY,
    Backoff,
    Rules,
    Tap,
    connect_link,
    serve_links,
)
from sessionbot_kit.models import Media, OutgoingMessage
from tests.cutting_proxy import CuttingProxy
from tests.link_people import Codec, cuttable, hall, joined, note, parcel, raw_peer


async def test_a_link_names_who_is_on_the_other_side() -> None:
    async with hall(check_token=str) as place, joined(place, token="ada") as (gateway, kernel):
        assert gateway.name.startswith("ada/")
        assert kernel.name == f"127.0.0.1:{place.server.port}"
        assert repr(kernel) == f"<WebSocketLink {kernel.name}: connected>"


async def test_a_cut_connection_is_only_a_delay() -> None:
    async with cuttable() as (place, proxy, gateway, kernel):
        for number in range(20):
            await kernel.send(note(number))
            assert await gateway.receive() == note(number)
            proxy.cut()
            await gateway.send(note(number))
            assert await kernel.receive() == note(number)
        assert kernel.recovered
        assert proxy.cuts == 20
        assert place.server.links == (gateway,)


async def test_what_is_in_hand_is_not_delivered_again() -> None:
    async with cuttable() as (_, proxy, gateway, kernel):
        await kernel.send(note(1))
        assert await gateway.receive() == note(1)
        proxy.cut()
        await kernel.send(note(2))
        assert await gateway.receive() == note(2)


async def test_a_large_frame_goes_on_where_it_was_cut() -> None:
    async with cuttable(cut_after=lambda: 700_000) as (_, proxy, gateway, kernel):
        with kernel.exchange.tap.listen(100_000) as passing:
            await kernel.send(parcel(1, 4_000_000))
            assert await gateway.receive() == parcel(1, 4_000_000)
            sent = sum(seen.frame_bytes for seen in passing.take() if seen.way == "out")
        assert proxy.cuts >= 5
        assert sent < 4_000_000 + proxy.cuts * 400_000, "it began again after a cut"


async def for_ever(seconds: float) -> None:
    await asyncio.Event().wait()


class Talk:
    """Large and small frames both ways, in three conversations each, until enough was cut."""

    turns = ("t1", "t2", "t3")

    def __init__(self, cuts: int, seed: int) -> None:
        self.cuts = cuts
        self.chance = random.Random(seed)

    async def run(self, codec: Codec) -> None:
        chance = self.chance
        async with cuttable(
            codec=codec,
            cut_after=lambda: chance.randint(1, 300_000),
            slice_bytes=lambda: chance.randint(1, 65_536),
        ) as (_, proxy, gateway, kernel):
            async with asyncio.TaskGroup() as group:
                for link in (gateway, kernel):
                    group.create_task(self.listen(link))
                    for turn in self.turns:
                        group.create_task(self.speak(link, turn, proxy))
            assert gateway.recovered
            assert kernel.recovered
            assert proxy.cuts >= self.cuts

    async def speak(self, link: Link, turn: str, proxy: CuttingProxy) -> None:
        number = 0
        while proxy.cuts < self.cuts:
            size = self.chance.choice((0, 10, 1_000, 70_000, 200_000))
            await link.send(parcel(number, size, turn) if size else note(number, turn))
            number += 1
        await link.send(Event(turn, "last", {"number": number}))

    async def listen(self, link: Link) -> None:
        due = dict.fromkeys(self.turns, 0)
        while due:
            frame = await link.receive()
            assert isinstance(frame, Result | Event)
            number = frame.attempt if isinstance(frame, Result) else frame.detail["number"]
            assert number == due[frame.turn], "a frame is lost, doubled or out of order"
            due[frame.turn] += 1
            if isinstance(frame, Event) and frame.kind == "last":
                del due[frame.turn]


@pytest.mark.parametrize("codec", ["binary", "text"])
async def test_cuts_during_large_transfers_lose_and_double_nothing(codec: Codec) -> None:
    await Talk(cuts=24, seed=1).run(codec)


@pytest.mark.long
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("codec", ["binary", "text"])
async def test_a_thousand_cuts_lose_and_double_nothing(codec: Codec) -> None:
    await Talk(cuts=1_000, seed=2).run(codec)


async def test_a_small_frame_overtakes_a_large_one_of_another_conversation() -> None:
    async with hall() as place, joined(place) as (gateway, kernel):
        await kernel.send(parcel(1, 20_000_000, "large"))
        await kernel.send(note(2, "small"))
        assert await gateway.receive() == note(2, "small")
        assert await gateway.receive() == parcel(1, 20_000_000, "large")


async def test_a_peer_that_swallows_everything_is_left_by_its_keepalive() -> None:
    rules = Rules(ping_interval_s=0.05, ping_timeout_s=0.05, close_timeout_s=0.05)
    async with cuttable(rules=rules) as (_, proxy, gateway, kernel):
        proxy.swallowing = True
        proxy.called.clear()
        await kernel.send(note(1))
        await proxy.called.wait()
        proxy.swallowing = False
        assert await gateway.receive() == note(1)


async def test_latency_and_tiny_slices_change_nothing() -> None:
    async with cuttable(slice_bytes=lambda: 97, latency_s=0.0001) as (_, _, gateway, kernel):
        await kernel.send(parcel(1, 30_000))
        assert await gateway.receive() == parcel(1, 30_000)


async def test_a_server_that_was_started_again_is_greeted_anew() -> None:
    hello = Hello("bot", "kernel 1")
    async with cuttable() as (_, proxy, before, kernel), hall() as new:
        await kernel.send(hello)
        assert await before.receive() == hello
        proxy.target = new.server.port
        proxy.cut()
        after = await new.link()
        assert await after.receive() == hello
        assert not kernel.recovered
        await after.send(note(1))
        assert await kernel.receive() == note(1)


async def test_a_server_that_was_started_again_costs_what_was_on_its_way() -> None:
    async with cuttable() as (_, proxy, _, kernel), hall() as new:
        await kernel.send(Hello("bot", "kernel 1"))
        proxy.target = new.server.port
        proxy.cut()
        await kernel.send(note(1))
        after = await new.link()
        assert await after.receive() == Hello("bot", "kernel 1")
        await kernel.send(note(2))
        assert await after.receive() == note(2)
        assert kernel.exchange.lost == 2


async def test_a_session_that_nobody_comes_back_to_ends() -> None:
    async with cuttable(rules=Rules(linger_s=0.01), sleep=for_ever) as (_, proxy, gateway, _):
        proxy.cut()
        with pytest.raises(LinkClosed, match="did not come back"):
            await gateway.receive()


async def test_a_newer_connection_of_a_session_takes_the_place_of_the_older() -> None:
    async with hall() as place, joined(place) as (gateway, first), raw_peer(place) as second:
        wire = first.exchange.wire
        await second.greet(session=wire.session, epoch=wire.epoch)
        await first.wait_closed()
        assert first.closed == "the server has ended it with 4001: a newer connection took over"
        assert gateway.connected


async def test_a_session_belongs_to_the_one_who_began_it() -> None:
    async with hall(check_token=str) as place, joined(place, token="ada") as (_, first):
        async with raw_peer(place, token="eve") as thief:
            wire = first.exchange.wire
            await thief.say(Greeting(wire.session, wire.epoch, Terms(), Report()))
            assert await thief.how_it_ends() == 4003
        assert first.connected


async def test_a_stopped_server_ends_its_links_and_frees_its_port() -> None:
    async with hall() as place, joined(place, give_up_after_s=0.5) as ends:
        port = place.server.port
        await place.server.stop()
        for link in ends:
            with pytest.raises(LinkClosed):
                await link.receive()
        async with serve_links(lambda link: None, port=port) as server:
            assert server.port == port


async def test_a_port_that_is_taken_is_named() -> None:
    async with hall() as place:
        with pytest.raises(UsageError, match=f"port {place.server.port} on 127.0.0.1 cannot be"):
            await serve_links(lambda link: None, port=place.server.port).start()


async def test_a_link_whose_handler_returns_is_closed() -> None:
    async def greet(link: Link) -> None:
        await link.send(note(1))

    server = serve_links(greet, port=0)
    async with server, connect_link(f"ws://127.0.0.1:{server.port}") as link:
        assert [frame async for frame in link] == [note(1)]


async def test_a_link_whose_handler_fails_is_closed_and_the_failure_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(link: Link) -> None:
        await link.receive()
        raise RuntimeError("broken on purpose")

    server = serve_links(fail, port=0)
    async with server, connect_link(f"ws://127.0.0.1:{server.port}", sleep=for_ever) as link:
        (other,) = server.links
        await link.send(note(1))
        await other.wait_closed()
        assert other.closed == "its handler failed"
        assert link.closed is None
    assert "a link's handler failed" in caplog.text


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_a_large_file_goes_from_disk_to_disk(tmp_path: Path) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    here.mkdir()
    (here / "film.bin").write_bytes(bytes(range(256)) * 40_000)
    film = Media(path=here / "film.bin", name="film.bin")
    reply = OutgoingMessage(channel_type="web", channel_id="c", content="", media=(film,))
    rules = Rules(spool_folder=there)
    async with hall(rules=rules) as place, joined(place) as (gateway, kernel):
        await kernel.send(Result("t1", 1, 1, (reply,)))
        frame = await gateway.receive()
        assert isinstance(frame, Result)
        (media,) = frame.replies[0].media
        assert media.path in files_in(there)
        assert media.read() == film.read()


async def test_a_file_that_is_half_received_is_deleted_with_its_link(tmp_path: Path) -> None:
    async with cuttable(rules=Rules(spool_folder=tmp_path, linger_s=0.01), sleep=for_ever) as (
        _,
        proxy,
        gateway,
        kernel,
    ):
        proxy.swallow_after = 3_000_000
        await kernel.send(parcel(1, 30_000_000))
        await proxy.swallowed.wait()
        assert len(files_in(tmp_path)) == 1
        proxy.cut()
        await gateway.wait_closed()
        assert files_in(tmp_path) == []


async def test_what_is_handled_is_acknowledged_though_nothing_else_happens() -> None:
    async with hall() as place, joined(place) as (gateway, kernel):
        for number in range(20):
            await kernel.send(note(number))
            await gateway.receive()
            waiting = asyncio.ensure_future(gateway.receive())
            await kernel.flush()
            waiting.cancel()


async def test_large_frames_that_wait_keep_out_no_small_one() -> None:
    rules = Rules(outbox_bytes=1_000_000)
    async with hall() as place, joined(place, rules=rules) as (gateway, kernel):
        await kernel.send(parcel(1, 30_000_000, "large"))
        waiting = asyncio.ensure_future(kernel.send(parcel(2, 1_000_000, "large")))
        await kernel.send(note(3, "small"))
        assert await gateway.receive() == note(3, "small")
        assert [await gateway.receive(), await gateway.receive()] == [
            parcel(1, 30_000_000, "large"),
            parcel(2, 1_000_000, "large"),
        ]
        await waiting


async def test_leaving_delivers_what_was_sent_before() -> None:
    async with hall() as place:
        async with joined(place) as (gateway, kernel):
            await kernel.send(parcel(1, 3_000_000))
        assert [frame async for frame in gateway] == [parcel(1, 3_000_000)]
        assert gateway.closed == "the other side has left"


async def test_nobody_answers_and_the_caller_gives_up() -> None:
    async with hall() as place:
        url = place.url
    with pytest.raises(LinkClosed, match="nobody answered; join it again"):
        await connect_link(url, give_up_after_s=0.01)


@pytest.mark.parametrize("url", ["http://localhost:1", "ws://", "localhost:8089"])
async def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="write ws://host:port"):
        connect_link(url)


async def test_a_frame_that_is_too_large_is_refused_where_it_is_sent() -> None:
    async with hall() as place, joined(place) as (gateway, kernel):
        with pytest.raises((MessageError, UsageError), match="67,108,864"):
            await kernel.send(parcel(1, 64 * 1024 * 1024))
        await kernel.send(note(2))
        assert await gateway.receive() == note(2)


async def test_a_server_that_accepts_and_closes_is_called_less_than_once_a_second() -> None:
    waits: list[float] = []
    calls = 0

    async def slam(socket: ServerConnection) -> None:
        nonlocal calls
        calls += 1

    async def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 50:
            link.finish("seen enough")

    async with serve(slam, "127.0.0.1", 0, subprotocols=[Subprotocol(BINARY)]) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        backoff = Backoff(random.Random(7).random)
        link = connect_link(f"ws://127.0.0.1:{port}", backoff=backoff, sleep=wait).link
        with pytest.raises(LinkClosed, match="seen enough"):
            await link.open()
    assert calls == 50
    assert sum(waits) / calls > 1.0


async def test_a_tap_shows_frames_as_they_pass_and_drops_what_nobody_reads() -> None:
    tap = Tap()
    async with hall(tap=tap) as place, joined(place) as (gateway, kernel):
        with tap.listen(4) as passing:
            await kernel.send(parcel(1, 1_000_000))
            await gateway.receive()
            await kernel.send(note(2))
            await gateway.receive()
            seen = passing.take()
    assert len(seen) == 4
    assert passing.dropped > 5
    assert (seen[-1].way, seen[-1].id, seen[-1].state) == ("in", "2", "complete")
