"""What people do other than write, in the words of the house."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sessionbot_kit.bot import Bot
from sessionbot_kit.channel import Signal
from sessionbot_kit.channels.session_messenger.channel import SessionMessenger
from sessionbot_kit.channels.session_messenger.events import (
    Approved,
    Event,
    MessageId,
    Reacted,
    ReadSeen,
    Said,
    TypingSeen,
    Unsent,
)
from sessionbot_kit.channels.session_messenger.identity import Identity
from sessionbot_kit.channels.session_messenger.loopback import LoopbackNetwork, Person
from sessionbot_kit.channels.session_messenger.pace import Pace
from sessionbot_kit.channels.session_messenger.signals import signals_of
from sessionbot_kit.events import Signaled, Watch
from sessionbot_kit.plugins.echo import echo

ADA, BOT = "05" + "a" * 64, "05" + "b" * 64
THEN = datetime(2026, 1, 2, 9, 0, tzinfo=UTC)
ID, TARGET = MessageId(ADA, int(THEN.timestamp() * 1000)), MessageId(BOT, 7)


def told(event: Event) -> list[tuple[str, str | None, str, bool]]:
    signals = signals_of(event, account="work")
    who = {(one.channel_type, one.channel_id, one.sender_id, one.account) for one in signals}
    assert who <= {("session_messenger", ADA, ADA, "work")}
    return [(one.kind, one.message_id, one.content, one.removed) for one in signals]


@pytest.mark.parametrize("removed", [False, True])
def test_a_reaction_names_what_it_is_to_and_when(removed: bool) -> None:
    event = Reacted(ID, TARGET, "\U0001f44d", removed)
    assert told(event) == [("reacted", str(TARGET), "\U0001f44d", removed)]
    (signal,) = signals_of(event, account="default")
    assert signal.at == THEN


def test_a_receipt_is_a_signal_for_each_message() -> None:
    other = MessageId(BOT, 8)
    event = ReadSeen(ADA, (TARGET, other))
    assert told(event) == [("read", str(TARGET), "", False), ("read", str(other), "", False)]


def test_what_is_taken_back_is_deleted() -> None:
    assert told(Unsent(ID)) == [("deleted", str(ID), "", False)]


@pytest.mark.parametrize("started", [False, True])
def test_typing_begins_and_stops(started: bool) -> None:
    assert told(TypingSeen(ADA, started)) == [("typing", None, "", not started)]


@pytest.mark.parametrize("event", [Said(ID, "Ada", "Hello"), Approved(ADA, "Ada", yes=True)])
def test_words_and_answered_requests_are_no_signals(event: Event) -> None:
    assert told(event) == []


async def test_whoever_watches_a_bot_sees_a_reaction(bob: Identity, tmp_path: Path) -> None:
    async with LoopbackNetwork() as network, Person("Ada", network) as ada:
        pace = Pace(fast_s=0.02, slow_s=0.02)
        channel = SessionMessenger(bob, folder=tmp_path, pace=pace, **network.address)
        async with Bot(echo, channels=[channel]) as bot:
            await ada.says(channel.session_id, "!echo Hello")
            answer = await ada.hears()
            watch = bot.feed.open()
            await ada.channel.react(channel.session_id, answer.id, "\U0001f44d")
            signal = await next_signal(watch)
    assert (signal.kind, signal.message_id, signal.content) == ("reacted", answer.id, "\U0001f44d")


async def next_signal(watch: Watch) -> Signal:
    async with asyncio.timeout(10):
        while not isinstance(event := await watch.next(), Signaled):
            continue
    return event.signal
