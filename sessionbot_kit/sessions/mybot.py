"""For people who come from MyBot: the calls under the names that they know.

    sessions = MyBotSessions(manager)
    session = await sessions.getOrCreateSession(
        {"conversation_id": 123, "interface_type": "telegram",
         "external_user_id": "user_123", "external_chat_id": "chat_456"}
    )
    await sessions.addMessage(session.id, "user", "Hello!")
    context = await sessions.buildContext(session.id, 20)   # {messages, totalTokens, hasSummaries}

The same manager lies behind it, so both may be used side by side. The one rule to remember: what
answered `undefined` there answers None here; everything else that goes wrong is an error.
"""

from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

from sessionbot_kit.errors import SessionUnknown
from sessionbot_kit.models import Role
from sessionbot_kit.sessions.conversation import Conversation
from sessionbot_kit.sessions.manager import SessionManager
from sessionbot_kit.tokenizer import CHARS

Answer = TypeVar("Answer")


def estimateTokens(text: str) -> int:
    return CHARS.count(text)


class MyBotSessions:
    """MyBot's `SessionManager`, name for name."""

    def __init__(self, manager: SessionManager) -> None:
        self.manager = manager

    async def getOrCreateSession(self, params: Mapping[str, Any]) -> Conversation:
        return await self.manager.get_or_create_session(**params)

    async def getSession(self, id: int | str) -> Conversation | None:
        return await self.manager.get_session(id)

    async def addMessage(
        self,
        id: int | str,
        role: Role,
        content: str,
        metadata: Mapping[str, Any] | None = None,
    ) -> Conversation | None:
        return await _known(self.manager.add_message(id, role, content, metadata))

    async def buildContext(self, id: int | str, maxMessages: int = 20) -> dict[str, Any]:
        window = await self.manager.build_context(id, maxMessages)
        return {
            "messages": window.messages,
            "totalTokens": window.total_tokens,
            "hasSummaries": window.has_summaries,
        }

    async def summarizeSession(self, id: int | str) -> Conversation | None:
        return await _known(self.manager.summarize(id))

    async def clearMessages(self, id: int | str) -> Conversation | None:
        return await _known(self.manager.clear_messages(id))

    async def updateState(
        self, id: int | str, state: Mapping[str, Mapping[str, Any]]
    ) -> Conversation | None:
        return await _known(self.manager.update_state(id, state))

    async def recordToolCall(self, id: int | str) -> Conversation | None:
        return await _known(self.manager.record_tool_call(id))

    async def recordError(self, id: int | str) -> Conversation | None:
        return await _known(self.manager.record_error(id))

    async def deactivateSession(self, id: int | str) -> bool:
        return await _known(self.manager.deactivate(id)) or False

    async def rolloverSession(
        self, id: int | str, metadata: Mapping[str, Any] | None = None
    ) -> Conversation | None:
        return await _known(self.manager.rollover(id, metadata))

    async def getStats(self) -> dict[str, Any]:
        return await self.manager.get_stats()

    async def cleanup(self) -> dict[str, int]:
        done = await self.manager.cleanup()
        return {"expired": done.expired, "inactive": done.inactive}


async def _known(call: Awaitable[Answer]) -> Answer | None:
    try:
        return await call
    except SessionUnknown:
        return None
