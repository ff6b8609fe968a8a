"""How long to wait before calling again: at random, up to a bound that doubles.

    backoff = Backoff(random=random.random)
    backoff.delay()                      # 0 to 1 s, then 0 to 2, 0 to 4, ... 0 to 30
    backoff.lasted(seconds)              # a connection that held for a minute starts over

All clients of a server that comes back would call at the same moment; chance spreads them ("full
jitter"). A server that accepts and closes at once is not up: only a connection that has lasted
resets the bound. The one rule to remember: an opened socket proves nothing, an old one does.
"""

from collections.abc import Callable


class Backoff:
    """The bound of the next delay, and what resets it."""

    def __init__(
        self,
        random: Callable[[], float],
        *,
        first_s: float = 1.0,
        most_s: float = 30.0,
        stable_s: float = 60.0,
    ) -> None:
        self._random = random
        self._first_s = first_s
        self._most_s = most_s
        self._stable_s = stable_s
        self.attempts = 0

    def lasted(self, seconds: float) -> None:
        """A connection has ended that was open for so long."""
        if seconds >= self._stable_s:
            self.attempts = 0

    def delay(self) -> float:
        """Seconds to wait before the next attempt."""
        bound = min(self._most_s, self._first_s * 2.0 ** min(self.attempts, 16))
        self.attempts += 1
        return self._random() * bound
