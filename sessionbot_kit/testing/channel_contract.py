"""What every channel promises, as tests: subclass it, say who is at the other end, and you know.

    class TestPigeon(ChannelContract):
        @pytest.fixture
        async def peer(self) -> AsyncIterator[PigeonPeer]:
            async with PigeonPeer() as peer:        # a `Peer`: the person, and the channel
                yield peer

A `Peer` is somebody with the platform in hand who writes to the bot and sees its chat. What the
channel does not implement is tested too: then its fallback must come, and say that it did. The
one rule to remember: **the person's side is not the channel's code**; use the platform's own test
server, or a client that somebody else wrote.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Protocol

import pytest

from sessionbot_kit.channel import VERBS, Receipt, Signal
from sessionbot_kit.crew import Crew
from sessionbot_kit.errors import StoreError
from sessionbot_kit.extension import PluginMeta
from sessionbot_kit.intake import take_in
from sessionbot_kit.models import Act, IncomingMessage, Media, OutgoingMessage, SendResult
from sessionbot_kit.outlet import Outlet
from sessionbot_kit.registry import call, check_plugin

TIMEOUT_S = 20.0
LONG_TEXT = "".join(f"Line {n} of a long text, with some words in it.\n" for n in range(250))
PICTURE = Media.from_bytes(b"\x89PNG meow", name="cat.png")


@dataclass(frozen=True, slots=True)
class Line:
    """One message in the chat, as the person sees it now."""

    id: str
    text: str
    by_bot: bool = True
    files: tuple[tuple[str, bytes], ...] = ()  # name, content
    reactions: tuple[str, ...] = ()


class Peer(Protocol):
    """A person in a chat with the bot, and the bot's channel into the platform."""

    channel: Any  # not started; the contract starts and stops it
    chat: str  # what the channel calls the chat of the two

    async def says(self, text: str, *files: Media) -> str:
        """Write to the bot; what the channel is going to call this message."""
        ...

    async def screen(self) -> list[Line]:
        """The chat as it is now, when all that was sent has arrived; oldest first."""
        ...

    async def notices(self) -> list[str]:
        """What else the person has seen so far: "typing", or a status such as "away"."""
        ...

    async def does(self, kind: str, message_id: str, content: str) -> None:
        """Edit, delete, react to or read a message, or type; see `ChannelContract.signals`."""
        ...


@dataclass(slots=True)
class House:
    """The gateway's side: it keeps what comes, and can be out of order."""

    outlet: Outlet
    faults: list[Exception] = field(default_factory=list)
    heard: asyncio.Queue[IncomingMessage] = field(default_factory=asyncio.Queue)
    seen: asyncio.Queue[Signal] = field(default_factory=asyncio.Queue)
    known: set[str] = field(default_factory=set)

    async def deliver(self, message: IncomingMessage) -> Receipt:
        if self.faults:
            raise self.faults.pop(0)
        known = message.id in self.known
        self.known.add(message.id)
        if not known:
            self.heard.put_nowait(message)
        chat = message.channel_type, message.account, message.channel_id
        return Receipt(message.id, "session", chat, known)

    async def signal(self, signal: Signal) -> None:
        self.seen.put_nowait(signal)

    async def hears(self) -> IncomingMessage:
        async with asyncio.timeout(TIMEOUT_S):
            return await self.heard.get()

    async def sees(self, kind: str) -> Signal:
        async with asyncio.timeout(TIMEOUT_S):
            while (signal := await self.seen.get()).kind != kind:
                pass
            return signal


class ChannelContract:
    """Tests of a channel. A subclass has a fixture `peer`."""

    signals: ClassVar[frozenset[str]] = frozenset()
    """What the channel tells of: edited, deleted, reacted, typing, read."""

    keeps_unread: ClassVar[bool] = True
    """Whether the platform gives a message out again that was not acknowledged."""

    brings_files: ClassVar[bool] = True
    """Whether people can send files to the bot."""

    @pytest.fixture
    async def house(self, peer: Peer) -> AsyncIterator[House]:
        """The channel is started and listens."""
        async with _open(peer) as house, listening(house):
            yield house

    # What it says of itself

    async def test_it_is_a_plugin_that_can_at_least_receive_and_send(self, peer: Peer) -> None:
        check_plugin(peer.channel)
        meta: PluginMeta = peer.channel.meta
        assert {"session.receive", "session.send"} <= set(meta.implements)

    async def test_it_implements_only_points_that_there_are(self, peer: Peer) -> None:
        points = {point for point in peer.channel.meta.implements if point.startswith("session.")}
        assert points <= {f"session.{verb}" for verb in VERBS} | _OBSERVERS

    # What comes in

    async def test_words_arrive_with_who_said_them_where_and_when(
        self, peer: Peer, house: House
    ) -> None:
        id = await peer.says("Hello, bot \U0001f600 àé")
        message = await house.hears()
        assert message.content == "Hello, bot \U0001f600 àé"
        assert (message.id, message.channel_id) == (id, peer.chat)
        assert message.channel_type == peer.channel.meta.id
        assert message.sender_id
        assert abs(message.timestamp - datetime.now(UTC)) < timedelta(minutes=5)

    async def test_messages_arrive_in_the_order_in_which_they_were_written(
        self, peer: Peer, house: House
    ) -> None:
        ids = [await peer.says(f"number {n}") for n in range(3)]
        heard = [await house.hears() for _ in range(3)]
        assert [message.content for message in heard] == ["number 0", "number 1", "number 2"]
        assert [message.id for message in heard] == ids
        assert len(set(ids)) == 3

    async def test_a_message_that_could_not_be_stored_comes_again(
        self, peer: Peer, house: House
    ) -> None:
        if not self.keeps_unread:
            return
        house.faults.append(StoreError("the disk is full; make room"))
        id = await peer.says("Do not forget this")
        message = await house.hears()
        assert (message.id, message.content) == (id, "Do not forget this")

    async def test_what_is_written_while_nobody_listens_arrives_later(self, peer: Peer) -> None:
        async with _open(peer) as house:
            async with listening(house):
                await peer.says("before")
                assert (await house.hears()).content == "before"
            if self.keeps_unread:
                await peer.says("meanwhile")
            async with listening(house):
                if not self.keeps_unread:
                    await peer.says("meanwhile")
                assert (await house.hears()).content == "meanwhile"

    async def test_files_arrive_with_their_words(self, peer: Peer, house: House) -> None:
        if not self.brings_files:
            return
        await peer.says("Look", PICTURE)
        message = await house.hears()
        assert message.content == "Look"
        assert [(file.name, file.read()) for file in message.media] == [("cat.png", PICTURE.read())]

    @pytest.mark.parametrize("kind", ["edited", "deleted", "reacted", "typing", "read"])
    async def test_what_people_do_is_told(self, peer: Peer, house: House, kind: str) -> None:
        if kind not in self.signals:
            return
        id = await peer.says("Hello")
        await house.hears()
        answer = (await house.outlet.send(_message(peer, "Hi"))).ids[0]
        target = answer if kind in ("read", "reacted") else id
        content = {"edited": "Hello again", "reacted": "\U0001f44d"}.get(kind, "")
        await peer.does(kind, target, content)
        signal = await house.sees(kind)
        assert (signal.channel_id, signal.channel_type) == (peer.chat, peer.channel.meta.id)
        assert signal.content == content
        assert kind == "typing" or signal.message_id == target

    # What goes out

    async def test_an_answer_is_seen_and_has_a_name(self, peer: Peer, house: House) -> None:
        await peer.says("Hello")
        result = await house.outlet.send((await house.hears()).reply("Hi \U0001f600", id="t/0"))
        assert result.ok
        assert result.fallback is None
        line = await _last(peer)
        assert line.text == "Hi \U0001f600"
        assert result.ids == (line.id,)

    async def test_two_answers_have_two_names_and_keep_their_order(
        self, peer: Peer, house: House
    ) -> None:
        await _meet(peer, house)
        results = [await house.outlet.send(_message(peer, text)) for text in ("one", "two")]
        assert [line.text for line in await _by_bot(peer)] == ["one", "two"]
        assert len({id for result in results for id in result.ids}) == 2

    async def test_a_long_text_arrives_whole(self, peer: Peer, house: House) -> None:
        await _meet(peer, house)
        assert await house.outlet.send(_message(peer, LONG_TEXT))
        lines = await _by_bot(peer)
        text = "".join(line.text or line.files[0][1].decode() for line in lines)
        assert "".join(text.split()) == "".join(LONG_TEXT.split())

    async def test_a_file_is_seen_or_at_least_named(self, peer: Peer, house: House) -> None:
        await _meet(peer, house)
        result = await house.outlet.send(_message(peer, "Look", media=(PICTURE,)))
        assert result
        lines = await _by_bot(peer)
        if house.outlet.supports("media"):
            assert [file for line in lines for file in line.files] == [("cat.png", PICTURE.read())]
        else:
            assert "cat.png" in lines[-1].text
            assert "media" in (result.fallback or "")

    async def test_an_edit_changes_what_stands_there_or_is_said_again(
        self, peer: Peer, house: House
    ) -> None:
        await _meet(peer, house)
        sent = await house.outlet.send(_message(peer, "Monday"))
        result = await _act(peer, house, "edit", sent.ids, content="Tuesday")
        texts = [line.text for line in await _by_bot(peer)]
        if house.outlet.supports("edit"):
            assert (texts, result.fallback) == (["Tuesday"], None)
        else:
            assert texts == ["Monday", "(edited) Tuesday"]
            assert "edit" in (result.fallback or "")

    async def test_a_deleted_message_goes_or_the_result_says_that_it_stays(
        self, peer: Peer, house: House
    ) -> None:
        await _meet(peer, house)
        sent = await house.outlet.send(_message(peer, "a secret"))
        result = await _act(peer, house, "delete", sent.ids)
        texts = [line.text for line in await _by_bot(peer)]
        if house.outlet.supports("delete"):
            assert (texts, result.fallback) == ([], None)
        else:
            assert texts == (["(deleted)"] if house.outlet.supports("edit") else ["a secret"])
            assert "delete" in (result.fallback or "")

    async def test_a_reaction_is_seen_and_taken_away_or_is_said(
        self, peer: Peer, house: House
    ) -> None:
        id = await _meet(peer, house)
        result = await _act(peer, house, "react", (id,), emoji="\U0001f44d")
        if not house.outlet.supports("react"):
            assert (await _last(peer)).text == "\U0001f44d"
            assert "react" in (result.fallback or "")
            return
        assert await _reactions(peer, id) == ("\U0001f44d",)
        await _act(peer, house, "react", (id,), emoji="\U0001f44d", remove=True)
        assert await _reactions(peer, id) == ()

    async def test_typing_is_shown_or_the_result_says_that_it_is_not(
        self, peer: Peer, house: House
    ) -> None:
        await _meet(peer, house)
        result = await house.outlet.typing(peer.chat)
        assert result
        shown = "typing" in await peer.notices()
        assert shown == house.outlet.supports("typing") == (result.fallback is None)

    async def test_a_status_is_shown_or_the_result_says_that_it_is_not(
        self, peer: Peer, house: House
    ) -> None:
        await _meet(peer, house)
        result = await house.outlet.presence("away")
        assert result
        shown = "away" in await peer.notices()
        assert shown == house.outlet.supports("presence") == (result.fallback is None)

    # Beginning and end

    async def test_it_can_be_stopped_and_started_again(self, peer: Peer) -> None:
        for text in ("one", "two"):
            async with _open(peer) as house, listening(house):
                await peer.says(text)
                assert (await house.hears()).content == text
                assert await house.outlet.send(_message(peer, f"{text}!"))
        assert (await _by_bot(peer))[-1].text == "two!"

    async def test_listening_ends_when_it_is_canceled(self, peer: Peer) -> None:
        async with _open(peer) as house:
            async with asyncio.timeout(TIMEOUT_S):
                async with listening(house):
                    await _meet(peer, house)


_OBSERVERS = {"session.on_receive", "session.on_send"}


@asynccontextmanager
async def _open(peer: Peer) -> AsyncIterator[House]:
    """The channel, started; nobody listens yet."""
    channel = peer.channel
    await call(getattr(channel, "start", _nothing))
    house = House(Outlet(channel))
    try:
        yield house
    finally:
        house.outlet.close()
        await call(getattr(channel, "stop", _nothing))


@asynccontextmanager
async def listening(house: House) -> AsyncIterator[None]:
    """Take in what comes, as a gateway does."""
    crew = Crew("contract")
    task = crew.start(_listen(house), "listening")
    try:
        yield
    finally:
        await crew.stop()
    if task.done() and not task.cancelled():
        task.result()  # it may end by itself, and must not fail


async def _listen(house: House) -> None:
    channel: Any = house.outlet.channel
    receive = getattr(channel, channel.meta.implements["session.receive"])
    while True:
        try:
            return await take_in(receive, house.deliver, house.signal)
        except StoreError:
            await asyncio.sleep(0)  # a gateway connects it again


async def _meet(peer: Peer, house: House) -> str:
    """On most platforms the person writes first."""
    await peer.says("Hello")
    return (await house.hears()).id


async def _by_bot(peer: Peer) -> list[Line]:
    return [line for line in await peer.screen() if line.by_bot]


async def _last(peer: Peer) -> Line:
    return (await _by_bot(peer))[-1]


async def _reactions(peer: Peer, id: str) -> tuple[str, ...]:
    return next(line.reactions for line in await peer.screen() if line.id == id)


async def _act(
    peer: Peer, house: House, verb: Any, targets: tuple[str, ...], content: str = "", **more: Any
) -> SendResult:
    act = Act(verb=verb, target=targets[0], **more)
    result = await house.outlet.send(_message(peer, content, act=act), targets)
    assert result
    return result


def _message(peer: Peer, text: str, **more: Any) -> OutgoingMessage:
    return OutgoingMessage(
        channel_type=peer.channel.meta.id, channel_id=peer.chat, content=text, **more
    )


def _nothing() -> None:
    pass
