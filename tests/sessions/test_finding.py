"""Finding sessions, and beginning them."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from sessionbot_kit.errors import SessionUnknown, UsageError
from sessionbot_kit.models import SessionKey
from sessionbot_kit.sessions import SessionManager
from sessionbot_kit.sessions.conversation import Conversation
from sessionbot_kit.sessions.lifecycle import PROFILES
from sessionbot_kit.sessions.policy import SessionPolicy
from sessionbot_kit.store import Store
from tests.sessions.conftest import Begin, Clock


async def test_the_same_person_in_the_same_place_has_one_session(begin: Begin) -> None:
    assert (await begin()).id == (await begin()).id


@pytest.mark.parametrize(
    "other",
    [{"user": "u2"}, {"interface": "telegram"}, {"chat": "c2"}, {"bot": "support"}],
)
async def test_another_person_place_channel_or_bot_has_another_session(
    begin: Begin, other: dict[str, str]
) -> None:
    assert (await begin()).id != (await begin(**other)).id


async def test_a_conversation_id_makes_sessions_of_their_own_in_one_chat(begin: Begin) -> None:
    one = await begin(conversation_id=999)
    two = await begin(conversation_id=1000)
    assert one.id != two.id
    assert (one.conversation_id, one.external_chat_id, one.external_user_id) == (999, "c1", "u1")
    assert (await begin(conversation_id=999)).id == one.id


async def test_a_session_is_found_by_id_by_number_and_by_key(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await begin()
    found = [await sessions.get_session(ref) for ref in (session.id, session.seq, session.key)]
    assert found == [session] * 3
    assert isinstance(session.seq, int)


async def test_a_session_that_does_not_exist_is_none_and_its_context_is_empty(
    sessions: SessionManager,
) -> None:
    assert await sessions.get_session("nobody") is None
    context = await sessions.build_context(999)
    assert (context.messages, context.total_tokens, context.has_summaries) == ([], 0, False)


async def test_to_speak_in_a_session_that_does_not_exist_is_an_error_that_names_it(
    sessions: SessionManager,
) -> None:
    with pytest.raises(SessionUnknown, match="there is no session 'nobody'"):
        await sessions.add_message("nobody", "user", "hi")


async def test_many_at_once_get_one_session(begin: Begin) -> None:
    found = await asyncio.gather(*(begin() for _ in range(50)))
    assert len({session.id for session in found}) == 1


async def test_a_new_session_takes_what_it_is_given(begin: Begin) -> None:
    session = await begin(
        token_limit=8000,
        expires_in_ms=60_000,
        state={"variables": {"n": 1}, "preferences": {"language": "en"}},
        metadata={"source": "advert"},
    )
    assert (session.token_limit, session.variables, session.preferences) == (
        8000,
        {"n": 1},
        {"language": "en"},
    )
    assert session.metadata["source"] == "advert"
    assert session.expires_at is not None
    assert (session.expires_at - session.created_at).total_seconds() == 60


async def test_what_is_given_for_a_new_session_leaves_an_old_one_alone(
    begin: Begin,
) -> None:
    session = await begin()
    assert await begin(token_limit=1) == session


async def test_an_unknown_part_of_the_state_is_refused(begin: Begin) -> None:
    with pytest.raises(UsageError) as error:
        await begin(state={"moods": {"happy": True}})
    assert str(error.value) == (
        "a session's state has no 'moods'; it has variables, context, preferences"
    )


async def test_a_session_shows_who_what_was_said_and_what_it_has(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await begin("ada", "telegram", "42")
    await sessions.set_variables(session.id, {"size": "large"})
    await sessions.set_context(session.id, knowledge=["menu"], tools=["order"])
    await sessions.add_message(session.id, "user", "Hello!")
    found = await sessions.get_session(session.id)
    assert found is not None
    assert (found.external_user_id, found.interface_type) == ("ada", "telegram")
    assert [line["content"] for line in found.history()] == ["Hello!"]
    assert (found.variables, found.knowledge, found.tools) == (
        {"size": "large"},
        ["menu"],
        ["order"],
    )
    assert (found.key.bot, found.state, found.identity) == ("default", "active", "anonymous")


async def test_the_newest_sessions_are_listed_first(sessions: SessionManager, begin: Begin) -> None:
    for user in "abc":
        await begin(user)
    assert [session.key.user for session in await sessions.list()] == ["c", "b", "a"]
    assert [s.key.user for s in await sessions.list(limit=1, before=3)] == ["b"]
    assert [s.key.user for s in await sessions.list(user="a")] == ["a"]


async def test_active_sessions_are_those_in_which_something_was_said_lately(
    sessions: SessionManager, begin: Begin, clock: Clock
) -> None:
    await sessions.add_message((await begin("early")).id, "user", "hi")
    clock.go(1801)
    await sessions.add_message((await begin("late")).id, "user", "hi")
    assert [session.key.user for session in await sessions.active()] == ["late"]
    assert len(await sessions.active(within_s=3600)) == 2


async def test_statistics_have_the_documented_names(sessions: SessionManager, begin: Begin) -> None:
    for user, interface in (("a", "web"), ("b", "telegram"), ("c", "web")):
        session = await begin(user, interface)
        await sessions.add_message(session.id, "user", "Hello!")
    await sessions.add_message(session.id, "assistant", "Hi")
    await sessions.deactivate((await begin("a")).id)
    assert await sessions.get_stats() == {
        "total_sessions": 3,
        "active_sessions": 2,
        "total_messages": 4,
        "total_tokens": 7,
        "average_session_length": 1.5,
        "sessions_by_interface": {"telegram": 1, "web": 1},
        "cacheSize": 2,
        "cacheHitRate": 1.0,
    }


async def test_statistics_of_nothing_are_zero(sessions: SessionManager) -> None:
    stats = await sessions.get_stats()
    assert (stats["total_sessions"], stats["average_session_length"]) == (0, 0)


async def test_a_session_whose_time_is_over_gives_its_key_to_a_new_one(
    sessions: SessionManager, begin: Begin, clock: Clock
) -> None:
    old = await begin()
    clock.go(days=7)
    new = await begin()
    assert new.id != old.id
    ended = await sessions.get_session(old.id)
    assert ended is not None
    assert ended.state == "expired"


async def test_a_key_never_names_a_session_that_has_ended(
    sessions: SessionManager, begin: Begin
) -> None:
    old = await begin()
    await sessions.deactivate(old.id)
    assert (await begin()).id != old.id


async def test_the_clocks_of_a_bot_win_over_those_of_a_channel_and_of_the_profile(
    store: Store, policy: SessionPolicy
) -> None:
    never, day = PROFILES["cobot"], PROFILES["mybot"]
    sessions = SessionManager(
        store, replace(policy, bot_clocks={"vip": never}, channel_clocks={"web": day})
    )

    async def days(bot: str, interface: str) -> int | None:
        session = await sessions.session_for(SessionKey(bot, interface, "c", "u"))
        return (session.expires_at - session.created_at).days if session.expires_at else None

    places = [("vip", "web"), ("x", "web"), ("x", "irc")]
    assert [await days(*place) for place in places] == [None, 1, 7]


async def test_sessions_in_memory_are_found_without_waiting(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await begin()
    assert isinstance(sessions["web/c1/u1"], Conversation)
    assert sessions[session.seq] == sessions[session.id] == sessions[session.key] == session
    assert sessions._ipython_key_completions_() == ["web/c1/u1"]
    sessions.store.unload()
    with pytest.raises(KeyError, match=r"is not in memory; await sessions.get_session"):
        sessions[session.id]


async def test_more_sessions_than_fit_into_memory_are_unloaded_and_never_refused(
    tmp_path: Path,
) -> None:
    async with SessionManager.open(tmp_path / "memory.db", loaded=3) as sessions:
        for number in range(10):
            session = await sessions.session_for(SessionKey("default", "web", "c", str(number)))
            await sessions.add_message(session.id, "user", f"I am {number}")
        stats = await sessions.get_stats()
        assert (stats["active_sessions"], stats["cacheSize"]) == (10, 3)
        context = await sessions.build_context(1)
        assert context.messages == [{"role": "user", "content": "I am 0"}]
