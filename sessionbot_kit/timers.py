"""Durable time: what is to happen later waits in the store, and its row comes into the inbox then.

    timers = Timers(store, clock, turns.add)
    timers.start()                   # what ran out while nobody was here, comes now
    timers.expect(due)               # a turn has written a timer down

A timer becomes an inbox row in one transaction, so it runs out once, whenever the process dies.
One rule to remember: nobody asks the clock again and again; we wait for the earliest timer.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from sessionbot_kit.crew import Crew
from sessionbot_kit.errors import StoreError
from sessionbot_kit.ids import new_id
from sessionbot_kit.store import InboxRow, Store, Timer

log = logging.getLogger(__name__)

LONGEST_SLEEP_S: Final = 60.0
FIRST_WAIT_S: Final = 0.1
LONGEST_WAIT_S: Final = 30.0


class Clock(Protocol):
    """What time it is, and the passing of it."""

    def now(self) -> datetime: ...

    async def sleep_until(self, moment: datetime) -> None: ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep_until(self, moment: datetime) -> None:
        # The loop's clock stands still while a laptop sleeps, and this one may be set: for what
        # is due much later, look again after a while.
        while (left := (moment - self.now()).total_seconds()) > 0:  # noqa: ASYNC110 - no event
            await asyncio.sleep(min(left, LONGEST_SLEEP_S))


class Timers:
    """Waits for the timer that runs out first."""

    def __init__(self, store: Store, clock: Clock, fire: Callable[[InboxRow], None]) -> None:
        self._store = store
        self._clock = clock
        self._fire = fire
        self._crew = Crew("timers")
        self._next: datetime | None = None
        self._sooner = asyncio.Event()
        self._settled = asyncio.Event()  # nothing is due; set while we wait

    def start(self) -> None:
        """Begin with what has run out already."""
        self._crew.start(self._work(), "clock")

    async def stop(self) -> None:
        await self._crew.stop()

    def expect(self, due: datetime) -> None:
        """A timer was written down."""
        if self._next is None or due < self._next:
            self._settled.clear()
            self._sooner.set()

    async def settle(self) -> None:
        """Return when everything that has run out is in the inbox."""
        while not self._settled.is_set() or self._is_due():
            self._settled.clear()
            await self._settled.wait()

    def _is_due(self) -> bool:
        return self._next is not None and self._next <= self._clock.now()

    async def _work(self) -> None:
        wait_s = FIRST_WAIT_S
        while True:
            try:
                await self._round()
                wait_s = FIRST_WAIT_S
            except StoreError as error:
                log.error("timers wait for the store", extra={"error": str(error)})
                await self._clock.sleep_until(self._clock.now() + timedelta(seconds=wait_s))
                wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    async def _round(self) -> None:
        """Fire what is due, then wait for what comes next."""
        self._next = None
        self._settled.clear()
        self._sooner.clear()
        coming = await self._store.timers()
        now = self._clock.now()
        due = [timer for timer in coming if timer.due <= now]
        for timer in due:
            await self._run_out(timer)
        if due:
            return
        self._next = coming[0].due if coming else None
        if not self._sooner.is_set():  # else another one was written down as we looked
            self._settled.set()
        if self._next is None:
            await self._sooner.wait()
        else:
            await before(self._clock, self._next, self._sooner, self._crew)

    async def _run_out(self, timer: Timer) -> None:
        row = InboxRow(new_id(), timer.session_id, timer.message, kind=timer.kind)
        if await self._store.fire(timer, row):
            log.info("timer ran out", extra={"timer": timer.id, "kind": timer.kind})
            self._fire(row)


async def before(clock: Clock, moment: datetime, event: asyncio.Event, crew: Crew) -> bool:
    """Wait for an event, but not longer than until a moment; True if it came."""
    asleep = crew.start(clock.sleep_until(moment), "sleep")
    coming = crew.start(event.wait(), "event")
    try:
        await asyncio.wait((asleep, coming), return_when=asyncio.FIRST_COMPLETED)
    finally:
        asleep.cancel()
        coming.cancel()
    return event.is_set()
