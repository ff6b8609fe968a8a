"""Finds sessions by any of their names, and begins them.

    session = await sessions.get_or_create_session(
        interface_type="telegram", external_user_id="u1", external_chat_id="c1"
    )
    session == await sessions.get_session(session.id) == await sessions.get_session(session.seq)

The one rule to remember: a key names the session that lives; when its time is over a new one
begins under the same key, and the old one keeps its id and its number.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import JsonValue

from sessionbot_kit.errors import SessionEnded, StoreConflict, UsageError
from sessionbot_kit.models import SessionKey
from sessionbot_kit.sessions.conversation import Conversation, SessionTable, as_of, conversation
from sessionbot_kit.sessions.lifecycle import TTL_KEY, state_at
from sessionbot_kit.sessions.policy import SessionPolicy
from sessionbot_kit.sessions.revision import TRIES, Decide, ending, found, revise
from sessionbot_kit.store import ENDED, Loaded, NewSession, SessionRef, State, Store
from sessionbot_kit.tokenizer import CHARS

ACTIVE_S: Final = 1_800
LIVING: Final[tuple[State, ...]] = ("new", "active", "idle")
STATE_PARTS: Final = ("variables", "context", "preferences")


class Finding:
    """What knows where sessions are."""

    def __init__(self, store: Store, policy: SessionPolicy | None = None) -> None:
        self.store = store
        self.policy = policy or SessionPolicy()

    async def get_or_create_session(
        self,
        *,
        interface_type: str,
        external_user_id: str,
        external_chat_id: str,
        conversation_id: str | int | None = None,
        bot: str | None = None,
        token_limit: int | None = None,
        expires_in_ms: int | None = None,
        state: Mapping[str, Mapping[str, JsonValue]] | None = None,
        metadata: Mapping[str, JsonValue] | None = None,
    ) -> Conversation:
        """The conversation of this person in this place, begun if there is none.

        What is given for a new one is left alone when there is one already.
        """
        facts: dict[str, JsonValue] = dict(metadata or {})
        chat = external_chat_id
        if conversation_id is not None:
            facts |= {"conversation_id": conversation_id, "external_chat_id": chat}
            chat = f"{chat}#{conversation_id}"
        if token_limit is not None:
            facts["token_limit"] = token_limit
        if expires_in_ms is not None:
            facts[TTL_KEY] = expires_in_ms / 1000
        parts = state_parts(state or {})
        if "preferences" in parts:
            facts["preferences"] = dict(parts["preferences"])
        key = SessionKey(bot or self.policy.bot, interface_type, chat, external_user_id)
        return await self.session_for(
            key,
            new=NewSession(
                key,
                variables=parts.get("variables", {}),
                context=parts.get("context", {}),
                metadata=facts,
            ),
        )

    async def session_for(self, key: SessionKey, *, new: NewSession | None = None) -> Conversation:
        """The living session of a key; one whose time is over ends here, and a new one begins."""
        for _ in range(TRIES):
            now = self.policy.clock()
            begin = self._begun(new or NewSession(key), now)
            session = await self.store.session_for(key, now=now, new=begin)
            loaded = await found(self.store, session.id)
            if state_at(loaded.session, self.policy.clocks_of(session), now) != "expired":
                break
            end = ending(self.policy, loaded.session, "lapsed", now)
            with suppress(StoreConflict):  # somebody has just written to it: then it lives
                await self.store.change(replace(end, if_last_seq=loaded.last_seq, if_no_inbox=True))
        return conversation(loaded, self.policy)

    def _begun(self, new: NewSession, now: datetime) -> NewSession:
        self.policy.limits.check_variables(new.variables)
        name = self.policy.tokenizer.name
        metadata = new.metadata if name == CHARS.name else {**new.metadata, "tokenizer": name}
        # Due at once: the janitor sets its clock.
        return replace(
            new, id=self.policy.new_id(), metadata=metadata, created_at=now, expires_at=now
        )

    async def get_session(self, ref: SessionRef) -> Conversation | None:
        """The session of this id, number or key, or None."""
        loaded = await self.store.load(ref)
        return None if loaded is None else conversation(loaded, self.policy)

    async def list(
        self,
        *,
        limit: int = 100,
        before: int | None = None,
        bot: str | None = None,
        interface: str | None = None,
        user: str | None = None,
        states: Collection[State] | None = None,
        active_since: datetime | None = None,
    ) -> SessionTable:
        """The newest sessions; `before` is the number to go on from."""
        rows = await self.store.sessions(
            limit=limit,
            before=before,
            bot=bot,
            interface=interface,
            user=user,
            states=states,
            active_since=active_since,
        )
        return SessionTable(as_of(session, self.policy) for session in rows)

    async def active(self, *, within_s: float = ACTIVE_S, limit: int = 100) -> SessionTable:
        """Sessions in which something was said lately."""
        since = self.policy.clock() - timedelta(seconds=within_s)
        alive = await self.list(active_since=since, states=LIVING, limit=limit)
        return SessionTable(session for session in alive if session.state not in ENDED)

    async def get_stats(self) -> dict[str, Any]:
        """How much there is, under the names that are documented."""
        stats = await self.store.stats()
        return {
            "total_sessions": stats.sessions,
            "active_sessions": stats.active,
            "total_messages": stats.messages,
            "total_tokens": stats.tokens,
            "average_session_length": stats.active_messages / (stats.active or 1),
            "sessions_by_interface": dict(stats.by_interface),
            "cacheSize": len(self.store.loaded()),
            "cacheHitRate": round(stats.hits / ((stats.hits + stats.misses) or 1), 3),
        }

    async def _living(self, ref: SessionRef) -> Loaded:
        loaded = await found(self.store, ref)
        session = loaded.session
        state = state_at(session, self.policy.clocks_of(session), self.policy.clock())
        if state in ENDED:
            raise SessionEnded(
                f"session {session.seq} is {state}; get_or_create_session begins the next one"
            )
        return loaded

    async def _revised(self, ref: SessionRef, decide: Decide) -> Conversation:
        await revise(self.store, ref, decide)
        return conversation(await found(self.store, ref), self.policy)


def state_parts(
    state: Mapping[str, Mapping[str, JsonValue]],
) -> Mapping[str, Mapping[str, JsonValue]]:
    """The parts of a session's state, if they are all known."""
    for name in state:
        if name not in STATE_PARTS:
            raise UsageError(f"a session's state has no {name!r}; it has {', '.join(STATE_PARTS)}")
    return state
