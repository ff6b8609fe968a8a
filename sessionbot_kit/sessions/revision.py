"""Read, decide, write; and once more if somebody else was faster.

    await revise(store, ref, lambda loaded: [Change(loaded.session.id, state="closed")])

What was decided rests on what was read, so each change asks that the session is still the one
that was read. The one rule to remember: **decide only from what you are given**, because it may
be asked of you again.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from sessionbot_kit.errors import SessionUnknown, StoreConflict
from sessionbot_kit.models import Session, StoredMessage
from sessionbot_kit.sessions.conversation import spelled
from sessionbot_kit.sessions.lifecycle import ENDED_KEY, Event, follow, look_again_at
from sessionbot_kit.sessions.policy import SessionPolicy
from sessionbot_kit.store import Change, Loaded, SessionRef, Store

TRIES: Final = 10
PAGE: Final = 1_000

Decide = Callable[[Loaded], Sequence[Change]]


async def found(store: Store, ref: SessionRef) -> Loaded:
    """The session of this name; SessionUnknown if there is none."""
    loaded = await store.load(ref)
    if loaded is None:
        name = spelled(ref) if isinstance(ref, tuple) else repr(ref)
        raise SessionUnknown(f"there is no session {name}; `sessionbot sessions list` shows them")
    return loaded


async def revise(store: Store, ref: SessionRef, decide: Decide) -> Session | None:
    """Change a session as `decide` says; no change, no write. Returns it as it is then."""
    for attempt in range(1, TRIES + 1):
        loaded = await found(store, ref)
        changes = tuple(decide(loaded))
        if not changes:
            return loaded.session
        first = replace(changes[0], if_version=loaded.session.version)
        try:
            return (await store.change(first, *changes[1:]))[0]
        except StoreConflict:
            if attempt == TRIES:
                raise
            store.unload(loaded.session.id)
    raise AssertionError("unreachable")


def ending(policy: SessionPolicy, session: Session, event: Event, now: datetime) -> Change:
    """What ends a session, and lets the janitor come for it later."""
    ended = session.model_copy(
        update={
            "state": follow(session.state, event),
            "metadata": {**session.metadata, ENDED_KEY: now.isoformat()},
        }
    )
    return Change(
        session.id,
        if_version=session.version,
        state=ended.state,
        metadata=ended.metadata,
        expires_at=look_again_at(ended, policy.clocks_of(session)),
    )


async def every_line(store: Store, session_id: str, *, after: int = 0) -> list[StoredMessage]:
    """All lines of a conversation with a higher number, oldest first."""
    lines: list[StoredMessage] = []
    while page := await store.messages(session_id, after=after, limit=PAGE):
        lines += page
        after = page[-1].seq
    return lines
