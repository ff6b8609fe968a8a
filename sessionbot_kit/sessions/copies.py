"""Conversations made of conversations: a fork, one that was exported, one that goes on afresh.

    tried = await fork(store, policy, session.id, at=12)     # what if, from line 12 on

The one rule to remember: a copy shares nothing with what it was made of.
"""

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from sessionbot_kit.context import Summary
from sessionbot_kit.errors import SessionError, StoreConflict
from sessionbot_kit.models import Session, SessionKey, StoredMessage
from sessionbot_kit.sessions.conversation import spelled
from sessionbot_kit.sessions.lifecycle import ENDED_KEY
from sessionbot_kit.sessions.policy import SessionPolicy
from sessionbot_kit.sessions.revision import ending, every_line, found, revise
from sessionbot_kit.sessions.transcript import Transcript
from sessionbot_kit.sessions.weave import notes, renewed
from sessionbot_kit.store import Change, Loaded, NewSession, SessionRef, Store


async def fork(
    store: Store,
    policy: SessionPolicy,
    ref: SessionRef,
    *,
    at: int | None = None,
    key: SessionKey | None = None,
) -> str:
    """Copy a conversation up to the line `at`; the id of the copy."""
    loaded = await found(store, ref)
    session = loaded.session
    lines = await every_line(store, session.id)
    if at is not None:
        lines = [line for line in lines if line.seq <= at]
    summaries = [summary for summary in loaded.summaries if at is None or summary.last <= at]
    new = policy.new_id()
    key = key or session.key._replace(chat=f"{session.key.chat}#fork-{new}")
    origin: dict[str, JsonValue] = {"id": session.id, "at": lines[-1].seq if lines else 0}
    await _make(store, policy, new, key, session, lines, summaries, {"forked_from": origin})
    return new


async def restore(
    store: Store, policy: SessionPolicy, transcript: Transcript, *, key: SessionKey | None = None
) -> str:
    """Bring an exported conversation in; the id of the new session."""
    new = policy.new_id()
    session = transcript.session
    origin: dict[str, JsonValue] = {"imported_from": session.id}
    lines = list(transcript.messages)
    await _make(
        store, policy, new, key or session.key, session, lines, transcript.summaries, origin
    )
    return new


async def _make(
    store: Store,
    policy: SessionPolicy,
    new: str,
    key: SessionKey,
    like: Session,
    lines: list[StoredMessage],
    summaries: Sequence[Summary],
    origin: Mapping[str, JsonValue],
) -> None:
    # The copy counts from 1. Where the original has lost lines, its summaries become lines.
    whole = bool(lines) and lines[0].seq == 1
    told = () if whole or not lines else notes(summaries, lines, first=lines[0].seq)
    metadata = {name: value for name, value in like.metadata.items() if name not in OWN}
    change = Change(
        new,
        new=NewSession(
            key,
            identity=like.identity,
            variables=like.variables,
            context=like.context,
            metadata={**metadata, **origin},
            created_at=policy.clock(),
            expires_at=policy.clock(),
        ),
        append=(*told, *(renewed(line) for line in lines)),
        summaries=tuple(summaries) if whole else (),
        last_activity=policy.clock(),
    )
    try:
        await store.change(change)
    except StoreConflict as error:
        raise SessionError(
            f"there is a session of the key {spelled(key)} already; give another with key="
        ) from error


# What belongs to one session alone.
OWN = frozenset({ENDED_KEY, "merged", "forked_from", "imported_from", "rolled_over_from"})


async def rollover(
    store: Store, policy: SessionPolicy, ref: SessionRef, metadata: Mapping[str, JsonValue] | None
) -> str:
    """End a session and go on in a new one with the same key, variables and context; its id."""
    new = policy.new_id()
    now = policy.clock()

    def decide(loaded: Loaded) -> list[Change]:
        session = loaded.session
        kept = {name: value for name, value in session.metadata.items() if name not in OWN}
        kept |= {"rolled_over_from": session.id, "reason": "context_limit", **(metadata or {})}
        begins = NewSession(
            session.key,
            identity=session.identity,
            variables=session.variables,
            context=session.context,
            metadata=kept,
            created_at=now,
            expires_at=now,
        )
        return [ending(policy, session, "closed", now), Change(new, new=begins)]

    await revise(store, ref, decide)
    return new
