"""Lets things happen one after the other, not faster than so many a second.

    metronome = Metronome(30.0)
    await sleep(metronome.wait_s(now))       # and then it is your turn

After a rest, `burst` of them may come at once. Time comes in as an argument.
"""


class Metronome:
    """Gives out moments, in order."""

    def __init__(self, per_s: float, *, burst: int = 1) -> None:
        self._every_s = 1.0 / per_s
        self._ahead_s = (burst - 1) * self._every_s
        self._next = float("-inf")

    def wait_s(self, now: float) -> float:
        """How long to wait from now; the moment at the end of it is taken."""
        moment = max(self._next, now - self._ahead_s)
        self._next = moment + self._every_s
        return max(0.0, moment - now)
