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
from datetime import UTC, datetime
from typing import Final, Protocol

from sessionbot_kit.crew import Crew
from sessionbot_kit.errors import StoreError
from sessionbot_kit.ids import new_id
from sessionbot_kit.store import InboxRow, Store, Timer

log = logging.getLogger(__name__)

# The loop's clock stands still while a laptop sleeps, and the wall clock may be set: look again
# after a while when something is due much later.
LONGEST_SLEEP_S: Final = 60.0
FIRST_WAIT_S: Final = 0.1
LONGEST_WAIT_S: Final = 30.0


class Clock(Protocol):
    """What time it is, and the passing of it."""

    def now(self) -> datetime: ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Timers:
    """Waits for the timer that runs out first."""

    def __init__(self, store: Store, clock: Clock, fire: Callable[[InboxRow], None]) -> None:
        self._store = store
        self._clock = clock
        self._fire = fire
        self._crew = Crew("timers")
        self._next: datetime | None = None
        self._sooner = asyncio.Event()

    def start(self) -> None:
        """Begin with what has run out already."""
        self._crew.start(self._work(), "clock")

    async def stop(self) -> None:
        await self._crew.stop()

    def expect(self, due: datetime) -> None:
        """A timer was written down."""
        if self._next is None or due < self._next:
            self._sooner.set()

    async def _work(self) -> None:
        wait_s = FIRST_WAIT_S
        while True:
            try:
                await self._round()
                wait_s = FIRST_WAIT_S
            except StoreError as error:
                log.error("timers wait for the store", extra={"error": str(error)})
                await self._clock.sleep(wait_s)
                wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    async def _round(self) -> None:
        """Fire what is due, then wait for what comes next."""
        self._next = None
        self._sooner.clear()
        coming = await self._store.timers()
        now = self._clock.now()
        due = [timer for timer in coming if timer.due <= now]
        for timer in due:
            await self._run_out(timer)
        if due:
            return
        self._next = coming[0].due if coming else None
        if self._next is None:
            await self._sooner.wait()
        else:
            seconds = (self._next - now).total_seconds()
            await within(self._clock, min(seconds, LONGEST_SLEEP_S), self._sooner, self._crew)

    async def _run_out(self, timer: Timer) -> None:
        row = InboxRow(new_id(), timer.session_id, timer.message, kind=timer.kind)
        if await self._store.fire(timer, row):
            log.info("timer ran out", extra={"timer": timer.id, "kind": timer.kind})
            self._fire(row)


async def within(clock: Clock, seconds: float, event: asyncio.Event, crew: Crew) -> bool:
    """Wait for an event, at most so long by this clock; True if it came."""
    asleep = crew.start(clock.sleep(seconds), "sleep")
    coming = crew.start(event.wait(), "event")
    try:
        await asyncio.wait((asleep, coming), return_when=asyncio.FIRST_COMPLETED)
    finally:
        asleep.cancel()
        coming.cancel()
    return event.is_set()
