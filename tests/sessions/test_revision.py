"""Somebody else is faster: what was decided is decided again."""

from collections.abc import Awaitable, Callable

import pytest

from sessionbot_kit.errors import StoreConflict
from sessionbot_kit.sessions import SessionManager, SessionPolicy
from sessionbot_kit.sessions.revision import TRIES
from sessionbot_kit.store import NewMessage
from tests.sessions.conftest import Begin, Clock
from tests.sessions.meanwhile import meanwhile

LONG = "This is a long message to test summarization. " * 10

Late = Callable[..., SessionManager]


@pytest.fixture
def late(sessions: SessionManager, policy: SessionPolicy) -> Late:
    """A manager whose first changes come too late."""

    def late(happens: Callable[[], Awaitable[object]], times: int = 1) -> SessionManager:
        return SessionManager(meanwhile(sessions.store, happens, times=times), policy)

    return late


async def test_a_change_that_comes_too_late_is_decided_again(
    sessions: SessionManager, begin: Begin, late: Late
) -> None:
    session = await begin()
    manager = late(lambda: sessions.set_variables(session.id, {"a": 1}))
    assert (await manager.set_variables(session.id, {"b": 2})).variables == {"a": 1, "b": 2}


async def test_who_is_always_too_late_is_told(
    sessions: SessionManager, begin: Begin, late: Late
) -> None:
    session = await begin()
    manager = late(lambda: sessions.record_tool_call(session.id), times=99)
    with pytest.raises(StoreConflict, match="was changed meanwhile"):
        await manager.set_variables(session.id, {"b": 2})
    after = await sessions.get_session(session.id)
    assert after is not None
    assert (after.variables, after.tool_calls_count) == ({}, TRIES)


async def test_a_merge_takes_in_what_is_said_at_the_last_moment(
    sessions: SessionManager, begin: Begin, late: Late, clock: Clock
) -> None:
    ada, guest = await begin("ada"), await begin("guest")
    line = NewMessage("user", "wait!", clock.now, 2)
    manager = late(lambda: sessions.store.append(guest.id, [line]))
    assert (await manager.merge(guest.id, ada.id)).messages == 1
    assert [row["content"] for row in await sessions.history(ada.id)] == ["wait!"]


async def test_a_merge_that_is_always_too_late_changes_nothing(
    sessions: SessionManager, begin: Begin, late: Late
) -> None:
    ada, guest = await begin("ada"), await begin("guest")
    manager = late(lambda: sessions.record_tool_call(guest.id), times=99)
    with pytest.raises(StoreConflict):
        await manager.merge(guest.id, ada.id)
    assert (await sessions.get_stats())["total_sessions"] == 2


async def test_a_transfer_keeps_what_is_changed_at_the_last_moment(
    sessions: SessionManager, begin: Begin, late: Late
) -> None:
    session = await begin()
    manager = late(lambda: sessions.record_tool_call(session.id))
    moved = await manager.transfer(session.id, "email", "ada@example.org")
    assert (moved.session.tool_calls_count, moved.session.interface_type) == (1, "email")


async def test_a_transfer_that_is_always_too_late_changes_nothing(
    sessions: SessionManager, begin: Begin, late: Late
) -> None:
    session = await begin()
    manager = late(lambda: sessions.record_tool_call(session.id), times=99)
    with pytest.raises(StoreConflict):
        await manager.transfer(session.id, "email", "ada@example.org")
    assert (await begin()).id == session.id


async def test_a_summary_that_comes_too_late_is_written_again_later(
    sessions: SessionManager, begin: Begin, late: Late
) -> None:
    session = await begin()
    manager = late(lambda: sessions.record_tool_call(session.id))
    for _ in range(25):
        session = await manager.add_message(session.id, "user", LONG)
    assert session.summaries == ()
    session = await manager.add_message(session.id, "user", LONG)
    assert [(s.first, s.last) for s in session.summaries] == [(1, 18)]


async def test_many_short_lines_are_summarized_from_the_disk(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await begin()
    for _ in range(281):
        session = await sessions.add_message(session.id, "user", "x" * 40)
    (summary,) = session.summaries
    assert (summary.first, summary.last) == (1, 196)
    assert summary.text.startswith("Previous conversation summary (196 messages):")


async def test_a_session_lives_on_that_is_spoken_to_as_it_is_about_to_expire(
    sessions: SessionManager, begin: Begin, late: Late, clock: Clock
) -> None:
    session = await sessions.add_message((await begin()).id, "user", "hi")
    clock.go(days=8)
    line = NewMessage("user", "I am here", clock.now, 2)
    manager = late(lambda: sessions.store.append(session.id, [line]))
    again = await manager.session_for(session.key)
    assert (again.id, again.state, again.message_count) == (session.id, "active", 2)
