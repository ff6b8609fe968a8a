"""`/api/sessions`: MyBot's actions and shapes; and, without an action, BotServer's.

    GET  /api/sessions?stats=true
    POST /api/sessions {"action": "addMessage", "sessionId": 7, "data": {"role": "user", ...}}

A session is named by its number or by its id. The one rule to remember: this is the administrator's
view, so it needs the admin token; a visitor's own session is `/api/session`.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from sessionbot_kit.errors import SessionUnknown
from sessionbot_kit.ids import new_id
from sessionbot_kit.models import Role, StoredMessage
from sessionbot_kit.rest.exchange import Answer, json_answer
from sessionbot_kit.rest.operations import Ask
from sessionbot_kit.rest.problems import Problem
from sessionbot_kit.rest.shapes import MAX_SEQ, SessionsAction
from sessionbot_kit.rest.visits import copy_of, lines_of
from sessionbot_kit.sessions import Conversation
from sessionbot_kit.sessions.finding import LIVING
from sessionbot_kit.store import Change

MAX_CONTENT_CHARS: Final = 500_000
_UNKNOWN: Final = "Session not found"

Data = TypeVar("Data", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _NewMessage(_Strict):
    role: Role
    content: str = Field(max_length=MAX_CONTENT_CHARS)
    metadata: dict[str, JsonValue] = Field(default_factory=dict)


class _NewSession(_Strict):
    interface_type: str = Field("web", min_length=1, max_length=100)
    external_user_id: str = Field("admin", min_length=1, max_length=400)
    external_chat_id: str = Field("admin", min_length=1, max_length=400)
    token_limit: int | None = Field(None, ge=1, le=10**9)
    expires_in_ms: int | None = Field(None, ge=1, le=10**13)
    state: dict[str, dict[str, JsonValue]] | None = None
    metadata: dict[str, JsonValue] | None = None


class _Context(_Strict):
    maxMessages: int = Field(20, ge=1, le=10_000)


async def look(ask: Ask) -> Answer:
    """One session, the statistics, or all that are active."""
    query, sessions = ask.request.query, ask.room.sessions
    if query.get("stats") == "true":
        return json_answer({"success": True, "data": await sessions.get_stats()})
    if "id" in query:
        session = await sessions.get_session(_reference(query["id"], "Invalid session ID"))
        return _one(_there(session))
    if "conversationId" in query:
        return _one(_there(await _of_conversation(ask, query["conversationId"])))
    limit = ask.request.query_number("limit", 100, most=500)
    before = ask.request.query_number("cursor", MAX_SEQ, most=MAX_SEQ)
    found = await sessions.list(limit=limit + 1, before=before, states=LIVING)
    shown = [_there(await sessions.get_session(session.id)) for session in found[:limit]]
    return json_answer(
        {
            "success": True,
            "data": [agent_session(session) for session in shown],
            "count": len(shown),
            "next_cursor": str(shown[-1].seq) if len(found) > limit else None,
        }
    )


async def act(ask: Ask) -> Answer:
    """Do one of MyBot's actions, or begin a session as BotServer does."""
    wish = await ask.request.document(SessionsAction)
    if wish.action is None:
        return await _begin_as_botserver(ask)
    action = _ACTIONS.get(wish.action)
    if action is None:
        raise Problem(400, "unknown_action", "Unknown action")
    return await action(ask, wish)


async def remove(ask: Ask) -> Answer:
    """Remove a session with all that was said in it."""
    if "id" not in ask.request.query:
        raise Problem(400, "invalid", "Session ID is required")
    ref = _reference(ask.request.query["id"], "Invalid session ID")
    session = await ask.room.sessions.get_session(ref)
    if session is None:
        raise Problem(404, "session_unknown", "Session not found or already deleted")
    await ask.room.sessions.store.change(Change(session.id, remove=True, if_no_inbox=True))
    return json_answer({"success": True})


async def lines(ask: Ask) -> Answer:
    return await lines_of(ask, (await _named(ask)).id)


async def copy(ask: Ask) -> Answer:
    return await copy_of(ask, (await _named(ask)).id)


async def _named(ask: Ask) -> Conversation:
    ref = _reference(ask.request.params["id"], "Invalid session ID")
    return _there(await ask.room.sessions.get_session(ref))


# The actions


async def _create(ask: Ask, wish: SessionsAction) -> Answer:
    if wish.conversationId is None:
        raise Problem(400, "invalid", "conversationId is required")
    new = _data(wish, _NewSession)
    session = await ask.room.sessions.get_or_create_session(
        conversation_id=wish.conversationId, bot=ask.room.bot.name, **new.model_dump()
    )
    return _one(session)


async def _add_message(ask: Ask, wish: SessionsAction) -> Answer:
    ref = _wanted(wish)
    line = _data(wish, _NewMessage)
    sessions = ask.room.sessions
    return _one(await _known(sessions.add_message(ref, line.role, line.content, line.metadata)))


async def _clear_messages(ask: Ask, wish: SessionsAction) -> Answer:
    return _one(await _known(ask.room.sessions.clear_messages(_wanted(wish))))


async def _update_state(ask: Ask, wish: SessionsAction) -> Answer:
    state: dict[str, Mapping[str, JsonValue]] = {}
    for name, part in (wish.data or {}).items():
        if not isinstance(part, dict):
            raise Problem(400, "invalid", f"data.{name[:40]} is no object")
        state[name] = part
    return _one(await _known(ask.room.sessions.update_state(_wanted(wish), state)))


async def _deactivate(ask: Ask, wish: SessionsAction) -> Answer:
    ended = await _known(ask.room.sessions.deactivate(_wanted(wish)))
    return json_answer({"success": ended})


async def _cleanup(ask: Ask, wish: SessionsAction) -> Answer:
    await ask.room.sessions.cleanup()
    return json_answer({"success": True, "message": "Cleanup initiated"})


async def _build_context(ask: Ask, wish: SessionsAction) -> Answer:
    ref = _wanted(wish)
    count = _data(wish, _Context).maxMessages
    # A session that is not known has an empty context, as in MyBot.
    window = await ask.room.sessions.build_context(ref, count)
    data = {
        "messages": window.messages,
        "totalTokens": window.total_tokens,
        "hasSummaries": window.has_summaries,
    }
    return json_answer({"success": True, "data": data})


_ACTIONS: Final[Mapping[str, Callable[[Ask, SessionsAction], Awaitable[Answer]]]] = {
    "create": _create,
    "addMessage": _add_message,
    "clearMessages": _clear_messages,
    "updateState": _update_state,
    "deactivate": _deactivate,
    "cleanup": _cleanup,
    "buildContext": _build_context,
}


async def _begin_as_botserver(ask: Ask) -> Answer:
    visitor = new_id()
    session = await ask.room.sessions.get_or_create_session(
        interface_type="web",
        external_user_id=visitor,
        external_chat_id=visitor,
        bot=ask.room.bot.name,
    )
    return json_answer(
        {
            "session_id": session.id,
            "title": "New Conversation",
            "created_at": session.created_at.isoformat(),
        }
    )


# What they share


def agent_session(session: Conversation) -> dict[str, Any]:
    """A session as MyBot shows it."""
    asked = sum(line.tokens for line in session.messages if line.role == "user")
    all_tokens = sum(line.tokens for line in session.messages)
    return {
        "id": session.seq,
        "uuid": session.id,
        "conversation_id": session.conversation_id,
        "interface_type": session.interface_type,
        "external_user_id": session.external_user_id,
        "external_chat_id": session.external_chat_id,
        "messages": [_message(line) for line in session.messages],
        "summaries": [
            {
                "text": summary.text,
                "messages_summarized": summary.messages,
                "created_at": _ms(summary.created_at),
                "tokens": summary.tokens,
            }
            for summary in session.summaries
        ],
        "state": {
            "preferences": dict(session.preferences),
            "context": dict(session.context),
            "variables": dict(session.variables),
        },
        "total_tokens": session.total_tokens,
        "input_tokens": asked,
        "output_tokens": all_tokens - asked,
        "token_limit": session.token_limit,
        "last_active_at": _ms(session.last_activity),
        "created_at": _ms(session.created_at),
        "expires_at": None if session.expires_at is None else _ms(session.expires_at),
        "is_active": session.is_active,
        "message_count": session.message_count,
        "tool_calls_count": session.tool_calls_count,
        "error_count": session.error_count,
        "metadata": dict(session.metadata),
    }


def _message(line: StoredMessage) -> dict[str, Any]:
    return {
        "role": line.role,
        "content": line.content,
        "timestamp": _ms(line.timestamp),
        "tokens": line.tokens,
        "metadata": line.metadata,
    }


def _ms(moment: Any) -> int:
    return int(moment.timestamp() * 1000)


def _one(session: Conversation) -> Answer:
    return json_answer({"success": True, "data": agent_session(session)})


def _there(session: Conversation | None) -> Conversation:
    if session is None:
        raise Problem(404, "session_unknown", _UNKNOWN)
    return session


async def _of_conversation(ask: Ask, conversation_id: str) -> Conversation | None:
    wanted = conversation_id[:600]
    for session in await ask.room.sessions.list(limit=500, states=LIVING):
        if str(session.metadata.get("conversation_id")) == wanted:
            return await ask.room.sessions.get_session(session.id)
    return None


def _reference(text: str, complaint: str) -> int | str:
    """A number or an id; not what only looks like one."""
    if text.isascii() and text.isdecimal():
        number = int(text[:20])
        if not 1 <= number <= MAX_SEQ:
            raise Problem(400, "invalid", complaint)
        return number
    if not 32 <= len(text) <= 40 or not text.isascii() or not text.replace("-", "").isalnum():
        raise Problem(400, "invalid", complaint)
    return text


def _wanted(wish: SessionsAction) -> int | str:
    if wish.sessionId is None:
        raise Problem(400, "invalid", "sessionId is required")
    if isinstance(wish.sessionId, int):
        return wish.sessionId
    return _reference(wish.sessionId, "Invalid session ID")


def _data(wish: SessionsAction, model: type[Data]) -> Data:
    try:
        return model.model_validate(wish.data or {})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(("data", *map(str, first["loc"])))
        raise Problem(400, "invalid", f"{where}: {first['msg']}") from None


_Result = TypeVar("_Result")


async def _known(call: Awaitable[_Result]) -> _Result:
    try:
        return await call
    except SessionUnknown:
        raise Problem(404, "session_unknown", _UNKNOWN) from None
