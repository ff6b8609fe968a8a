"""A heartbeat in the loop, which notices when a cell has kept the loop to itself.

    pulse = Pulse(report)
    await pulse.run()                # report(5.0) when nothing else could run for five seconds

It has a second use: an interrupt reaches a waiting cell when its loop wakes next, and with a heart
that beats five times a second that is soon. The one rule to remember: it tells what was, after it
was over; while a cell blocks, nobody in the same loop can say so.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

BEAT_S: Final = 0.2
LIMIT_S: Final = 1.0


class Pulse:
    """Beats, and tells when a beat came late."""

    def __init__(
        self,
        report: Callable[[float], Coroutine[Any, Any, None]],
        *,
        limit_s: float = LIMIT_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.lag_s = 0.0  # of the last beat
        self.report = report
        self._limit_s = limit_s
        self._clock = clock
        self._sleep = sleep

    async def run(self) -> None:
        """Beat until canceled."""
        while True:
            began = self._clock()
            await self._sleep(BEAT_S)
            self.lag_s = max(0.0, self._clock() - began - BEAT_S)
            if self.lag_s >= self._limit_s:
                await self.report(self.lag_s)
