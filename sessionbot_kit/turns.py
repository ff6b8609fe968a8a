"""One turn at a time in each session, in order of arrival; sessions side by side.

    a row from the inbox -> its session's queue -> answered (`answering.py`), however often it takes

A session that is silent costs nothing: a queue exists only while something is in it. A turn whose
kernel died is offered again; the second time it runs alone, so that it can harm nobody else, and
when it has ended its process three times while alone it is set aside. How often is counted on the
disk, but only from the second try on: a turn that goes well pays nothing for it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from sessionbot_kit.answering import Answering
from sessionbot_kit.bounds import Bounds
from sessionbot_kit.crew import Crew
from sessionbot_kit.errors import LinkClosed, RateLimited, StaleLease, StoreConflict, StoreError
from sessionbot_kit.events import Failed, Feed
from sessionbot_kit.logs import correlated
from sessionbot_kit.store import InboxRow, Store
from sessionbot_kit.switchboard import KernelLeft
from sessionbot_kit.timers import Clock

log = logging.getLogger(__name__)

FIRST_WAIT_S: Final = 0.1
LONGEST_WAIT_S: Final = 30.0
RETRY_S: Final = 10.0

ALONE_FROM: Final = 2  # the second time that it is offered again
DEATHS_ALONE: Final = 3


@dataclass(slots=True)
class _Queue:
    rows: deque[InboxRow] = field(default_factory=deque)
    empty: asyncio.Future[None] | None = None  # somebody waits for it
    suspect: bool = False  # its first row may have ended the process before
    refused: dict[str, str] = field(default_factory=dict)  # rows by id, with what to say instead


class Turns:
    """Answers what is in the inbox."""

    def __init__(
        self,
        store: Store,
        answering: Answering,
        feed: Feed,
        clock: Clock,
        bounds: Bounds,
        *,
        after: Callable[[str], None] = lambda session_id: None,
    ) -> None:
        self._store = store
        self._answering = answering
        self._feed = feed
        self._clock = clock
        self._after = after
        self._crew = Crew("turns")
        self._queues: dict[str, _Queue] = {}
        self._bounds = bounds
        self._waiting = 0
        self._room: asyncio.Future[None] | None = None  # somebody waits until there is some

    async def room(self, session_id: str) -> None:
        """Wait while too many turns wait in all; refuse one more of a session with too many."""
        while self._waiting >= self._bounds.turns:
            if self._room is None or self._room.done():
                self._room = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._room)
        queue = self._queues.get(session_id)
        if queue is not None and len(queue.rows) >= self._bounds.turns_per_session:
            raise RateLimited(
                f"{len(queue.rows):,} messages of this session wait for their answers; "
                "send this one again when some are answered",
                retry_after=RETRY_S,
            )

    def take_up(self, rows: Iterable[InboxRow], *, crashed: bool) -> None:
        """Go on with what was left; after a crash, the first of each session may be the reason."""
        for row in rows:
            self.add(row, suspect=crashed and row.session_id not in self._queues)

    def add(self, row: InboxRow, *, suspect: bool = False, refusal: str | None = None) -> None:
        """Answer a row after those that its session has waiting; a refused one is not run."""
        self._waiting += 1
        queue = self._queues.get(row.session_id)
        begins = queue is None
        if queue is None:
            queue = self._queues[row.session_id] = _Queue(suspect=suspect)
        queue.rows.append(row)
        if refusal is not None:
            queue.refused[row.id] = refusal
        if begins:
            self._crew.start(self._work(row.session_id, queue), f"session {row.session_id}")

    async def settle(self, session_id: str | None = None) -> None:
        """Wait until a session, or every session, is answered; raises what holds it up."""
        ids = list(self._queues) if session_id is None else [session_id]
        for one in ids:
            if (queue := self._queues.get(one)) is not None:
                if queue.empty is None or queue.empty.done():
                    queue.empty = asyncio.get_running_loop().create_future()
                await asyncio.shield(queue.empty)

    async def stop(self, *, drain_s: float = 0.0) -> None:
        """Give running turns a moment; what is not answered stays in the inbox."""
        await self._crew.stop(drain_s=drain_s)
        await self._answering.stop()
        self._queues.clear()

    def __len__(self) -> int:
        return self._waiting

    def _make_room(self, count: int) -> None:
        self._waiting -= count
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    async def _work(self, session_id: str, queue: _Queue) -> None:
        try:
            while queue.rows:
                row = queue.rows[0]
                private = [row.message.content]
                try:
                    with correlated(row.id, private=private, session_id=session_id):
                        await self._answer(queue)
                except Exception:  # a turn is a boundary: the next message must be answered
                    log.exception("turn broke off", extra={"turn": row.id})
                queue.rows.popleft()
                self._make_room(1)
                queue.refused.pop(row.id, None)
                self._after(session_id)
                queue.suspect = False
        finally:
            del self._queues[session_id]
            self._make_room(len(queue.rows))
            if queue.empty is not None and not queue.empty.done():
                queue.empty.set_result(None)

    async def _answer(self, queue: _Queue) -> None:
        """Answer the first row, however often the kernel dies or the store is away."""
        row, died, tries = queue.rows[0], queue.suspect, 0
        wait_s = FIRST_WAIT_S
        while True:
            try:
                if (refusal := queue.refused.get(row.id)) is not None:
                    return await self._answering.refuse(row, refusal)
                if died:
                    if row.attempts >= ALONE_FROM + DEATHS_ALONE - 1:
                        return await self._answering.set_aside(row)
                    # One that waits for a kernel has killed nobody, however often we die.
                    await self._answering.wait_for_kernels(row)
                    row = replace(row, attempts=await self._store.attempt(row.id))
                    died = False
                tries += 1
                alone = row.attempts >= ALONE_FROM
                return await self._answering.answer(row, attempt=tries, alone=alone)
            except LinkClosed as error:
                log.warning("turn is offered again", extra={"turn": row.id, "error": str(error)})
                died = not isinstance(error, KernelLeft)
            except StaleLease as error:
                _tell(queue, error)
                raise
            except StoreConflict:
                raise
            except StoreError as error:
                log.error("turn waits for the store", extra={"turn": row.id, "error": str(error)})
                self._feed.tell(Failed(turn=row.id, session=row.session_id, error=str(error)))
                _tell(queue, error)
                await self._clock.sleep_until(self._clock.now() + timedelta(seconds=wait_s))
                wait_s = min(wait_s * 2, LONGEST_WAIT_S)


def _tell(queue: _Queue, error: StoreError) -> None:
    if queue.empty is not None and not queue.empty.done():
        queue.empty.set_exception(error)
