"""Looks after sessions that nobody speaks in: marks idle ones, ends expired ones, removes old ones.

    cleanup = await sweep(store, policy)            # once
    async with Janitor(store, policy): ...          # every hour, as long as the block runs

A session carries the moment at which something may happen to it, so a sweep reads only those that
are due, and appending a message costs nothing extra. The one rule to remember: **a session that
was written to meanwhile is left alone**; what the sweep decided no longer holds for it.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Final, Self

from sessionbot_kit.errors import StoreConflict
from sessionbot_kit.models import Session
from sessionbot_kit.sessions.lifecycle import look_again_at, state_at
from sessionbot_kit.sessions.policy import SessionPolicy
from sessionbot_kit.sessions.revision import ending, every_line
from sessionbot_kit.sessions.transcript import Transcript
from sessionbot_kit.store import ENDED, Change, Loaded, Store

log = logging.getLogger("sessionbot_kit.session-manager")

BATCH: Final = 200
PAGE: Final = 500
SKEW_S: Final = 3_600

Archive = Callable[[Transcript], Awaitable[None]]
Observe = Callable[[str, Session], None]


@dataclass(frozen=True, slots=True)
class Cleanup:
    """What a sweep has done."""

    expired: int = 0
    inactive: int = 0  # marked idle
    removed: int = 0
    messages: int = 0  # that were too old

    def __add__(self, other: "Cleanup") -> "Cleanup":
        return Cleanup(
            self.expired + other.expired,
            self.inactive + other.inactive,
            self.removed + other.removed,
            self.messages + other.messages,
        )


async def sweep(
    store: Store,
    policy: SessionPolicy,
    *,
    archive: Archive | None = None,
    observe: Observe | None = None,
) -> Cleanup:
    """Settle every session that is due. `archive` gets each conversation before it is removed."""
    now = policy.clock()
    total = Cleanup()
    busy: set[str] = set()
    while due := [s for s in await store.due(now, limit=BATCH + len(busy)) if s.id not in busy]:
        for session in due:
            loaded = await store.load(session.id)
            if loaded is None:
                continue
            try:
                done = await _settle(store, policy, loaded, now, archive)
            except StoreConflict:
                busy.add(session.id)
                log.debug("session was busy", extra={"session": session.id})
                continue
            total += done
            if observe is not None and (done.expired or done.inactive):
                observe("session.expire" if done.expired else "session.idle", loaded.session)
    if total != Cleanup():
        log.info("sessions cleaned", extra={"expired": total.expired, "removed": total.removed})
    return total


async def _settle(
    store: Store, policy: SessionPolicy, loaded: Loaded, now: datetime, archive: Archive | None
) -> Cleanup:
    session = loaded.session
    clocks = policy.clocks_of(session)
    change = Change(session.id, if_version=session.version, if_last_seq=loaded.last_seq)
    state = state_at(session, clocks, now)
    if session.state in ENDED:
        again = look_again_at(session, clocks)
        if again is None or again > now:
            await store.change(replace(change, expires_at=again))
            return Cleanup()
        if archive is not None:
            lines = await every_line(store, session.id)
            await archive(Transcript(session, tuple(lines), loaded.summaries))
        await store.change(replace(change, remove=True))
        return Cleanup(removed=1)
    if state == "expired":
        end = ending(policy, session, "lapsed", now)
        await store.change(replace(end, if_last_seq=loaded.last_seq, if_no_inbox=True))
        return Cleanup(expired=1)
    return await _age(store, policy, loaded, now, change)


async def _age(
    store: Store, policy: SessionPolicy, loaded: Loaded, now: datetime, change: Change
) -> Cleanup:
    session = loaded.session
    clocks = policy.clocks_of(session)
    state = state_at(session, clocks, now)
    through, messages = 0, 0
    oldest: datetime | None = None
    if clocks.message_expires_after_s is not None:
        limit = now - timedelta(seconds=clocks.message_expires_after_s)
        through, messages, oldest = await _outdated(store, session.id, limit)
    if through:
        kept = tuple(summary for summary in loaded.summaries if summary.last > through)
        change = replace(change, forget_through=through, summaries=kept, metadata=session.metadata)
    settled = session.model_copy(update={"state": state})
    again = look_again_at(settled, clocks, oldest=oldest)
    noticed = None if state == session.state else state
    await store.change(replace(change, state=noticed, expires_at=again))
    return Cleanup(inactive=int(noticed == "idle"), messages=messages)


async def _outdated(
    store: Store, session_id: str, limit: datetime
) -> tuple[int, int, datetime | None]:
    """The last number that is too old, how many there are, and when the next line was said."""
    through = count = 0
    while page := await store.messages(session_id, after=through, limit=PAGE):
        for line in page:
            if line.timestamp > limit:
                return through, count, line.timestamp
            through, count = line.seq, count + 1
    return through, count, None


class Janitor:
    """Sweeps once when it begins, and then as often as the policy says."""

    def __init__(
        self,
        store: Store,
        policy: SessionPolicy,
        *,
        archive: Archive | None = None,
        observe: Observe | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._policy = policy
        self._every_s = policy.sweep_every_s
        self._at = policy.sweep_at
        self._archive = archive
        self._observe = observe
        self._sleep = sleep
        self._monotonic = monotonic
        self._seen: tuple[datetime, float] | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.run(), name="janitor")  # parent: __aexit__
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await self.tick()
            await self._sleep(self.pause())

    async def tick(self) -> Cleanup:
        """Sweep once, unless the clock has leapt: a wrong clock ends nobody's session."""
        wall, steady = self._policy.clock(), self._monotonic()
        before, self._seen = self._seen, (wall, steady)
        if before is not None:
            skew = (wall - before[0]).total_seconds() - (steady - before[1])
            if abs(skew) > SKEW_S:
                log.warning("the clock leapt; sweep left out", extra={"seconds": round(skew)})
                return Cleanup()
        try:
            return await sweep(
                self._store, self._policy, archive=self._archive, observe=self._observe
            )
        except Exception:  # a scheduled job: the next one may succeed
            log.exception("sweep failed")
            return Cleanup()

    def pause(self) -> float:
        """Seconds until the next sweep."""
        if self._at is None:
            return self._every_s
        now = self._policy.clock().astimezone(UTC)
        then = datetime.combine(now.date(), self._at, UTC)
        return ((then if then > now else then + timedelta(days=1)) - now).total_seconds()
