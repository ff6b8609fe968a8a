"""Our client and another one, written by somebody else, talk to each other."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sessionbot_kit.channels.session_messenger.events import (
    Approved,
    MessageId,
    Reacted,
    ReadSeen,
    TypingSeen,
    Unsent,
)
from sessionbot_kit.channels.session_messenger.identity import Identity
from sessionbot_kit.channels.session_messenger.loopback import LoopbackNetwork
from sessionbot_kit.models import Media

from .other_client import OtherClient, running_peer
from .people import Person, talking
from .vectors import KEYS


@pytest.fixture
async def network() -> AsyncIterator[LoopbackNetwork]:
    async with LoopbackNetwork(limits_rate=False) as network:
        yield network
        assert not network.refusals


@pytest.fixture
async def peer(network: LoopbackNetwork) -> AsyncIterator[OtherClient]:
    async with running_peer(network) as peer:
        yield peer


@pytest.fixture
async def bot(network: LoopbackNetwork, bob: Identity, tmp_path: Path) -> AsyncIterator[Person]:
    async with talking(network, bob, tmp_path, client_name="Bob's bot") as person:
        yield person


ADA = KEYS[0]["session_id"]


async def records_for(network: LoopbackNetwork, pubkey: str) -> list[str]:
    node = network.swarm_of(pubkey)[1][0]
    return [base64.b64encode(kept.data).decode() for kept in node.mailbox.of(pubkey)]


async def test_text_comes_from_the_other_client(peer: OtherClient, bot: Person) -> None:
    sent = await peer.does("say", to=bot.id, text="Hello, 👩‍👩‍👧‍👦 Été")
    message = await bot.hears()
    assert (message.content, message.sender_name) == ("Hello, 👩‍👩‍👧‍👦 Été", "Ada")
    assert message.id == str(MessageId(ADA, sent["timestamp"]))


async def test_text_goes_to_the_other_client(peer: OtherClient, bot: Person) -> None:
    result = await bot.says(ADA, "Hello, 👩‍👩‍👧‍👦 Été")
    (event,) = await peer.does("poll")
    assert (event["type"], event["body"], event["from"]) == ("data", "Hello, 👩‍👩‍👧‍👦 Été", bot.id)
    assert result.ids == (str(MessageId(bot.id, event["timestamp"])),)


@pytest.mark.parametrize("size", [76_000, 76_800, 200_000])
async def test_long_text_goes_to_the_other_client_in_one_piece_or_more(
    peer: OtherClient, bot: Person, size: int
) -> None:
    await bot.says(ADA, "é" * (size // 2))
    events = await peer.does("poll")
    assert "".join(event["body"] for event in events) == "é" * (size // 2)


@pytest.mark.parametrize("size", [0, 1, 541, 100_000, 1_500_000])
async def test_a_file_comes_from_the_other_client(
    peer: OtherClient, bot: Person, size: int
) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    file = {"data": base64.b64encode(data[:size]).decode(), "name": "cat.jpg", "mime": "image/jpeg"}
    await peer.does("say", to=bot.id, text="Look", files=[file])
    (media,) = (await bot.hears()).media
    assert (media.read(), media.name, media.kind) == (data[:size], "cat.jpg", "image")


@pytest.mark.parametrize("size", [0, 1, 541, 100_000, 1_500_000])
async def test_a_file_goes_to_the_other_client(peer: OtherClient, bot: Person, size: int) -> None:
    data = (bytes(range(256)) * (size // 256 + 1))[:size]
    await bot.says(ADA, "Look", media=(Media.from_bytes(data, name="cat.jpg"),))
    ((file,),) = [event["files"] for event in await peer.does("poll")]
    assert (base64.b64decode(file["data"]), file["name"]) == (data, "cat.jpg")
    assert file["mime"] == "image/jpeg"


@pytest.mark.parametrize("remove", [False, True])
async def test_a_reaction_comes_from_the_other_client(
    peer: OtherClient, bot: Person, remove: bool
) -> None:
    await peer.does("react", timestamp=5, author=bot.id, emoji="😂", remove=remove)
    reaction = await bot.sees(Reacted)
    assert (reaction.target, reaction.emoji) == (MessageId(bot.id, 5), "😂")
    assert (reaction.id.author, reaction.removed) == (ADA, remove)


@pytest.mark.parametrize("remove", [False, True])
async def test_a_reaction_goes_to_the_other_client(
    network: LoopbackNetwork, peer: OtherClient, bot: Person, remove: bool
) -> None:
    await bot.channel.react(ADA, f"{ADA}:5", "👍", remove=remove)
    # Its poller drops reactions, so the record is opened with its own cryptography.
    (record,) = await records_for(network, ADA)
    opened = await peer.does("open", record=record)
    assert opened["sender"] == bot.id
    assert f'author: "{ADA}"' in opened["content"]
    assert ("action: REMOVE" if remove else "action: REACT") in opened["content"]


@pytest.mark.parametrize("started", [True, False])
async def test_typing_comes_from_the_other_client(
    peer: OtherClient, bot: Person, started: bool
) -> None:
    await peer.does("type", to=bot.id, started=started)
    assert await bot.sees(TypingSeen) == TypingSeen(ADA, started)


@pytest.mark.parametrize("started", [True, False])
async def test_typing_goes_to_the_other_client(
    peer: OtherClient, bot: Person, started: bool
) -> None:
    await bot.channel.typing(ADA, started=started)
    (event,) = await peer.does("poll")
    assert (event["type"], event["isTyping"]) == ("typing", started)


async def test_a_receipt_comes_from_the_other_client(peer: OtherClient, bot: Person) -> None:
    await peer.does("read", to=bot.id, timestamps=[5, 6])
    assert (await bot.sees(ReadSeen)).targets == (MessageId(bot.id, 5), MessageId(bot.id, 6))


async def test_a_receipt_goes_to_the_other_client(peer: OtherClient, bot: Person) -> None:
    await bot.channel.mark_read(ADA, (f"{ADA}:5", f"{ADA}:6"))
    (event,) = await peer.does("poll")
    assert (event["type"], event["targetTimestamps"]) == ("receipt", [5, 6])


async def test_an_unsend_comes_from_the_other_client(peer: OtherClient, bot: Person) -> None:
    sent = await peer.does("say", to=bot.id, text="Oops")
    await bot.hears()
    hash = sent["syncMessageHash"]
    await peer.does("unsend", to=bot.id, timestamp=sent["timestamp"], hash=hash)
    assert await bot.sees(Unsent) == Unsent(MessageId(ADA, sent["timestamp"]))


async def test_an_unsend_goes_to_the_other_client(peer: OtherClient, bot: Person) -> None:
    (id,) = (await bot.says(ADA, "Oops")).ids
    assert await bot.channel.delete(ADA, id)
    _, event = await peer.does("poll")
    assert (event["type"], event["author"]) == ("unsend", bot.id)
    assert event["targetTimestamp"] == MessageId.parse(id).timestamp


async def test_an_answered_request_comes_from_the_other_client(
    peer: OtherClient, bot: Person
) -> None:
    await peer.does("accept", to=bot.id)
    assert await bot.sees(Approved) == Approved(ADA, "Ada", yes=True)


async def test_an_answered_request_goes_to_the_other_client(peer: OtherClient, bot: Person) -> None:
    await bot.channel.approve(ADA)
    (event,) = await peer.does("poll")
    assert (event["type"], event["isApproved"]) == ("request_response", True)


async def test_a_quote_and_a_name_go_to_the_other_client(
    network: LoopbackNetwork, peer: OtherClient, bot: Person
) -> None:
    await bot.says(ADA, "Yes", reply_to=f"{ADA}:5")
    (record,) = await records_for(network, ADA)
    opened = await peer.does("open", record=record)
    assert 'displayName: "Bob\\\'s bot"' in opened["content"]
    assert "id: 5" in opened["content"]
    assert f'author: "{ADA}"' in opened["content"]


async def test_a_conversation_goes_on_for_a_while(peer: OtherClient, bot: Person) -> None:
    for number in range(10):
        await peer.does("say", to=bot.id, text=f"question {number}")
        await bot.channel.send((await bot.hears()).reply(f"answer {number}"))
        bodies = [event["body"] for event in await peer.does("poll") if event["body"]]
        assert bodies[-1] == f"answer {number}"
