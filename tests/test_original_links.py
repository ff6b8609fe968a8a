"""The original peers, before our gateway and behind our kernel."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sessionbot_kit.backoff import Backoff
from sessionbot_kit.errors import LinkClosed, UsageError
from sessionbot_kit.link import Bye, Event, Hello, Link, Offer, Result
from sessionbot_kit.links.original import (
    BrokerLink,
    ManagerLink,
    original_broker,
    original_managers,
)
from sessionbot_kit.links.websocket import serve_links
from sessionbot_kit.models import IncomingMessage, Media, OutgoingMessage
from sessionbot_kit.routes import Route
from tests.original_broker import OriginalBroker
from tests.original_manager import OriginalManager

ADA, BOB = "05" + "ab" * 32, "05" + "cd" * 32
FACE = "\U0001f600"


def offer(
    text: str, *, turn: str = "t1", sender: str = ADA, media: tuple[Media, ...] = ()
) -> Offer:
    message = IncomingMessage(
        id=turn,
        channel_type="web",
        channel_id="c1",
        sender_id=sender,
        sender_name="Ada",
        content=text.partition(" ")[2],
        raw_content=text,
        timestamp=datetime(2026, 1, 2, tzinfo=UTC),
        media=media,
    )
    return Offer(turn, 3, 9, "session_bot", f"s-{sender}", message)


@asynccontextmanager
async def managed(**options: float) -> AsyncIterator[tuple[Link, OriginalManager]]:
    """The gateway's end, and an original manager at the other."""
    links: asyncio.Queue[Link] = asyncio.Queue()
    managers = original_managers(links.put_nowait, bot="05bot", **options)
    async with serve_links(links.put_nowait, port=0, on_original_peer=managers) as server:
        manager = OriginalManager(f"ws://127.0.0.1:{server.port}")
        async with asyncio.TaskGroup() as group:
            running = group.create_task(manager.run())
            link = await links.get()
            assert isinstance(await link.receive(), Hello)
            await manager.connected.wait()
            yield link, manager
            await link.close()
            await running


async def test_a_manager_is_one_plugin_that_takes_what_is_left() -> None:
    link = ManagerLink("m", bot="05bot", answer_timeout_s=1.0)
    hello = await link.receive()
    assert isinstance(hello, Hello)
    assert [(route.plugin, route.default, route.prefixes) for route in hello.routes] == [
        ("session_bot", True, ())
    ]


async def test_a_manager_answers_a_turn() -> None:
    async with managed() as (link, manager):
        await link.send(offer(f"!echo héllo {FACE}"))
        result = await link.receive()
        assert isinstance(result, Result)
        assert (result.turn, result.attempt, result.epoch) == ("t1", 3, 9)
        assert [(reply.id, reply.content) for reply in result.replies] == [
            ("t1/0", f"héllo {FACE}")
        ]
        assert manager.messages[0]["to"] == ADA
        assert manager.messages[0]["from"] == "05bot"


async def test_files_go_to_a_manager_and_come_back() -> None:
    cat = Media.from_bytes(bytes(range(256)) * 8_000, name="cat.png", mime="image/png")
    async with managed() as (link, _):
        await link.send(offer("!echo look", media=(cat,)))
        result = await link.receive()
        assert isinstance(result, Result)
        assert result.replies[0].media == (cat,)


async def test_messages_of_many_people_are_never_mixed_on_the_way_to_a_manager() -> None:
    large = Media.from_bytes(bytes(900_000), name="large.bin")
    people = [f"05{number:064x}" for number in range(8)]
    async with managed() as (link, _):
        for person in people:
            await link.send(offer(f"!echo {person}", turn=person, sender=person, media=(large,)))
        results = [await link.receive() for _ in people]
        assert [r.turn for r in results if isinstance(r, Result)] == people


async def test_one_turn_of_a_person_waits_for_the_one_before() -> None:
    async with managed() as (link, _):
        await link.send(offer("!echo one", turn="t1"))
        await link.send(offer("!echo two", turn="t2"))
        results = [await link.receive(), await link.receive()]
        answers = [(r.turn, r.replies[0].content) for r in results if isinstance(r, Result)]
        assert answers == [("t1", "one"), ("t2", "two")]


async def test_a_turn_that_nobody_answers_ends_without_a_reply() -> None:
    async with managed(answer_timeout_s=0.02) as (link, _):
        await link.send(offer("what?", turn="t1"))
        await link.send(offer("!echo two", turn="t2"))
        assert await link.receive() == Result("t1", 3, 9, ())
        result = await link.receive()
        assert isinstance(result, Result)
        assert result.replies[0].content == "two"


async def test_a_reply_to_nobody_is_dropped_and_said(caplog: pytest.LogCaptureFixture) -> None:
    async with managed() as (link, manager):
        await manager.notify("surprise", BOB, [])
        await link.send(offer("!echo hi"))
        assert isinstance(await link.receive(), Result)
    assert "a reply to nobody was dropped" in caplog.text


async def test_a_link_to_a_manager_ends_with_its_connection() -> None:
    async with managed() as (link, manager):
        await manager.socket.close()
        with pytest.raises(LinkClosed):
            await link.receive()
        with pytest.raises(LinkClosed):
            await link.send(offer("!echo hi"))


async def test_frames_that_an_original_peer_does_not_know_are_not_sent() -> None:
    async with managed() as (link, manager):
        await link.send(Event("t1", "typing"))
        await link.send(Bye())
        await link.send(offer("!echo hi"))
        await link.receive()
        assert len(manager.messages) == 1


@asynccontextmanager
async def brokered(**options: int) -> AsyncIterator[tuple[BrokerLink, OriginalBroker]]:
    """The kernel's end, and an original broker at the other."""
    routes = (Route("echo", ("!echo",)), Route("rest", default=True))
    async with OriginalBroker(**options) as broker, calling(broker) as link:
        await link.send(Hello("bot", "k", routes))
        await broker.connected.wait()
        yield link, broker


def calling(broker: OriginalBroker) -> BrokerLink:
    return original_broker(broker.url, backoff=Backoff(lambda: 0.0))


def answer(turn: Offer, *texts: str, media: tuple[Media, ...] = (), **more: object) -> Result:
    replies = tuple(turn.message.reply(text, media=media) for text in texts)
    return Result(turn.turn, turn.attempt, turn.epoch, replies, **more)  # type: ignore[arg-type]  # by name


async def heard(link: BrokerLink) -> Offer:
    frame = await link.receive()
    assert isinstance(frame, Offer)
    return frame


@pytest.mark.parametrize("units", [1, 7, 262_144])
async def test_a_message_of_the_broker_is_offered_whatever_it_cuts_through(units: int) -> None:
    async with brokered(chunk_units=units) as (link, broker):
        await broker.tell(ADA, f"!echo h\u00e9 {FACE}{FACE}")
        turn = await heard(link)
        assert (turn.plugin, turn.session_id, turn.message.sender_id) == ("echo", ADA, ADA)
        assert turn.message.content == f"hé {FACE}{FACE}"
        assert turn.message.raw_content == f"!echo hé {FACE}{FACE}"
        await link.send(answer(turn, f"hé {FACE}", "and more"))
        replies = [await broker.replies.get(), await broker.replies.get()]
        assert [(r["from"], r["text"]) for r in replies] == [(ADA, f"hé {FACE}"), (ADA, "and more")]


async def test_files_come_from_the_broker_and_go_back() -> None:
    content = base64.b64encode(bytes(range(256)) * 8_000).decode()
    cat = {"name": "cat.png", "type": "image/png", "content": content}
    async with brokered() as (link, broker):
        await broker.tell(ADA, "!echo", [cat])
        turn = await heard(link)
        await link.send(answer(turn, "", media=turn.message.media))
        assert (await broker.replies.get())["attachments"] == [cat]


async def test_what_no_prefix_takes_goes_to_the_default() -> None:
    async with brokered() as (link, broker):
        await broker.tell(ADA, "hello")
        assert (await heard(link)).plugin == "rest"


async def test_a_person_has_one_turn_at_a_time_and_keeps_variables() -> None:
    async with brokered() as (link, broker):
        for text in ("one", "two"):
            await broker.tell(ADA, text)
        await broker.tell(BOB, "me too")
        first, other = await heard(link), await heard(link)
        assert (first.message.content, other.message.content) == ("one", "me too")
        await link.send(answer(first, variables={"n": 1}))
        second = await heard(link)
        assert (second.message.content, second.variables) == ("two", {"n": 1})


async def test_a_result_of_no_turn_is_refused() -> None:
    async with brokered() as (link, broker):
        await broker.tell(ADA, "one")
        turn = await heard(link)
        await link.send(answer(turn, "yes"))
        await link.send(answer(turn, "again"))
        await broker.tell(ADA, "two")
        await link.send(answer(await heard(link), "no"))
        assert [(await broker.replies.get())["text"] for _ in range(2)] == ["yes", "no"]


async def test_a_broker_that_was_started_again_is_called_again() -> None:
    async with brokered() as (link, broker):
        await broker.__aexit__()
        broker.connected.clear()
        await broker.__aenter__()
        await broker.connected.wait()
        await broker.tell(ADA, "hello")
        assert (await heard(link)).message.content == "hello"


@pytest.mark.parametrize("url", ["ws://10.0.0.1:8089", "ws://broker.example:8089"])
async def test_a_broker_elsewhere_is_not_called(url: str) -> None:
    with pytest.raises(UsageError, match="the original protocol has no token"):
        original_broker(url)


async def test_a_reply_names_the_bot_that_was_written_to() -> None:
    async with brokered() as (link, broker):
        await broker.tell(ADA, "hello")
        turn = await heard(link)
        reply = OutgoingMessage(channel_type="x", channel_id=ADA, content="hi")
        await link.send(Result(turn.turn, 1, 0, (reply,)))
        assert (await broker.replies.get())["to"] == "05bot"


RECORDED = Path(__file__).parent / "data" / "session_bot_frames"
TEXTS = {
    each["name"]: each["message"]["text"]
    for each in json.loads((RECORDED / "messages.json").read_text("utf-8"))
}


def recorded(kind: str) -> list[str]:
    return sorted(path.stem for path in RECORDED.glob(f"{kind}__*.jsonl"))


def frames_of(name: str) -> list[str]:
    # Not splitlines(): U+2028 ends no line of JSON.
    return (RECORDED / f"{name}.jsonl").read_text("utf-8").strip("\n").split("\n")


@pytest.mark.parametrize("name", recorded("ts"))
async def test_recorded_frames_of_the_broker_become_an_offer(name: str) -> None:
    async with brokered() as (link, broker):
        assert broker.socket is not None
        for frame in frames_of(name):
            await broker.socket.send(frame)
        assert (await heard(link)).message.raw_content == TEXTS[name.partition("__")[2]]


@pytest.mark.parametrize("name", recorded("py_notify") + recorded("py_single"))
async def test_recorded_frames_of_the_manager_become_a_result(name: str) -> None:
    async with managed() as (link, manager):
        person = BOB if name.startswith("py_single") else ADA  # whom `from` names
        await link.send(offer("what?", sender=person))
        for frame in frames_of(name):
            await manager.socket.send(frame)
        result = await link.receive()
        assert isinstance(result, Result)
        assert result.replies[0].content == TEXTS[name.partition("__")[2]]
