"""What happens seldom on a link, and must be right then."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from sessionbot_kit.control import Greeting, Report, Terms
from sessionbot_kit.errors import LinkClosed
from sessionbot_kit.link import Result
from sessionbot_kit.links.websocket import (
    BINARY,
    TEXT,
    Backoff,
    ClientLink,
    Rules,
    Tap,
    connect_link,
    one_token,
    serve_links,
)
from sessionbot_kit.links.websocket.sockets import MAX_EARLY, MAX_PARTS
from sessionbot_kit.models import Media, OutgoingMessage
from tests.link_people import SESSION, at_once, cuttable, hall, joined, note, parcel, raw_peer
from tests.test_websocket_abuse import frames


async def test_a_tap_is_read_one_by_one_and_waits_for_the_next() -> None:
    tap = Tap()
    async with hall(tap=tap) as place, joined(place) as (gateway, kernel):
        with tap.listen() as passing:
            waiting = asyncio.ensure_future(anext(passing))
            await kernel.send(note(1))
            await gateway.receive()
            seen = await waiting
            assert (seen.way, seen.id, seen.position, seen.state) == ("in", "1", 0, "complete")
            assert seen.link == gateway.name
        await kernel.send(note(2))
        await gateway.receive()
        assert passing.take() == []


async def test_a_tap_shows_every_state_of_a_message() -> None:
    tap = Tap()
    async with hall(tap=tap) as place, raw_peer(place) as peer:
        with tap.listen() as passing:
            await peer.greet()
            link = await place.link()
            for data in (
                *frames(1, "1", 100_000),
                *frames(2, "2"),
                *frames(2, "2"),
                *frames(3, "x"),
            ):
                await peer.socket.send(data)
            await link.receive()
            await link.receive()
            states = [(seen.way, seen.id, seen.state) for seen in passing.take()]
    assert ("out", "$", "hello") in states
    expected = [("in", "1", "open"), ("in", "1", "complete"), ("in", "2", "complete")]
    assert [state for state in states if state[1] != "$"][:3] == expected


async def test_a_message_in_continuation_frames_is_put_together() -> None:
    async with hall() as place, raw_peer(place) as peer:
        await peer.greet()
        (data,) = frames(1, "1")
        await peer.socket.send([data[:10], data[10:20], data[20:]])
        assert await (await place.link()).receive() == note(1)


async def test_a_message_in_too_many_continuation_frames_ends_the_connection() -> None:
    async with hall() as place, raw_peer(place) as peer:
        await peer.greet()
        await peer.socket.send([b"x"] * (MAX_PARTS + 1))
        assert await peer.how_it_ends() == 1008


async def test_messages_behind_the_greeting_wait_for_the_link() -> None:
    async with hall() as place, raw_peer(place) as peer:
        await peer.say(Greeting(SESSION, "", Terms(), Report()))
        for number in range(1, MAX_EARLY + 1):
            await peer.socket.send(frames(number, str(number))[0])
        link = await place.link()
        for number in range(1, MAX_EARLY + 1):
            assert await link.receive() == note(number)


async def test_too_many_messages_behind_the_greeting_end_the_connection() -> None:
    async with hall() as place, raw_peer(place) as peer:
        await peer.say(Greeting(SESSION, "", Terms(), Report()))
        for number in range(1, MAX_EARLY + 2):
            await peer.socket.send(frames(number, str(number))[0])
        assert await peer.how_it_ends() == 1008


async def test_a_session_keeps_its_subprotocol() -> None:
    async with hall() as place, raw_peer(place) as peer, raw_peer(place, subprotocol=TEXT) as other:
        await peer.greet()
        await other.say(Greeting(SESSION, "", Terms(), Report()))
        assert await other.how_it_ends() == 1008
        assert (await place.link()).connected


async def test_a_kernel_that_begins_anew_under_an_old_name_gets_a_new_link() -> None:
    async with hall() as place:
        async with raw_peer(place) as peer:
            await peer.greet()
            await peer.socket.send(frames(1, "1")[0])
            old = await place.link()
            await old.receive()
        async with raw_peer(place) as again:
            await again.greet()
            new = await place.link()
            assert new is not old
            with pytest.raises(LinkClosed, match="the kernel has begun anew"):
                await old.receive()


async def test_sessions_that_wait_for_their_kernels_are_not_kept_without_a_bound() -> None:
    async with hall(rules=Rules(max_connections=2)) as place:
        for number in range(8):
            async with raw_peer(place) as peer:
                await peer.greet(session=f"a-session-of-its-own-{number}")
            await (await place.link()).disconnected.wait()
        assert len(place.server.links) <= 4


async def test_a_refused_caller_says_what_the_server_said() -> None:
    async with hall(check_token=one_token("good")) as place:
        with pytest.raises(LinkClosed, match="refused us with 401: Send a valid token"):
            await connect_link(place.url, token="bad")


async def test_a_busy_server_is_called_again() -> None:
    async with (
        hall(rules=Rules(max_connections=1)) as place,
        joined(place) as (first, _),
        connecting(place.url, backoff=at_once()) as later,
    ):
        await first.close()
        await later.opened.wait()
        assert later.connected


async def test_who_stops_waiting_for_a_server_leaves_nothing_behind() -> None:
    async with hall() as place:
        url = place.url
    opening = asyncio.ensure_future(connect_link(url, sleep=for_ever).link.open())
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening


@asynccontextmanager
async def connecting(url: str, **options: Any) -> Any:
    """A client that is calling."""
    link = connect_link(url, **options).link
    opening = asyncio.ensure_future(link.open())
    try:
        yield link
    finally:
        await opening
        await link.close()


async def for_ever(seconds: float) -> None:
    await asyncio.Event().wait()


@asynccontextmanager
async def odd_server(
    handler: Callable[[ServerConnection], Awaitable[None]], *subprotocols: str
) -> Any:
    names = [Subprotocol(name) for name in subprotocols]
    async with serve(handler, "127.0.0.1", 0, subprotocols=names or None) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


async def test_a_server_that_speaks_something_else_is_left() -> None:
    async def listen(socket: ServerConnection) -> None:
        await socket.wait_closed()

    async with odd_server(listen) as url:
        with pytest.raises(LinkClosed, match=r"does not speak sbk\.bin\.v1"):
            await connect_link(url)


async def test_a_server_that_breaks_the_rules_is_left_after_the_third_time() -> None:
    calls = 0

    async def babble(socket: ServerConnection) -> None:
        nonlocal calls
        calls += 1
        await socket.send(frames(1, "1")[0])
        await socket.wait_closed()

    async with odd_server(babble, BINARY) as url:
        with pytest.raises(LinkClosed, match="the rules were broken 3 times"):
            await connect_link(url, backoff=at_once())
    assert calls == 3


async def test_a_server_that_never_greets_is_called_again() -> None:
    calls = 0

    async def silence(socket: ServerConnection) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            link.finish("seen enough")
        await socket.wait_closed()

    rules = Rules(greeting_timeout_s=0.02, tick_s=0.02, close_timeout_s=0.02)
    async with odd_server(silence, BINARY) as url:
        link = connect_link(url, rules=rules, backoff=at_once()).link
        with pytest.raises(LinkClosed, match="seen enough"):
            await link.open()


async def test_a_token_that_travels_in_the_clear_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(LinkClosed):
        await connect_link("ws://localhost.invalid:1", token="s3cret", give_up_after_s=0.0)
    assert "a token is sent without TLS" in caplog.text
    assert "s3cret" not in caplog.text


async def test_flushing_a_link_that_closes_says_so() -> None:
    async with hall() as place, joined(place) as (_, kernel):
        await kernel.send(note(1))
        flushing = asyncio.ensure_future(kernel.flush())
        await asyncio.sleep(0)
        await kernel.close()
        with pytest.raises(LinkClosed):
            await flushing


async def test_a_file_that_shrinks_while_it_is_sent_costs_its_message_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    film = tmp_path / "film.bin"
    film.write_bytes(bytes(3_000_000))
    media = Media(path=film, name="film.bin")
    reply = OutgoingMessage(channel_type="web", channel_id="c", content="", media=(media,))
    async with cuttable(backoff=Backoff(lambda: 0.0)) as (_, proxy, gateway, kernel):
        proxy.swallowing = True
        await kernel.send(Result("t1", 1, 1, (reply,)))
        film.write_bytes(b"")
        proxy.swallowing = False
        proxy.cut()
        await kernel.send(note(2, "t2"))
        assert await gateway.receive() == note(2, "t2")
        await kernel.send(note(3, "t1"))
        assert await gateway.receive() == note(3, "t1")
        assert kernel.connected
    assert "message dropped, it cannot be read" in caplog.text


async def test_our_own_mistake_ends_the_connection_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with hall() as place, raw_peer(place) as peer:
        await peer.greet()
        link = await place.link()
        link.exchange.age = cast(float, None)  # the mistake
        await peer.socket.send(frames(1, "1", 100_000)[0])
        await peer.socket.send(frames(2, "2", 100_000)[0])
        await peer.socket.send(frames(1, "1", 100_000)[1])
        assert await peer.how_it_ends() == 1011
        link.exchange.age = 0.0
    assert "a frame could not be taken" in caplog.text


async def test_missing_speed_ups_are_said(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessionbot_kit.links.websocket.link.find_spec", lambda name: None)
    async with serve_links(lambda link: None, port=0):
        pass
    assert "websockets runs without its C speed-ups" in caplog.text


async def test_a_stopped_server_is_called_until_another_answers() -> None:
    async with cuttable() as (place, proxy, _, kernel), hall() as other:
        proxy.target = other.server.port
        await place.server.stop()
        await other.link()
        await kernel.send(parcel(1, 100_000))
        assert isinstance(kernel, ClientLink)


async def test_a_gateway_that_is_away_is_warned_of_once_each_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tries: asyncio.Queue[None] = asyncio.Queue()

    async def sleep(seconds: float) -> None:
        tries.put_nowait(None)
        await asyncio.sleep(0)

    def warned() -> int:
        return sum("no connection" in record.message for record in caplog.records)

    caplog.set_level(logging.WARNING)
    async with hall() as place:
        port = place.server.port
    link = connect_link(f"ws://127.0.0.1:{port}", backoff=at_once(), sleep=sleep)
    async with asyncio.TaskGroup() as group:
        opening = group.create_task(link.link.open())
        for _ in range(5):
            await tries.get()
        assert warned() == 1
        async with serve_links(lambda link: None, port=port):
            await opening
        while warned() < 2:
            await tries.get()
    for _ in range(5):
        await tries.get()
    assert warned() == 2
    await link.link.close()
