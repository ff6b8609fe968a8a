"""Who sends next: messages on their way out, cut into pieces that share one connection fairly.

A message of one fragment goes to the small lane, which is first in, first out. Longer ones take
turns, a fragment each. The small lane goes first, but after 16 in a row a long message gets one
fragment in, so neither starves the other. Nothing leaves without credit, which the receiver
grants in bytes: what sits in a socket's buffer cannot be overtaken any more. The last part of the
credit is for short messages alone, so none has to wait until more is granted.

    lanes = Lanes(step=65_536)
    lanes.resume(Report(), terms)              # a connection: the receiver has nothing yet
    lanes.push(5_000_000, "a conversation")    # -> 1, its number
    lanes.push(200, "another")                 # -> 2
    lanes.next()                               # Piece(seq=2, start=0, stop=200, end=200)
    lanes.spend(236)                           # what the frame of that piece weighed
    lanes.acknowledge(0, [(2, 2)])             # forgotten; until then it can be sent again

Positions count what the codec counts: bytes, cut every `step` of them, or fragments, cut at each.

Messages of one conversation never overtake each other: the next one begins when the last piece
of the one before has left, and a connection keeps its order. A message whose conversation is
None is ordered with everything. The one rule to remember: a message leaves `Lanes` only when the
receiver has acknowledged it.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sessionbot_kit.control import FRAGMENT_BYTES, FRAGMENT_COST, MAX_OPEN, MIB, Report, Terms
from sessionbot_kit.errors import UsageError, WireError

SMALL_IN_A_ROW = 16
SHORT_SHARE = 8  # of the credit, one part in so many is left for short messages

Ranges = Sequence[tuple[int, int]]


class Piece(NamedTuple):
    """The part of a message that is to be sent now."""

    seq: int
    start: int
    stop: int
    end: int


@dataclass(slots=True)
class Parcel:
    """A message that the receiver has not acknowledged."""

    seq: int
    size: int
    end: int
    conversation: str | None
    sent: int = 0


class Lanes:
    """Everything that was pushed and not yet acknowledged, and the order in which it leaves."""

    def __init__(
        self,
        *,
        step: int = FRAGMENT_BYTES,
        max_messages: int = MAX_OPEN,
        max_bytes: int = 96 * MIB,
    ) -> None:
        self.step = step
        self.max_messages = min(max_messages, MAX_OPEN)
        self.max_bytes = max_bytes
        self._parcels: dict[int, Parcel] = {}
        self._terms = Terms()
        self.last_seq = 0
        self.held_bytes = 0
        self._clear()

    def forget(self) -> int:
        """Begin from nothing, and say how many messages are lost by it."""
        lost = len(self._parcels)
        self._parcels.clear()
        self.last_seq = 0
        self.held_bytes = 0
        self._clear()
        return lost

    def _clear(self) -> None:
        self._small: deque[Parcel] = deque()
        self._large: deque[Parcel] = deque()
        self._unopened: deque[Parcel] = deque()  # long ones that wait for room over there
        self._open_bytes = 0
        self._queues: dict[str, deque[Parcel]] = {}  # behind the one that is in a lane
        self._behind: deque[Parcel] = deque()  # behind one that is ordered with everything
        self._alone = False
        self._unsent = 0
        self._streak = 0
        self._granted = 0
        self._reserve = 0
        self._spent = 0

    def full(self, size: int) -> bool:
        """Whether to wait before pushing `size` bytes.

        One message always fits, however long; and long ones that wait never keep out a short one.
        """
        if len(self._parcels) >= self.max_messages:
            return True
        return size > FRAGMENT_BYTES and self.held_bytes >= self.max_bytes

    @property
    def idle(self) -> bool:
        """Whether everything has left, acknowledged or not."""
        return not self._unsent and not self._behind

    @property
    def unacknowledged(self) -> int:
        return len(self._parcels)

    def push(self, size: int, conversation: str | None, end: int | None = None) -> int:
        """Take a message of `size` bytes in, from position 0 to `end`; returns its number."""
        if not 0 < size <= self._terms.message_bytes:
            raise UsageError(
                f"a message of {size:,} bytes cannot be sent; the other side takes 1 to "
                f"{self._terms.message_bytes:,}. Send a smaller file, or a link to it"
            )
        self.last_seq += 1
        parcel = Parcel(self.last_seq, size, end or size, conversation)
        self._parcels[parcel.seq] = parcel
        self.held_bytes += size
        self._line_up(parcel)
        return parcel.seq

    def _line_up(self, parcel: Parcel) -> None:
        if self._behind or not self._may_enter(parcel):
            self._behind.append(parcel)
        else:
            self._enter(parcel)

    def _may_enter(self, parcel: Parcel) -> bool:
        return not self._unsent or not (self._alone or parcel.conversation is None)

    def _enter(self, parcel: Parcel) -> None:
        self._unsent += 1
        self._alone = parcel.conversation is None
        if parcel.conversation is not None:
            if (queue := self._queues.get(parcel.conversation)) is not None:
                queue.append(parcel)
                return
            self._queues[parcel.conversation] = deque()
        self._to_lane(parcel)

    def _to_lane(self, parcel: Parcel) -> None:
        if parcel.sent:
            self._open(parcel)
        elif parcel.end <= self.step:
            self._small.append(parcel)
        else:
            self._unopened.append(parcel)

    def _open(self, parcel: Parcel) -> None:
        self._open_bytes += parcel.size
        self._large.append(parcel)

    def next(self) -> Piece | None:
        """What to send now; None while there is nothing, or no credit. Then `spend` its weight."""
        left = self._granted - self._spent
        if left <= 0:
            return None
        if self._unopened:
            self._open_more()
        lane = self._small
        if self._large and (not lane or self._streak >= SMALL_IN_A_ROW) and left > self._reserve:
            lane = self._large
        elif not lane:
            return None
        parcel = lane[0]
        start = parcel.sent
        stop = min(start + self.step, parcel.end)
        parcel.sent = stop
        lane.popleft()
        if lane is self._small:
            self._streak += 1
        else:
            self._streak = 0
            if stop < parcel.end:
                lane.append(parcel)
            else:
                self._open_bytes -= parcel.size
        if stop == parcel.end:
            self._left(parcel)
        return Piece(parcel.seq, start, stop, parcel.end)

    def spend(self, frame_bytes: int) -> None:
        """The last piece became a frame of this weight; the last one may overdraw the credit."""
        self._spent += frame_bytes + FRAGMENT_COST

    def _open_more(self) -> None:
        # The receiver keeps what is unfinished: never begin more than it has room for.
        terms = self._terms
        while (
            self._unopened
            and len(self._large) < terms.unfinished
            and self._open_bytes + self._unopened[0].size <= terms.unfinished_bytes
        ):
            self._open(self._unopened.popleft())

    def _left(self, parcel: Parcel) -> None:
        self._unsent -= 1
        if parcel.conversation is not None:
            queue = self._queues[parcel.conversation]
            if queue:
                self._to_lane(queue.popleft())
            else:
                del self._queues[parcel.conversation]
        while self._behind and self._may_enter(self._behind[0]):
            self._enter(self._behind.popleft())

    def grant(self, credit: int) -> None:
        """The receiver lets us send `credit` bytes in all on this connection."""
        self._granted = max(self._granted, credit)

    def acknowledge(self, floor: int, done: Ranges) -> list[int]:
        """Forget what the receiver has dealt with; returns the numbers."""
        if max(floor, done[-1][1] if done else 0) > self.last_seq:
            raise WireError(
                f"message {max(floor, done[-1][1] if done else 0)} was acknowledged and only "
                f"{self.last_seq} were sent; the connection cannot go on"
            )
        freed = []
        for seq in self._parcels:
            if seq <= floor or _covers(done, seq):
                freed.append(seq)
            elif not done:
                break
        for seq in freed:
            self._forget_one(seq)
        return freed

    def refuse(self, seq: int) -> bool:
        """The receiver has dropped a message; say whether we knew it."""
        if seq not in self._parcels:
            return False
        self._forget_one(seq)
        return True

    def _forget_one(self, seq: int) -> None:
        parcel = self._parcels[seq]
        if not parcel.sent:
            raise WireError(
                f"message {seq} was answered before it was sent; the connection cannot go on"
            )
        del self._parcels[seq]
        self.held_bytes -= parcel.size
        if parcel.sent < parcel.end:
            self._large.remove(parcel)
            self._open_bytes -= parcel.size
            self._left(parcel)

    def resume(self, report: Report, terms: Terms) -> list[int]:
        """Go on after a connection is made, from where the receiver is; returns what it has."""
        positions = dict(report.partial)
        for seq in report.whole:
            positions[seq] = self._parcels[seq].end if seq in self._parcels else -1
        for seq, position in positions.items():
            if seq not in self._parcels or position > self._parcels[seq].sent:
                raise WireError(
                    f"message {seq} was reported up to {position:,} and never sent so far; "
                    "the connection cannot go on"
                )
        freed = self.acknowledge(report.floor, report.done)
        self._terms = terms
        self._clear()
        self._granted = terms.window
        self._reserve = terms.window // SHORT_SHARE
        waiting = []
        for parcel in self._parcels.values():
            position = positions.get(parcel.seq, 0)
            # Cuts fall where they fell before.
            parcel.sent = position - (position % self.step if position < parcel.end else 0)
            if 0 < parcel.sent < parcel.end:
                self._line_up(parcel)  # it holds memory over there: before all others
            elif not parcel.sent:
                waiting.append(parcel)
        for parcel in waiting:
            self._line_up(parcel)
        return freed


def _covers(ranges: Ranges, seq: int) -> bool:
    index = bisect_right(ranges, seq, key=lambda pair: pair[0]) - 1
    return index >= 0 and ranges[index][0] <= seq <= ranges[index][1]
