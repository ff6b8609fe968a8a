"""The channel, from one person to another over the loopback network."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sessionbot_kit.channel import Receipt
from sessionbot_kit.channels.session_messenger import compose, pace
from sessionbot_kit.channels.session_messenger.channel import SessionMessenger
from sessionbot_kit.channels.session_messenger.envelope import pack, pad, seal, sign, wrap
from sessionbot_kit.channels.session_messenger.events import (
    Approved,
    Expiry,
    MessageId,
    Reacted,
    ReadSeen,
    Said,
    TypingSeen,
    Unsent,
)
from sessionbot_kit.channels.session_messenger.identity import Identity
from sessionbot_kit.channels.session_messenger.incoming import Manners
from sessionbot_kit.channels.session_messenger.loopback import LoopbackNetwork
from sessionbot_kit.channels.session_messenger.loopback.faults import Refuses
from sessionbot_kit.channels.session_messenger.pace import Pace
from sessionbot_kit.channels.session_messenger.protobuf import encode
from sessionbot_kit.channels.session_messenger.signals import CHANNEL_TYPE
from sessionbot_kit.errors import SettingsError, UsageError
from sessionbot_kit.models import Media, OutgoingMessage

from .people import FAST_S, Person, talking


@pytest.fixture
async def network() -> AsyncIterator[LoopbackNetwork]:
    async with LoopbackNetwork(limits_rate=False) as network:
        yield network
        assert not network.refusals
        assert not network.ignored


@pytest.fixture
async def one(network: LoopbackNetwork, ada: Identity, tmp_path: Path) -> AsyncIterator[Person]:
    async with talking(network, ada, tmp_path, client_name="Ada") as person:
        yield person


@pytest.fixture
async def bot(network: LoopbackNetwork, bob: Identity, tmp_path: Path) -> AsyncIterator[Person]:
    async with talking(network, bob, tmp_path) as person:
        yield person


async def test_words_go_there_and_back(one: Person, bot: Person) -> None:
    await one.says(bot.id, "Hello, Bob 😀")
    message = await bot.hears()
    assert (message.content, message.sender_name) == ("Hello, Bob 😀", "Ada")
    assert message.channel_id == message.sender_id == one.id
    assert abs(message.timestamp - datetime.now(UTC)) < timedelta(minutes=1)
    assert await bot.channel.send(message.reply("Hello, Ada"))
    answer = await one.hears()
    assert (answer.content, answer.sender_name) == ("Hello, Ada", "(05ab...765a)")


async def test_the_id_of_what_we_sent_is_the_one_that_the_other_side_sees(
    one: Person, bot: Person
) -> None:
    result = await one.says(bot.id, "Hello")
    assert result.ids == ((await bot.hears()).id,)
    assert MessageId.parse(result.ids[0]).author == one.id


async def test_an_answer_quotes_what_it_answers(one: Person, bot: Person) -> None:
    question = (await one.says(bot.id, "Large or small?")).ids[0]
    await bot.channel.send((await bot.hears()).reply("Large"))
    assert (await one.hears()).reply_to == question


async def test_a_bot_that_has_spoken_looks_soon_for_the_answer(
    network: LoopbackNetwork, one: Person, bob: Identity, tmp_path: Path
) -> None:
    patient = Pace(fast_s=0.01, slow_s=3_600.0)
    async with talking(network, bob, tmp_path, pace=patient) as bot:
        await bot.says(one.id, "How are you?")
        await one.channel.send((await one.hears()).reply("Fine"))
        assert (await bot.hears()).content == "Fine"


async def test_a_mailbox_that_cannot_be_read_for_a_while_is_read_again(
    network: LoopbackNetwork,
    one: Person,
    bob: Identity,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(pace, "FAILED_WAIT_S", FAST_S)
    nodes = network.swarm_of(bob.session_id)[1]
    for node in nodes:
        node.faults += [Refuses(500)] * 3
    async with talking(network, bob, tmp_path) as bot:
        while any(node.faults for node in nodes):
            await bot.says(one.id, "Is anybody there?")
        await one.says(bot.id, "Yes")
        assert (await bot.hears()).content == "Yes"
    assert caplog.messages.count("mailbox not read") >= 1
    assert caplog.messages.count("mailbox read again") >= 1


@pytest.mark.parametrize("reply_to", ["17", f"{'05' + 'e' * 64}:5"])
async def test_what_was_said_elsewhere_is_not_quoted(
    one: Person, bot: Person, reply_to: str
) -> None:
    assert await one.says(bot.id, "Hello", reply_to=reply_to)
    assert (await bot.hears()).reply_to is None


async def test_files_travel_with_their_words(one: Person, bot: Person) -> None:
    photo = Media.from_bytes(b"meow", name="cat.jpg", caption="My cat")
    song = Media.from_bytes(bytes(1_200_000), name="song.ogg")
    await one.says(bot.id, "Look", media=(photo, song))
    message = await bot.hears()
    assert message.content == "Look"
    assert (message.media[0].data, message.media[0].name) == (b"meow", "cat.jpg")
    assert message.media[1].path is not None
    assert message.media[1].read() == song.data


async def test_typing_reactions_receipts_and_unsends_are_seen(one: Person, bot: Person) -> None:
    id = (await one.says(bot.id, "Hello")).ids[0]
    target = MessageId.parse(id)
    await bot.hears()
    assert await bot.channel.typing(one.id)
    assert (await one.sees(TypingSeen)).started
    assert await bot.channel.typing(one.id, started=False)
    assert not (await one.sees(TypingSeen)).started
    assert await bot.channel.react(one.id, id, "👍")
    reaction = await one.sees(Reacted)
    assert (reaction.target, reaction.emoji, reaction.removed) == (target, "👍", False)
    assert await bot.channel.react(one.id, id, "👍", remove=True)
    assert (await one.sees(Reacted)).removed
    assert await bot.channel.mark_read(one.id, (id,))
    assert (await one.sees(ReadSeen)).targets == (target,)
    assert await one.channel.delete(bot.id, id)
    assert await bot.sees(Unsent) == Unsent(target)


async def test_a_reaction_to_the_bot_s_own_words_goes_to_the_person(
    one: Person, bot: Person
) -> None:
    (id,) = (await bot.says(one.id, "Done")).ids
    assert await bot.channel.react(one.id, id, "🎉")
    assert (await one.sees(Reacted)).target == MessageId.parse(id)


async def test_text_that_is_not_utf_8_arrives_as_text(
    network: LoopbackNetwork, one: Person, bot: Person
) -> None:
    now = network.now_ms()
    content = encode(compose.say("12345678", timestamp=now)).replace(
        b"12345678", b"ab\xff\xfe\xc3(\x80c"
    )
    signed = sign(pad(content), one.channel.identity, bot.id)
    record = wrap(seal(signed, bot.id, bytes(32)), now)
    await one.channel._swarm.store(bot.id, record, ttl=60_000)
    assert (await bot.hears()).content == "ab\ufffd\ufffd\ufffd(\ufffdc"


async def test_a_stranger_s_request_is_answered_with_yes_once(one: Person, bot: Person) -> None:
    await one.says(bot.id, "May I?")
    assert (await one.sees(Approved)).yes
    await one.says(bot.id, "Thanks")
    await bot.hears()
    await bot.hears()
    await bot.says(one.id, "Welcome")
    await one.hears()
    assert not [event for event in one._events if isinstance(event, Approved)]


async def test_a_bot_may_tell_that_it_has_read(
    network: LoopbackNetwork, one: Person, bob: Identity, tmp_path: Path
) -> None:
    manners = Manners(send_receipts=True, approve_requests=False, account="second")
    async with talking(network, bob, tmp_path, manners=manners) as bot:
        id = (await one.says(bot.id, "Hello")).ids[0]
        assert (await bot.hears()).account == "second"
        assert (await one.sees(ReadSeen)).targets == (MessageId.parse(id),)


async def test_a_long_answer_comes_in_parts_and_says_so(one: Person, bot: Person) -> None:
    text = "word " * 40_000
    result = await bot.says(one.id, text)
    assert result.fallback == "the text was sent in 3 parts"
    parts = [await one.hears() for _ in result.ids]
    assert "".join(part.content for part in parts) == text
    assert [part.id for part in parts] == list(result.ids)


async def test_a_very_long_answer_comes_as_a_file_and_says_so(one: Person, bot: Person) -> None:
    text = "word " * 200_000
    result = await bot.says(one.id, text)
    assert result.fallback == "the text was sent as the file message.txt"
    (media,) = (await one.hears()).media
    assert (media.mime, media.read()) == ("text/plain", text.encode())


async def test_a_message_that_disappears_is_answered_with_one_that_does(
    network: LoopbackNetwork, one: Person, bot: Person
) -> None:
    now = network.now_ms()
    content = compose.say("Psst", timestamp=now, expiry=Expiry(2, 60))
    record = pack(content, sender=one.channel.identity, recipient=bot.id, timestamp=now)
    await one.channel._swarm.store(bot.id, record, ttl=60_000)
    message = await bot.hears()
    assert message.metadata == {"expires_after_s": 60}
    await bot.channel.send(message.reply("Psst yourself"))
    assert (await one.sees(Said)).expiry == Expiry(2, 60)


@pytest.mark.parametrize("to", ["ada", "05" + "0" * 64, "03" + "a" * 64])
async def test_nobody_has_such_a_session_id(one: Person, to: str) -> None:
    result = await one.says(to, "Hello")
    assert (result.ok, result.permanent) == (False, True)
    assert "Session ID" in (result.error or "")


async def test_a_bot_does_not_write_to_itself(one: Person) -> None:
    result = await one.says(one.id, "Hello")
    assert (result.ok, result.permanent) == (False, True)


async def test_an_empty_message_is_refused(one: Person, bot: Person) -> None:
    assert (await one.says(bot.id)).permanent


async def test_too_many_files_are_refused(one: Person, bot: Person) -> None:
    file = Media.from_bytes(b"x", name="x")
    assert (await one.says(bot.id, media=(file,) * 33)).permanent


@pytest.mark.parametrize("id", ["17", f"{'05' + 'e' * 64}:5"])
async def test_only_what_the_bot_said_can_be_taken_back(one: Person, bot: Person, id: str) -> None:
    result = await one.channel.delete(bot.id, id)
    assert (result.ok, result.permanent) == (False, True)


async def test_what_is_no_message_cannot_be_reacted_to_or_read(one: Person, bot: Person) -> None:
    assert (await one.channel.react(bot.id, "17", "👍")).permanent
    assert (await one.channel.mark_read(bot.id, ("17",))).permanent


async def test_a_channel_that_is_not_started_says_so(ada: Identity) -> None:
    message = OutgoingMessage(channel_type=CHANNEL_TYPE, channel_id="x", content="x")
    with pytest.raises(UsageError, match="await its start"):
        await SessionMessenger(ada).send(message)


class Resting(Pace):
    """Notes that the channel begins to rest, and lets it rest long."""

    begun: asyncio.Event

    def wait_s(self, now: float) -> float:
        self.begun.set()
        return 60.0


def test_a_channel_can_be_started_again_in_another_loop(ada: Identity, tmp_path: Path) -> None:
    resting = Resting()
    channel = SessionMessenger(ada, folder=tmp_path, seeds=(), pace=resting)
    for _ in range(2):
        asyncio.run(listen_until_it_rests(channel, resting))


async def listen_until_it_rests(channel: SessionMessenger, resting: Resting) -> None:
    resting.begun = asyncio.Event()
    await channel.start()
    listening = asyncio.create_task(channel.receive(nobody))
    await resting.begun.wait()
    listening.cancel()
    await asyncio.wait([listening])
    await channel.stop()
    assert listening.cancelled()


async def nobody(message: object) -> Receipt:
    raise AssertionError("nobody wrote")


async def test_a_channel_can_be_stopped_twice(ada: Identity) -> None:
    await SessionMessenger(ada).stop()


@pytest.mark.parametrize("name", ["", "x" * 65])
def test_a_client_name_that_others_would_not_show_is_refused(ada: Identity, name: str) -> None:
    with pytest.raises(SettingsError, match="1 to 64"):
        SessionMessenger(ada, client_name=name)


def test_a_channel_shows_its_session_id_and_no_secret(ada: Identity) -> None:
    assert repr(SessionMessenger(ada)) == "SessionMessenger(0548...2c69)"
