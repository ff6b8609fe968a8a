"""Peers that break the rules: they lose their connection, and nobody else notices."""

import contextlib
import json
import logging
import re
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from sessionbot_kit.chunker import ANY_DOCUMENT, Chunker, Limits
from sessionbot_kit.control import MIB, Ack, Control, Greeting, Leave, Refusal, Report, Terms
from sessionbot_kit.errors import LinkClosed
from sessionbot_kit.frames import to_document
from sessionbot_kit.link import Event
from sessionbot_kit.links.websocket import TEXT, Rules
from tests.link_people import SESSION, Hall, hall, joined, note, now, parcel, raw_peer

CASES = {
    case["name"]: case
    for case in map(
        json.loads,
        (Path(__file__).parent / "data" / "bad_frames.jsonl").read_text().splitlines(),
    )
}


def frames(number: int, message_id: str, size: int = 0) -> list[bytes]:
    chunker = Chunker(65_536, codec="binary", shape=ANY_DOCUMENT)
    frame = parcel(number, size) if size else note(number)
    return list(chunker.split(to_document(frame), message_id))


async def nobody_else_notices(place: Hall) -> None:
    async with joined(place) as (gateway, kernel):
        await kernel.send(note(1))
        assert await gateway.receive() == note(1)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, case in CASES.items()
        if any("raw" in frame for frame in case["frames"]) and "repeat" not in case["frames"][0]
    ],
)
async def test_bytes_that_are_no_websocket_end_the_connection(name: str) -> None:
    case = CASES[name]
    async with hall() as place, raw_peer(place, subprotocol=TEXT) as peer:
        await peer.greet()
        for frame in case["frames"]:
            peer.socket.transport.write(bytes.fromhex(frame["raw"]))
        assert str(await peer.how_it_ends()) in re.findall(r"\d+", case["expect"])
        await nobody_else_notices(place)


@pytest.mark.parametrize("name", ["frame_over_1MiB", "escape_expansion"])
async def test_a_frame_over_the_limit_ends_the_connection(name: str) -> None:
    fill = CASES[name]["frames"][0]["fill"]
    frame = json.dumps({**fill["wrap"], "data": fill["char"] * fill["n"]})
    async with hall() as place, raw_peer(place, subprotocol=TEXT) as peer:
        await peer.greet()
        await peer.socket.send(frame)
        assert CASES[name]["expect"] == f"close({await peer.how_it_ends()})"
        await nobody_else_notices(place)


async def test_more_bytes_than_are_held_end_the_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    frame = {"messageId": "1", "index": 0, "total": 1_000, "data": "x" * 262_144}
    rules = Rules(limits=Limits(pending=1_000))
    async with hall(rules=rules) as place, raw_peer(place, subprotocol=TEXT) as peer:
        await peer.greet()
        with contextlib.suppress(ConnectionClosed):
            for number in range(1, 1_000):
                await peer.socket.send(json.dumps({**frame, "messageId": str(number)}))
        await peer.how_it_ends()
        await nobody_else_notices(place)
    assert CASES["memory_bomb_100x1000x256K"]["expect"] == f"close({codes_in(caplog)[0]})"


async def test_what_one_peer_leaves_unfinished_takes_no_more_memory_than_it_may() -> None:
    limits = Limits(message_bytes=8 * MIB, held_bytes=8 * MIB, pending=1_000)
    began = [frames(number, str(number), 100_000)[0] for number in range(1, 500)]  # 32 MB
    async with hall(rules=Rules(limits=limits)) as place, raw_peer(place) as peer:
        await peer.greet()
        with traced_memory() as peak, contextlib.suppress(ConnectionClosed):
            for data in began:
                await peer.socket.send(data)
        assert 4 * MIB < peak() < 12 * MIB  # the rest is on its way
        await nobody_else_notices(place)


@contextlib.contextmanager
def traced_memory() -> Iterator[Callable[[], int]]:
    """Afterwards, the most that was held at a time, in bytes."""
    most = 0
    tracemalloc.start()
    try:
        yield lambda: most
    finally:
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()


async def test_a_flood_of_pings_ends_the_connection() -> None:
    ping = bytes.fromhex(CASES["flood_ping"]["frames"][0]["raw"])
    async with hall() as place, raw_peer(place) as peer:
        await peer.greet()
        peer.socket.transport.write(ping * 5_000)
        assert CASES["flood_ping"]["expect"] == f"close({await peer.how_it_ends()})"
        await nobody_else_notices(place)


async def test_a_peer_that_never_reads_is_left(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    rules = Rules(send_timeout_s=0.05, close_timeout_s=0.05, tick_s=0.02, linger_s=0.01)
    async with hall(rules=rules) as place, raw_peer(place) as peer:
        await peer.say(Greeting(SESSION, "", Terms(window=2**31), Report()))
        peer.socket.transport.pause_reading()
        link = await place.link()
        with contextlib.suppress(LinkClosed):
            while True:
                await link.send(parcel(1, 1_000_000))
        assert CASES["never_reads_replies"]["expect"] == f"close({codes_in(caplog)[0]})"
        await nobody_else_notices(place)


async def test_a_peer_that_answers_no_ping_is_left(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    rules = Rules(ping_interval_s=0.02, ping_timeout_s=0.02, close_timeout_s=0.02, linger_s=0.01)
    async with hall(rules=rules) as place, raw_peer(place) as peer:
        await peer.greet()
        peer.socket.transport.pause_reading()
        link = await place.link()
        await link.wait_closed()
        assert CASES["half_open_peer"]["expect"] == f"close({codes_in(caplog)[0]})"


async def test_messages_that_are_begun_and_not_finished_are_given_up() -> None:
    async with hall(rules=Rules(tick_s=0.02)) as place, raw_peer(place) as peer:
        await peer.greet()
        for number in range(1, 65):
            await peer.socket.send(frames(number, str(number), 100_000)[0])
        link = await place.link()
        await nobody_else_notices(place)
        link.exchange.tick(31.0, now())
        for number in range(1, 65):
            assert await peer.hear(Refusal) == Refusal(number, "expired")


async def test_one_unfinished_message_too_many_is_refused_and_the_others_go_on() -> None:
    rules = Rules(limits=Limits(pending=2))
    async with hall(rules=rules) as place, raw_peer(place) as peer:
        await peer.greet()
        cut = {name: frames(name, str(name), 100_000) for name in (1, 2, 3)}
        for name in (1, 2, 3):
            await peer.socket.send(cut[name][0])
        assert await peer.hear(Refusal) == Refusal(3, "too_many_pending")
        for data in (*cut[1][1:], *cut[2][1:]):
            await peer.socket.send(data)
        link = await place.link()
        assert [await link.receive(), await link.receive()] == [
            parcel(1, 100_000),
            parcel(2, 100_000),
        ]


async def test_a_bad_message_costs_itself_and_the_link_goes_on() -> None:
    async with hall() as place, raw_peer(place) as peer:
        await peer.greet()
        spoiled = bytearray(frames(1, "1")[0])
        spoiled[-1] ^= 1
        await peer.socket.send(bytes(spoiled))
        assert await peer.hear() == Refusal(1, "bad_digest")
        await peer.socket.send(frames(2, "2")[0])
        assert await (await place.link()).receive() == note(2)


async def test_a_frame_that_is_none_of_a_link_costs_itself() -> None:
    async with hall() as place, raw_peer(place) as peer:
        await peer.greet()
        chunker = Chunker(codec="binary", shape=ANY_DOCUMENT)
        await peer.socket.send(next(chunker.split({"type": "hack"}, "1")))
        assert await peer.hear() == Refusal(1, "bad_frame")


@pytest.mark.parametrize("message_id", ["m1", "0", "-1", "01", "1.0", "१", "9" * 16, "__proto__"])
async def test_a_message_id_that_is_no_number_is_refused(message_id: str) -> None:
    async with hall() as place, raw_peer(place) as peer:
        await peer.greet()
        await peer.socket.send(frames(1, message_id)[0])
        assert await peer.hear() == Refusal(0, "bad_id")


async def test_an_empty_frame_is_ignored() -> None:
    async with hall() as place, raw_peer(place) as peer:
        await peer.greet()
        await peer.socket.send(b"")
        await peer.socket.send(frames(1, "1")[0])
        assert await (await place.link()).receive() == note(1)


async def test_a_message_that_comes_twice_is_delivered_once() -> None:
    async with hall() as place, raw_peer(place) as peer:
        await peer.greet()
        for number in (1, 1, 2, 1, 2):
            await peer.socket.send(frames(number, str(number))[0])
        link = await place.link()
        assert [await link.receive(), await link.receive()] == [note(1), note(2)]
        assert link.exchange.inbox == deque()


async def test_who_sends_the_same_over_and_over_is_left() -> None:
    async with hall() as place, raw_peer(place) as peer:
        await peer.greet()
        with contextlib.suppress(ConnectionClosed):
            for _ in range(1_100):
                await peer.socket.send(frames(1, "1")[0])
        assert await peer.how_it_ends() == 1008


@pytest.mark.parametrize("control", [Ack(0), Refusal(1, "x"), Leave()])
async def test_the_first_word_is_a_greeting(control: Control) -> None:
    async with hall() as place, raw_peer(place) as peer:
        await peer.say(control)
        assert await peer.how_it_ends() == 1008


async def test_no_message_comes_before_the_greeting() -> None:
    async with hall() as place, raw_peer(place) as peer:
        await peer.socket.send(frames(1, "1")[0])
        assert await peer.how_it_ends() == 1008


async def test_who_never_greets_is_left() -> None:
    async with hall(rules=Rules(greeting_timeout_s=0.02)) as place, raw_peer(place) as peer:
        assert await peer.how_it_ends() == 1008


async def test_a_second_greeting_ends_the_connection() -> None:
    async with hall() as place, raw_peer(place) as peer:
        await peer.greet()
        await peer.say(Greeting(SESSION, "", Terms(), Report()))
        assert await peer.how_it_ends() == 1008


async def test_a_session_of_an_earlier_run_is_answered_as_not_recovered() -> None:
    async with hall() as place, raw_peer(place) as peer:
        answer = await peer.greet(epoch="of-another-run")
        assert (answer.recovered, answer.report) == (False, Report())


async def test_an_acknowledgement_of_what_was_never_sent_ends_the_connection() -> None:
    async with hall() as place, raw_peer(place) as peer:
        await peer.greet()
        await peer.say(Ack(floor=1))
        assert CASES["resume_future_offset"]["expect"] == f"close({await peer.how_it_ends()})"


async def test_a_control_message_that_is_none_ends_the_connection() -> None:
    async with hall() as place, raw_peer(place) as peer:
        await peer.greet()
        chunker = Chunker(codec="binary", shape=ANY_DOCUMENT)
        await peer.socket.send(next(chunker.split({"type": "shutdown"}, "$9")))
        assert await peer.how_it_ends() == 1008


async def test_chat_content_never_becomes_a_control_message() -> None:
    sly = Event("t1", "note", {"type": "bye", "messageId": "$1", "text": '{"type":"bye"}'})
    for codec in ("binary", "text"):
        async with hall() as place, joined(place, codec=codec) as (gateway, kernel):
            await kernel.send(sly)
            assert await gateway.receive() == sly
            assert gateway.connected


async def crowd(size: int) -> None:
    async with hall() as place, AsyncExitStack() as stack:
        for _ in range(size):
            await stack.enter_async_context(raw_peer(place))
        await nobody_else_notices(place)


async def test_a_hundred_silent_connections_disturb_nobody() -> None:
    await crowd(100)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_nearly_a_thousand_silent_connections_disturb_nobody() -> None:
    await crowd(990)


def codes_in(caplog: pytest.LogCaptureFixture) -> list[object]:
    return [vars(record)["code"] for record in caplog.records if record.msg == "connection over"]
