"""The time of the network, which a machine with a wrong clock can still keep.

    clock = NetworkClock(now=time.time)
    clock.heard(node_key, t, sent, received)   # every answer of a node carries its time
    clock.now_ms()                             # our clock, put right

A node takes a record from 10 seconds ahead at most, and a signature within a minute. The median
of what different nodes said lately is believed: one that lies moves nothing, and when our own
clock is set, what was heard before counts as old.
"""

from collections.abc import Callable
from statistics import median_low

KEPT_NODES = 9
FRESH_S = 600.0


class NetworkClock:
    """Milliseconds since 1970, as the nodes count them; no time is given out twice."""

    def __init__(self, now: Callable[[], float], *, not_before: int = 0) -> None:
        self._now = now
        self._offsets: dict[str, tuple[int, float]] = {}
        self._last = not_before

    def heard(self, node: str, t: object, sent: float, received: float) -> None:
        """A node said that it is `t`, somewhere between two times of our clock (in seconds)."""
        if not isinstance(t, int) or isinstance(t, bool) or t <= 0:
            return
        self._offsets.pop(node, None)  # the newest is last
        self._offsets[node] = (t - int((sent + received) * 500), received)
        while len(self._offsets) > KEPT_NODES:
            del self._offsets[next(iter(self._offsets))]

    @property
    def offset_ms(self) -> int:
        """How far our clock is behind the network."""
        if not self._offsets:
            return 0
        now = self._now()
        offsets = [offset for offset, heard in self._offsets.values() if abs(now - heard) < FRESH_S]
        return median_low(offsets or [offset for offset, _ in self._offsets.values()])

    def now_ms(self) -> int:
        return int(self._now() * 1000) + self.offset_ms

    def new_ms(self) -> int:
        """The time for a new message; two messages never share one."""
        self._last = max(self.now_ms(), self._last + 1)
        return self._last
