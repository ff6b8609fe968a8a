"""The calls that people who come from MyBot know."""

import pytest

from sessionbot_kit.sessions import SessionManager
from sessionbot_kit.sessions.mybot import MyBotSessions, estimateTokens

PLACE = {
    "conversation_id": 999,
    "interface_type": "test",
    "external_user_id": "test_user",
    "external_chat_id": "test_chat",
}
LONG = "This is a long message to test summarization. " * 10


@pytest.fixture
def mybot(sessions: SessionManager) -> MyBotSessions:
    return MyBotSessions(sessions)


async def test_the_documented_session_test_gives_its_numbers(mybot: MyBotSessions) -> None:
    session = await mybot.getOrCreateSession(PLACE)
    for number in range(5):
        await mybot.addMessage(session.id, "user", f"Test message {number}")
        await mybot.addMessage(session.id, "assistant", f"Response {number}")
    updated = await mybot.getSession(session.seq)
    assert updated is not None
    assert (updated.message_count, updated.total_tokens) == (10, 35)
    for _ in range(50):
        await mybot.addMessage(session.id, "user", LONG)
    updated = await mybot.getSession(session.id)
    assert updated is not None
    assert (len(updated.summaries), len(updated.messages)) == (2, 19)


async def test_a_context_has_the_documented_names(mybot: MyBotSessions) -> None:
    session = await mybot.getOrCreateSession(PLACE)
    await mybot.addMessage(session.id, "user", "Hello!", {"from": "test"})
    assert await mybot.buildContext(session.id, 20) == {
        "messages": [{"role": "user", "content": "Hello!"}],
        "totalTokens": 2,
        "hasSummaries": False,
    }
    assert await mybot.buildContext(12345) == {
        "messages": [],
        "totalTokens": 0,
        "hasSummaries": False,
    }


async def test_what_is_recorded_cleared_updated_and_closed_is_seen(mybot: MyBotSessions) -> None:
    session = await mybot.getOrCreateSession(PLACE)
    await mybot.addMessage(session.id, "user", "Hello!")
    await mybot.recordToolCall(session.id)
    await mybot.recordError(session.id)
    await mybot.updateState(session.id, {"variables": {"n": 1}})
    cleared = await mybot.clearMessages(session.id)
    assert cleared is not None
    assert (cleared.tool_calls_count, cleared.error_count, cleared.variables) == (1, 1, {"n": 1})
    new = await mybot.rolloverSession(session.id)
    assert new is not None
    assert await mybot.deactivateSession(new.id)
    assert (await mybot.getStats())["active_sessions"] == 0
    assert await mybot.cleanup() == {"expired": 0, "inactive": 0}


async def test_what_was_undefined_is_none(mybot: MyBotSessions) -> None:
    assert await mybot.getSession(77) is None
    assert await mybot.addMessage(77, "user", "hi") is None
    assert await mybot.recordToolCall(77) is None
    assert await mybot.recordError(77) is None
    assert await mybot.summarizeSession(77) is None
    assert await mybot.clearMessages(77) is None
    assert await mybot.updateState(77, {}) is None
    assert await mybot.rolloverSession(77) is None
    assert not await mybot.deactivateSession(77)


def test_tokens_are_estimated_as_before() -> None:
    assert [estimateTokens(text) for text in ("", "Hello!", LONG)] == [0, 2, 115]
