"""An anonymous conversation becomes part of that of the user who was behind it."""

import asyncio
from dataclasses import replace

import pytest

from sessionbot_kit.context import SummaryRules
from sessionbot_kit.errors import (
    SessionEnded,
    SessionError,
    TokenUnknown,
    UsageError,
    VariableQuotaExceeded,
)
from sessionbot_kit.sessions import Conversation, SessionLimits, SessionManager, SessionPolicy
from sessionbot_kit.store import Store
from sessionbot_kit.tokenizer import tokenizer
from tests.sessions.conftest import Begin, Clock

LONG = "This is a long message to test summarization. " * 10


@pytest.fixture
async def two(
    sessions: SessionManager, begin: Begin, clock: Clock
) -> tuple[Conversation, Conversation]:
    """ada, who was here before, and a visitor who says the second and the fourth line."""
    ada, visitor = await begin("ada"), await begin("guest-7")
    for number, session in enumerate((ada, visitor, ada, visitor), 1):
        clock.go(60)
        await sessions.add_message(session.id, "user", f"line {number}")
    return ada, visitor


async def contents(sessions: SessionManager, ref: str) -> list[str]:
    return [row["content"] for row in await sessions.history(ref)]


async def test_the_history_of_both_is_one_in_the_order_in_which_it_was_said(
    sessions: SessionManager, two: tuple[Conversation, Conversation]
) -> None:
    ada, visitor = two
    report = await sessions.merge(visitor.id, ada.id)
    rows = await sessions.history(ada.id)
    assert [row["content"] for row in rows] == ["line 1", "line 2", "line 3", "line 4"]
    assert [row["seq"] for row in rows] == [1, 2, 3, 4]
    assert (report.merged, report.into, report.messages) == (visitor.id, ada.id, 2)


async def test_every_name_of_the_merged_session_names_the_other_one(
    sessions: SessionManager, begin: Begin, two: tuple[Conversation, Conversation]
) -> None:
    ada, visitor = two
    await sessions.merge(visitor.id, ada.id)
    for name in (visitor.id, visitor.seq, visitor.key):
        found = await sessions.get_session(name)
        assert found is not None
        assert found.id == ada.id
    assert (await begin("guest-7")).id == ada.id
    assert (await sessions.get_stats())["total_sessions"] == 1


async def test_the_user_has_the_last_word_on_variables_and_the_report_says_so(
    sessions: SessionManager, two: tuple[Conversation, Conversation]
) -> None:
    ada, visitor = two
    await sessions.set_variables(ada.id, {"name": "Ada", "size": "small"})
    await sessions.set_variables(visitor.id, {"size": "large", "basket": [1]})
    report = await sessions.merge(visitor.id, ada.id)
    assert await sessions.variables(ada.id) == {"name": "Ada", "size": "small", "basket": [1]}
    assert (report.variables, report.conflicts) == (("basket",), ("size",))


async def test_context_counts_and_preferences_are_joined(
    sessions: SessionManager, two: tuple[Conversation, Conversation]
) -> None:
    ada, visitor = two
    await sessions.set_context(ada.id, knowledge=["policies"], llm={"model": "a"})
    await sessions.set_context(visitor.id, knowledge=["products"], llm={"model": "b"})
    await sessions.update_state(visitor.id, {"preferences": {"language": "en"}})
    for session in two:
        await sessions.record_tool_call(session.id)
    await sessions.merge(visitor.id, ada.id)
    merged = await sessions.get_session(ada.id)
    assert merged is not None
    assert (merged.knowledge, merged.llm) == (["policies", "products"], {"model": "a"})
    assert (merged.tool_calls_count, merged.preferences) == (2, {"language": "en"})


async def test_to_merge_again_changes_nothing_and_tells_the_same(
    sessions: SessionManager, two: tuple[Conversation, Conversation]
) -> None:
    ada, visitor = two
    first = await sessions.merge(visitor.id, ada.id)
    before = await sessions.get_session(ada.id)
    assert [await sessions.merge(name, ada.id) for name in (visitor.id, visitor.key)] == [first] * 2
    assert await sessions.get_session(ada.id) == before


async def test_a_session_is_not_merged_with_itself(sessions: SessionManager, begin: Begin) -> None:
    session = await begin()
    with pytest.raises(UsageError, match="cannot be merged with itself; name two sessions"):
        await sessions.merge(session.id, session.seq)


async def test_sessions_of_two_bots_are_not_merged(sessions: SessionManager, begin: Begin) -> None:
    sales, support = await begin(bot="sales"), await begin(bot="support")
    with pytest.raises(SessionError) as error:
        await sessions.merge(sales.id, support.id)
    assert str(error.value) == (
        "session 1 is one of the bot sales and session 2 one of support; "
        "bots share nothing, so merge within one bot"
    )


async def test_nothing_is_merged_into_a_session_that_has_ended(
    sessions: SessionManager, two: tuple[Conversation, Conversation]
) -> None:
    ada, visitor = two
    await sessions.deactivate(ada.id)
    with pytest.raises(SessionEnded, match="session 1 is closed; begin a new one first"):
        await sessions.merge(visitor.id, ada.id)


async def test_a_merge_that_would_be_too_large_changes_nothing(
    store: Store, policy: SessionPolicy, two: tuple[Conversation, Conversation]
) -> None:
    ada, visitor = two
    sessions = SessionManager(store, replace(policy, limits=SessionLimits(variable_bytes=100)))
    await sessions.set_variables(ada.id, {"a": "x" * 60})
    await sessions.set_variables(visitor.id, {"b": "x" * 60})
    with pytest.raises(VariableQuotaExceeded):
        await sessions.merge(visitor.id, ada.id)
    assert await contents(sessions, ada.id) == ["line 1", "line 3"]
    assert await contents(sessions, visitor.id) == ["line 2", "line 4"]


async def test_all_tokens_are_replaced_by_the_one_in_the_report(
    sessions: SessionManager, two: tuple[Conversation, Conversation]
) -> None:
    ada, visitor = two
    old = [await sessions.issue_token(session.id) for session in two]
    report = await sessions.merge(visitor.id, ada.id)
    for token in old:
        with pytest.raises(TokenUnknown):
            await sessions.check_token(token)
    assert (await sessions.check_token(report.token, of=visitor.id)).id == ada.id
    assert report.token not in repr(report)


async def test_what_is_known_of_the_visitor_is_known_of_the_user(
    sessions: SessionManager, two: tuple[Conversation, Conversation]
) -> None:
    ada, visitor = two
    await sessions.remember({"color": "red", "size": 9}, user="guest-7")
    await sessions.remember({"color": "blue"}, user="ada")
    report = await sessions.merge(visitor.id, ada.id)
    assert await sessions.recall(user="ada") == {"color": "blue", "size": 9}
    assert (await sessions.recall(user="guest-7"), report.memories) == ({}, 1)


async def test_what_a_bot_keeps_under_the_old_id_is_found_under_the_new_one(
    sessions: SessionManager, two: tuple[Conversation, Conversation]
) -> None:
    ada, visitor = two
    await sessions.remember({f"last_visit_{visitor.id}": "monday"}, bot="default")
    await sessions.merge(visitor.id, ada.id)
    known = await sessions.recall(bot="default")
    assert known[f"last_visit_{ada.id}"] == known[f"last_visit_{visitor.id}"] == "monday"


async def test_summaries_of_lines_that_move_make_room_for_the_lines(
    store: Store, policy: SessionPolicy, begin: Begin, clock: Clock
) -> None:
    sessions = SessionManager(store, policy)
    ada, visitor = await begin("ada"), await begin("guest-7")
    for number in range(50):
        clock.go(60)
        await sessions.add_message(visitor.id if number == 20 else ada.id, "user", LONG)
    await sessions.merge(visitor.id, ada.id)
    merged = await sessions.get_session(ada.id)
    assert merged is not None
    assert [(s.first, s.last) for s in merged.summaries] == [(1, 17)]
    assert [line.seq for line in merged.messages] == list(range(18, 51))
    assert merged.total_tokens == 34 + 33 * 115


async def test_a_summary_of_cleared_lines_is_carried_over_as_a_line(
    store: Store, policy: SessionPolicy, begin: Begin
) -> None:
    sessions = SessionManager(store, policy)
    ada, visitor = await begin("ada"), await begin("guest-7")
    for _ in range(25):
        await sessions.add_message(visitor.id, "user", LONG)
    await sessions.clear_messages(visitor.id)
    await sessions.merge(visitor.id, ada.id)
    (row,) = await sessions.history(ada.id)
    assert row["role"] == "system"
    assert row["content"].startswith("Previous conversation summary (17 messages):")


async def test_long_histories_are_merged_whole(
    store: Store, policy: SessionPolicy, begin: Begin, clock: Clock
) -> None:
    sessions = SessionManager(store, replace(policy, rules=SummaryRules(token_limit=10**6)))
    ada, visitor = await begin("ada"), await begin("guest-7")
    for number in range(600):
        clock.go(1)
        await sessions.add_message(visitor.id if number % 3 else ada.id, "user", f"{number}")
    await sessions.merge(visitor.id, ada.id)
    assert await contents(sessions, ada.id) == [str(number) for number in range(600)]


async def test_lines_are_counted_again_with_the_tokenizer_of_the_user(
    store: Store, policy: SessionPolicy, begin: Begin
) -> None:
    bpe = SessionManager(store, replace(policy, tokenizer=tokenizer("rs-bpe")))
    sessions = SessionManager(store, policy)
    visitor = await bpe.get_or_create_session(
        interface_type="web", external_user_id="g", external_chat_id="c"
    )
    await bpe.add_message(visitor.id, "user", "x" * 40)
    ada = await begin("ada")
    await sessions.merge(visitor.id, ada.id)
    merged = await sessions.get_session(ada.id)
    assert merged is not None
    assert merged.total_tokens == 10


async def test_what_is_said_during_a_merge_is_not_lost(
    sessions: SessionManager, two: tuple[Conversation, Conversation], clock: Clock
) -> None:
    ada, visitor = two
    clock.go(60)
    async with asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(sessions.add_message(visitor.id, "user", f"v{number}"))
            group.create_task(sessions.add_message(ada.id, "user", f"a{number}"))
        group.create_task(sessions.merge(visitor.id, ada.id))
    said = await contents(sessions, ada.id)
    assert sorted(said[4:]) == sorted([f"v{n}" for n in range(5)] + [f"a{n}" for n in range(5)])
    assert [row["seq"] for row in await sessions.history(ada.id)] == list(range(1, 15))


async def test_a_merged_session_may_be_merged_again(
    sessions: SessionManager, begin: Begin, two: tuple[Conversation, Conversation]
) -> None:
    ada, visitor = two
    await sessions.merge(visitor.id, ada.id)
    owner = await begin("owner")
    await sessions.merge(ada.id, owner.id)
    found = await sessions.get_session(visitor.id)
    assert found is not None
    assert (found.id, found.message_count) == (owner.id, 4)
    assert (await sessions.merge(visitor.id, owner.id)).merged == visitor.id
