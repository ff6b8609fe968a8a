"""Sessions in which nobody speaks become idle, expire, and are removed."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, time

import pytest

from sessionbot_kit.models import IncomingMessage, Session, SessionKey
from sessionbot_kit.sessions import Cleanup, Clocks, Conversation, SessionManager, SessionPolicy
from sessionbot_kit.sessions.janitor import Janitor, sweep
from sessionbot_kit.sessions.transcript import Transcript
from sessionbot_kit.store import InboxRow, NewMessage, Store
from tests.sessions.conftest import Begin, Clock
from tests.sessions.meanwhile import meanwhile

HALF_AN_HOUR, WEEK, MONTH = 1_800, 604_800, 2_592_000


@pytest.fixture
async def talk(sessions: SessionManager, begin: Begin) -> Conversation:
    session = await begin()
    return await sessions.add_message(session.id, "user", "hi")


async def state(sessions: SessionManager, ref: str) -> str | None:
    """What is written down, which is what other programs see."""
    session = await sessions.store.session(ref)
    return None if session is None else session.state


async def test_a_quiet_session_becomes_idle_then_expires_and_is_removed_in_the_end(
    sessions: SessionManager, talk: Conversation, clock: Clock
) -> None:
    seen = []
    for wait in (0, HALF_AN_HOUR, WEEK - HALF_AN_HOUR, MONTH):
        clock.go(wait)
        seen.append((await sessions.cleanup(), await state(sessions, talk.id)))
    assert seen == [
        (Cleanup(), "active"),
        (Cleanup(inactive=1), "idle"),
        (Cleanup(expired=1), "expired"),
        (Cleanup(removed=1), None),
    ]


async def test_a_sweep_that_comes_late_does_the_same(
    sessions: SessionManager, talk: Conversation, clock: Clock
) -> None:
    clock.go(WEEK)
    assert await sessions.cleanup() == Cleanup(expired=1)


async def test_a_sweep_changes_nothing_before_it_is_time(
    sessions: SessionManager, talk: Conversation, clock: Clock
) -> None:
    clock.go(HALF_AN_HOUR - 1)
    assert [await sessions.cleanup() for _ in range(2)] == [Cleanup()] * 2


async def test_who_speaks_again_is_active_and_waits_as_long_as_before(
    sessions: SessionManager, talk: Conversation, clock: Clock
) -> None:
    clock.go(WEEK - 1)
    await sessions.cleanup()
    await sessions.add_message(talk.id, "user", "I am back")
    assert await state(sessions, talk.id) == "active"
    clock.go(WEEK - 1)
    await sessions.cleanup()
    assert await state(sessions, talk.id) == "idle"


async def test_a_user_who_logged_in_is_idle_but_never_expires(
    sessions: SessionManager, talk: Conversation, clock: Clock
) -> None:
    await sessions.login(talk.id, "ada")
    clock.go(100 * WEEK)
    await sessions.cleanup()
    assert await state(sessions, talk.id) == "idle"
    assert await sessions.store.due(clock.now) == []


async def test_a_sweep_reads_only_what_is_due(
    sessions: SessionManager, talk: Conversation, begin: Begin, clock: Clock
) -> None:
    await sessions.cleanup()
    clock.go(60)
    await begin("late")
    assert [session.key.user for session in await sessions.store.due(clock.now)] == ["late"]


async def test_old_messages_go_and_their_summaries_with_them(
    store: Store, policy: SessionPolicy, begin: Begin, clock: Clock
) -> None:
    day = Clocks(message_expires_after_s=86_400)
    sessions = SessionManager(store, replace(policy, clocks=day))
    session = await begin()
    for _ in range(30):
        await sessions.add_message(session.id, "user", "This is a long message. " * 20)
    clock.go(80_000)
    await sessions.add_message(session.id, "user", "still new")
    clock.go(7_000)
    assert await sessions.cleanup() == Cleanup(inactive=1, messages=30)
    after = await sessions.get_session(session.id)
    assert after is not None
    assert (after.summaries, [line.seq for line in after.messages]) == ((), [31])
    assert [s.expires_at for s in await store.sessions()] == [
        after.messages[0].timestamp.replace(day=4)
    ]


async def test_an_archive_gets_a_conversation_before_it_is_removed(
    sessions: SessionManager, talk: Conversation, clock: Clock
) -> None:
    kept: list[Transcript] = []

    async def archive(transcript: Transcript) -> None:
        kept.append(transcript)

    for wait in (WEEK, MONTH):
        clock.go(wait)
        await sessions.cleanup(archive=archive)
    assert [line.content for line in kept[0].messages] == ["hi"]


async def test_what_could_not_be_archived_is_not_removed(
    sessions: SessionManager, talk: Conversation, clock: Clock
) -> None:
    async def broken(transcript: Transcript) -> None:
        raise OSError("no room")

    clock.go(WEEK)
    await sessions.cleanup()
    clock.go(MONTH)
    with pytest.raises(OSError, match="no room"):
        await sessions.cleanup(archive=broken)
    assert await state(sessions, talk.id) == "expired"


async def test_an_observer_is_told_what_happened(
    sessions: SessionManager, talk: Conversation, clock: Clock
) -> None:
    told: list[str] = []

    def observe(event: str, session: Session) -> None:
        told.append(f"{event} {session.key.user}")

    for wait in (HALF_AN_HOUR, WEEK):
        clock.go(wait)
        await sessions.cleanup(observe=observe)
    assert told == ["session.idle u1", "session.expire u1"]


async def test_a_session_that_is_written_to_meanwhile_does_not_expire(
    sessions: SessionManager, talk: Conversation, clock: Clock, policy: SessionPolicy
) -> None:
    store = sessions.store
    clock.go(WEEK)

    async def speak() -> None:
        await store.append(talk.id, [NewMessage("user", "wait!", clock.now)])

    cleanup = await sweep(meanwhile(store, speak), policy)
    assert cleanup == Cleanup()
    found = await sessions.get_session(talk.id)
    assert found is not None
    assert (found.state, found.message_count) == ("active", 2)


async def test_a_session_whose_message_waits_for_an_answer_does_not_expire(
    sessions: SessionManager, talk: Conversation, clock: Clock
) -> None:
    clock.go(WEEK)
    message = IncomingMessage(
        id="1",
        channel_type="web",
        channel_id="c1",
        sender_id="u1",
        sender_name="Ada",
        content="hello?",
        timestamp=clock.now,
    )
    await sessions.store.accept(InboxRow("i1", talk.id, message))
    assert await sessions.cleanup() == Cleanup()
    assert await state(sessions, talk.id) == "active"
    again = await sessions.session_for(talk.key)
    assert again.id == talk.id


async def test_many_sessions_are_swept_in_one_go(
    sessions: SessionManager, clock: Clock, begin: Begin
) -> None:
    for number in range(450):
        await sessions.store.session_for(SessionKey("default", "web", "c", str(number)))
        session = await sessions.store.session(number + 1)
        assert session is not None
        await sessions.add_message(session.id, "user", "hi")
    clock.go(WEEK)
    assert await sessions.cleanup() == Cleanup(expired=450)
    assert (await sessions.get_stats())["active_sessions"] == 0


class Nap:
    """Sleep that ends when the test says so, and tells how long it was to be."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[float] = asyncio.Queue()
        self.wake = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        await self.asked.put(seconds)
        await self.wake.wait()
        self.wake.clear()


async def test_a_janitor_sweeps_at_once_and_then_every_hour(
    sessions: SessionManager, talk: Conversation, clock: Clock, policy: SessionPolicy
) -> None:
    nap = Nap()
    clock.go(HALF_AN_HOUR)
    async with Janitor(sessions.store, policy, sleep=nap, monotonic=lambda: clock.now.timestamp()):
        assert await nap.asked.get() == 3_600
        assert await state(sessions, talk.id) == "idle"
        clock.go(WEEK)
        nap.wake.set()
        await nap.asked.get()
        assert await state(sessions, talk.id) == "expired"


def test_a_janitor_may_wait_for_a_quiet_hour(store: Store, policy: SessionPolicy) -> None:
    assert Janitor(store, replace(policy, sweep_at=time(3, 5))).pause() == 55
    assert Janitor(store, replace(policy, sweep_at=time(3, 0))).pause() == 86_400 - 245


@pytest.mark.parametrize("days", [400, -400])
async def test_a_clock_that_leaps_ends_nobodys_session(
    sessions: SessionManager,
    talk: Conversation,
    clock: Clock,
    policy: SessionPolicy,
    days: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    janitor = Janitor(sessions.store, policy, monotonic=lambda: 0.0)
    await janitor.tick()
    clock.go(days=days)
    assert await janitor.tick() == Cleanup()
    assert await state(sessions, talk.id) == "active"
    assert [r.message for r in caplog.records] == ["the clock leapt; sweep left out"]


async def test_a_clock_that_jumps_back_loses_nothing(
    sessions: SessionManager, talk: Conversation, clock: Clock
) -> None:
    clock.now = datetime(2020, 1, 1, tzinfo=UTC)
    after = await sessions.add_message(talk.id, "user", "earlier?")
    assert await sessions.cleanup() == Cleanup()
    assert [line.content for line in after.messages] == ["hi", "earlier?"]
    assert (await sessions.build_context(talk.id)).omitted == 0


async def test_a_sweep_that_fails_is_tried_again(
    sessions: SessionManager,
    talk: Conversation,
    clock: Clock,
    policy: SessionPolicy,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fails = [OSError("no room")]

    async def archive(transcript: Transcript) -> None:
        if fails:
            raise fails.pop()

    clock.go(WEEK)
    await sessions.cleanup()
    clock.go(MONTH)
    janitor = Janitor(sessions.store, policy, archive=archive, monotonic=lambda: 0.0)
    assert await janitor.tick() == Cleanup()
    assert "sweep failed" in caplog.messages
    assert await janitor.tick() == Cleanup(removed=1)


async def test_an_error_in_the_block_of_a_janitor_is_seen_as_it_is(
    sessions: SessionManager, policy: SessionPolicy
) -> None:
    with pytest.raises(KeyError):
        async with Janitor(sessions.store, policy):
            raise KeyError("mine")
