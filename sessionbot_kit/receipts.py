"""What has arrived, what is dealt with, and how much more may come: the receiver's book.

    receipts = Receipts(Terms())
    receipts.fragment(1, 200)        # True: new, take it in. False: we had it, throw it away
    receipts.complete(1, 200)        # the whole message is here; the application has not asked on
    receipts.handled(1)              # now it has: only this is acknowledged
    receipts.ack()                   # Ack(floor=1, done=(), credit=...)

Numbers may finish in any order, since short messages overtake long ones: all up to `floor` is
done, and what is done above it is kept as ranges. Credit follows consumption: a fragment that was
taken in makes room for the next, unless finished messages pile up because the application is
slow. The one rule to remember: what is not handled is reported as ours but never acknowledged.
"""

from bisect import bisect_left
from collections.abc import Mapping

from sessionbot_kit.control import FRAGMENT_COST, MAX_OPEN, Ack, Report, Terms
from sessionbot_kit.errors import FragmentError, WireError

MAX_UNHANDLED = 256  # finished messages that wait for the application before credit stops


class Receipts:
    """Which numbers a peer has used, and the bytes it may still send."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.floor = 0
        self.done: list[tuple[int, int]] = []
        self.unhandled: dict[int, int] = {}
        self.unhandled_bytes = 0
        self.connected()

    def connected(self) -> None:
        """A connection begins with a full window, whatever the one before had left."""
        self.unacknowledged = 0
        self._received = 0
        self._grant(self.terms.window)

    def _grant(self, credit: int) -> None:
        self.granted = credit
        self._news_at = credit - self.terms.window // 2

    @property
    def begun(self) -> bool:
        """Whether a message has ever come whole."""
        return bool(self.floor or self.done or self.unhandled)

    def fragment(self, seq: int, frame_bytes: int) -> bool:
        """Take note of a frame that carries part of a message; False: throw it away."""
        if self._received >= self.granted:
            raise FragmentError(
                "over_credit",
                f"a fragment came after all {self.granted:,} bytes of credit were spent; "
                "wait for credit before sending",
                fatal=True,
            )
        self._received += frame_bytes + FRAGMENT_COST
        return not self.knows(seq)

    def knows(self, seq: int) -> bool:
        """Whether a message has come whole before."""
        if seq <= self.floor or seq in self.unhandled:
            return True
        index = bisect_left(self.done, (seq + 1, 0)) - 1
        return index >= 0 and seq <= self.done[index][1]

    def complete(self, seq: int, size: int) -> None:
        """A message is here as a whole and waits for the application."""
        if len(self.unhandled) >= MAX_OPEN:
            raise WireError(
                f"more than {MAX_OPEN:,} messages came without an acknowledgement; wait for some"
            )
        self.unhandled[seq] = size
        self.unhandled_bytes += size

    def handled(self, seq: int) -> None:
        """The application has asked for the one after this: it is safe there."""
        self.unhandled_bytes -= self.unhandled.pop(seq)
        self._settle(seq)

    def refused(self, seq: int) -> None:
        """A message was bad: it is over, and what still comes of it is thrown away."""
        if not self.knows(seq):
            self._settle(seq)

    def _settle(self, seq: int) -> None:
        self.unacknowledged += 1
        if seq == self.floor + 1:
            self.floor = seq
            if self.done and self.done[0][0] == seq + 1:
                self.floor = self.done.pop(0)[1]
            return
        index = bisect_left(self.done, (seq, seq))
        first, last = seq, seq
        if index < len(self.done) and self.done[index][0] == seq + 1:
            last = self.done.pop(index)[1]
        if index and self.done[index - 1][1] == seq - 1:
            index -= 1
            first = self.done.pop(index)[0]
        self.done.insert(index, (first, last))
        if len(self.done) > MAX_OPEN:
            raise WireError(
                f"more than {MAX_OPEN:,} messages are missing between others; "
                "number messages without gaps"
            )

    @property
    def credit_due(self) -> bool:
        """Whether half a window was consumed, which is enough to tell the sender about."""
        return self._received >= self._news_at and not self.withheld

    @property
    def withheld(self) -> bool:
        """Whether credit stops because the application is slow."""
        return self.unhandled_bytes >= self.terms.window or len(self.unhandled) >= MAX_UNHANDLED

    def ack(self) -> Ack:
        """The news for the sender, which count as told from now on."""
        self.unacknowledged = 0
        if not self.withheld:
            self._grant(self._received + self.terms.window)
        return Ack(self.floor, tuple(self.done), self.granted)

    def report(self, partial: Mapping[int, int]) -> Report:
        """How far we are, for a new connection; `partial` is what reassembly holds."""
        whole = tuple(sorted(self.unhandled))
        return Report(self.floor, tuple(self.done), whole, tuple(sorted(partial.items())))
