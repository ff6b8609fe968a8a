"""A clock that a test turns.

    clock = FakeClock()
    clock.turn(minutes=5)

One rule to remember: whoever sleeps on it wakes when it is turned, never by itself.
"""

import asyncio
import heapq
from datetime import UTC, datetime, timedelta
from itertools import count

MORNING = datetime(2026, 1, 1, 9, tzinfo=UTC)


class FakeClock:
    """A clock that goes on when it is told to."""

    def __init__(self, now: datetime = MORNING) -> None:
        self._now = now
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._order = count()

    def now(self) -> datetime:
        return self._now

    async def sleep_until(self, moment: datetime) -> None:
        """Return when the clock has been turned so far."""
        if moment <= self._now:
            return
        waking: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (moment, next(self._order), waking))
        await waking

    def turn(self, **units: float) -> None:
        """Turn it forward, as in `clock.turn(minutes=5)`, and wake who has slept until then."""
        self._now += timedelta(**units)
        while self._sleepers and self._sleepers[0][0] <= self._now:
            _, _, waking = heapq.heappop(self._sleepers)
            if not waking.done():
                waking.set_result(None)
