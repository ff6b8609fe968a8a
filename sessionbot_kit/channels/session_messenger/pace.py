"""How long to wait until the mailbox is looked into again: fast while somebody talks.

    pace = Pace(fast_s=0.8, slow_s=5.0)
    pace.stirred(now)               # a message came or went
    pace.wait_s(now)                # 0.8

No I/O: time comes in. One rule to remember: a wait begins when the last look has ended, so looks
never overlap, however slow a node is.
"""

FAILED_WAIT_S = 2.0
LONGEST_WAIT_S = 60.0


class Pace:
    """Fast for a while after a stir, then slower step by step; slower still while nothing works."""

    def __init__(
        self,
        *,
        fast_s: float = 0.8,
        slow_s: float = 5.0,
        active_s: float = 120.0,
        slowing: float = 1.2,
    ) -> None:
        self._fast_s = fast_s
        self._slow_s = max(slow_s, fast_s)
        self._active_s = active_s
        self._slowing = slowing
        self._stirred_at: float | None = None
        self._wait_s = self._slow_s
        self._failures = 0

    def stirred(self, now: float) -> None:
        """Somebody talks."""
        self._stirred_at = now
        self._wait_s = self._fast_s

    def worked(self) -> None:
        self._failures = 0

    def failed(self) -> None:
        """No node could be read."""
        self._failures += 1

    @property
    def failures(self) -> int:
        return self._failures

    def wait_s(self, now: float) -> float:
        """The wait before the next look."""
        if self._failures:
            return float(min(FAILED_WAIT_S * 2 ** min(self._failures - 1, 10), LONGEST_WAIT_S))
        if self._stirred_at is None or now - self._stirred_at > self._active_s:
            self._wait_s = min(self._wait_s * self._slowing, self._slow_s)
        return self._wait_s
