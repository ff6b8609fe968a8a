"""What is said in a session: lines go in, a context for a language model comes out.

    await sessions.add_message(session.id, "user", "Hello!")
    context = await sessions.build_context(session.id, 20, token_budget=3000)

The one rule to remember: a line is on the disk when `add_message` returns, whatever becomes of
the summary that it may have set off.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, get_args

from pydantic import JsonValue

from sessionbot_kit.context import ContextWindow, build_window
from sessionbot_kit.errors import UsageError
from sessionbot_kit.models import Media, Role, mend_text
from sessionbot_kit.sessions.conversation import Conversation, conversation, counted, lines
from sessionbot_kit.sessions.finding import Finding
from sessionbot_kit.sessions.policy import SessionPolicy
from sessionbot_kit.sessions.revision import every_line, found
from sessionbot_kit.sessions.summarizing import due, shortened
from sessionbot_kit.store import Change, Loaded, NewMessage, SessionRef, Store

ROLES: Final[tuple[str, ...]] = get_args(Role)


class Talking(Finding):
    """Adds lines, counts what happened beside them, and gives them back."""

    def __init__(self, store: Store, policy: SessionPolicy | None = None) -> None:
        super().__init__(store, policy)
        self._summarizing: set[str] = set()

    async def add_message(
        self,
        ref: SessionRef,
        role: Role,
        content: str,
        metadata: Mapping[str, JsonValue] | None = None,
        *,
        media: Sequence[Media] = (),
        timestamp: datetime | None = None,
    ) -> Conversation:
        """Add one line, and summarize what has become too much. The session as it is then."""
        if role not in ROLES:
            raise UsageError(f"there is no role {role!r}; choose one of {', '.join(ROLES)}")
        self.policy.limits.check_media(media)
        session = (await self._living(ref)).session
        content = mend_text(content)
        line = NewMessage(
            role=role,
            content=content,
            timestamp=timestamp or self.policy.clock(),
            tokens=self.policy.tokenizer_of(session).count(content),
            media=tuple(media),
            metadata=metadata or {},
        )
        await self.store.append(session.id, [line])
        return await self.summarize(session.id)

    async def summarize(self, ref: SessionRef) -> Conversation:
        """Summarize what has become too much, if something has; for those who append elsewhere."""
        return conversation(await self._shortened(ref), self.policy)

    def is_long(self, session_id: str) -> bool:
        """Whether `summarize` may have something to do; a session not in memory has to be read."""
        if session_id in self._summarizing:
            return False
        loaded = self.store.loaded().get(session_id)
        return loaded is None or due(self.policy, loaded) is not None

    def count_tokens(self, session_id: str, text: str) -> int:
        """How many tokens a line of a session has, by the tokenizer of that session."""
        loaded = self.store.loaded().get(session_id)
        policy = self.policy
        counter = policy.tokenizer if loaded is None else policy.tokenizer_of(loaded.session)
        return counter.count(text)

    async def _shortened(self, ref: SessionRef) -> Loaded:
        loaded = await found(self.store, ref)
        session_id = loaded.session.id
        if session_id in self._summarizing:  # somebody waits for its summary already
            return loaded
        self._summarizing.add(session_id)
        try:
            return await shortened(self.store, self.policy, loaded)
        finally:
            self._summarizing.discard(session_id)

    async def build_context(
        self, ref: SessionRef, max_messages: int = 20, token_budget: int | None = None
    ) -> ContextWindow:
        """What a language model gets to read; nothing, for a session that does not exist."""
        loaded = await self.store.load(ref)
        if loaded is None:
            return ContextWindow()
        most = min(max_messages, self.policy.limits.history)
        live = loaded.tail[max(0, len(loaded.tail) - loaded.live_messages) :]
        if len(live) < min(most, loaded.live_messages):
            live = await self.store.tail(loaded.session.id, min(most, loaded.live_messages))
        return build_window(
            loaded.summaries,
            live,
            live_messages=loaded.live_messages,
            max_messages=most,
            token_budget=token_budget,
            counter=self.policy.tokenizer_of(loaded.session),
        )

    async def history(self, ref: SessionRef, *, limit: int | None = None) -> list[dict[str, Any]]:
        """Every line, oldest first, as plain dicts; `limit` takes the newest so many."""
        session_id = (await found(self.store, ref)).session.id
        if limit is None:
            return lines(await every_line(self.store, session_id))
        return lines(await self.store.tail(session_id, limit))

    async def clear_messages(
        self, ref: SessionRef, *, include_summaries: bool = False
    ) -> Conversation:
        """Forget what was said. Variables, context and, unless asked, the summaries stay."""

        def decide(loaded: Loaded) -> list[Change]:
            metadata = loaded.session.metadata
            return [
                Change(
                    loaded.session.id,
                    forget_through=loaded.last_seq,
                    summaries=() if include_summaries else None,
                    # A summary that is being written now must not bring it back.
                    metadata={**metadata, "clears": counted(metadata, "clears") + 1},
                )
            ]

        return await self._revised(ref, decide)

    async def record_tool_call(self, ref: SessionRef, name: str | None = None) -> Conversation:
        """Count a call of a tool, and under its own name too."""

        def decide(loaded: Loaded) -> list[Change]:
            metadata = dict(loaded.session.metadata)
            metadata["tool_calls_count"] = counted(metadata, "tool_calls_count") + 1
            if name is not None:
                calls = metadata.get("tool_calls")
                calls = dict(calls) if isinstance(calls, dict) else {}
                metadata["tool_calls"] = {**calls, name: counted(calls, name) + 1}
            return [Change(loaded.session.id, metadata=metadata)]

        return await self._revised(ref, decide)

    async def record_error(
        self, ref: SessionRef, error: BaseException | None = None
    ) -> Conversation:
        """Count an error, and keep the kind of the last one."""

        def decide(loaded: Loaded) -> list[Change]:
            metadata = dict(loaded.session.metadata)
            metadata["error_count"] = counted(metadata, "error_count") + 1
            if error is not None:  # not its text, which may quote what a person said
                metadata["last_error"] = type(error).__name__
            return [Change(loaded.session.id, metadata=metadata)]

        return await self._revised(ref, decide)
