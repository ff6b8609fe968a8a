"""The link's state machine: what may be said when, what is said again after a cut, and what not.

Theory of operation. Two peers number their messages from 1, each its own. A connection is only a
means: it may break at any byte. Each side keeps what it sent until the other acknowledges it, and
acknowledges what it received when its application has dealt with it. A new connection begins with
a Greeting from each side, which says how far its receiver has come, down to the bytes of messages
that are half there; sending goes on from exactly there. A number that comes twice is dropped. So
each message is handled once, in order within its conversation, however often the wire is cut.

The server gives each session an `epoch`, and a client shows the last one it was given. A server
that has forgotten the session (it was started again, or waited long enough) gives another one and
says `recovered=False`: both begin at 1, what was on its way is lost, and the application is told.

            CONNECT             GREETED            CUT
    AWAY ------------> GREETING -------> OPEN ------------> AWAY
     |     GREETED, on the server's side  ^                       LEAVE, from any state: CLOSED
     +------------------------------------+

    wire = Wire("a session of 16 bytes or more")
    wire.connect({})                            # the socket is open
    wire.poll(now)                              # Greeting(...): send it
    wire.feed(greeting)                         # Opened(recovered=True)
    wire.push(size, "a conversation")           # a number; its bytes stay with the caller
    while (item := wire.poll(now)) is not None: ...      # send it; of a Piece, spend()

Feed in what arrived, get back what it means; ask what to send. The wire sees numbers, offsets and
lengths, never a byte of content. The one rule to remember: after a WireError the connection
must be closed, and `cut` says so.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from sessionbot_kit.control import Ack, Control, Greeting, Leave, Refusal, Report, Terms
from sessionbot_kit.errors import UsageError, WireError
from sessionbot_kit.lanes import Lanes, Piece
from sessionbot_kit.receipts import Receipts

ACK_EVERY = 32  # messages
ACK_DELAY = 0.02  # seconds; one Ack then covers many messages
MAX_REFUSALS = 100  # kept to be sent; a peer that earns more is not worth more answers


class State(Enum):
    AWAY = auto()
    GREETING = auto()
    OPEN = auto()
    CLOSED = auto()


class Event(Enum):
    CONNECT = auto()
    GREETED = auto()
    CUT = auto()
    LEAVE = auto()


TRANSITIONS: Mapping[tuple[State, Event], State] = {
    (State.AWAY, Event.CONNECT): State.GREETING,
    (State.AWAY, Event.GREETED): State.OPEN,
    (State.AWAY, Event.CUT): State.AWAY,
    (State.AWAY, Event.LEAVE): State.CLOSED,
    (State.GREETING, Event.GREETED): State.OPEN,
    (State.GREETING, Event.CUT): State.AWAY,
    (State.GREETING, Event.LEAVE): State.CLOSED,
    (State.OPEN, Event.CUT): State.AWAY,
    (State.OPEN, Event.LEAVE): State.CLOSED,
    (State.CLOSED, Event.CUT): State.CLOSED,
    (State.CLOSED, Event.LEAVE): State.CLOSED,
}


@dataclass(frozen=True, slots=True)
class Opened:
    """The peer is there and has dealt with `freed`.

    Unless `recovered`, it has forgotten us, and `lost` messages of ours will never arrive.
    """

    recovered: bool = True
    freed: Sequence[int] = ()
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Freed:
    """The peer has dealt with these messages; their bytes are not needed any more."""

    seqs: Sequence[int]


@dataclass(frozen=True, slots=True)
class Refused:
    """The peer dropped this message of ours, and says why. Zero: one that it could not read."""

    seq: int
    code: str


@dataclass(frozen=True, slots=True)
class Left:
    """The peer has closed on purpose."""

    reason: str


Meaning = Opened | Freed | Refused | Left


class Wire:
    """One end of a link, over as many connections as it takes."""

    def __init__(
        self,
        session: str,
        *,
        epoch: str = "",
        terms: Terms | None = None,
        lanes: Lanes | None = None,
    ) -> None:
        self.session = session
        self.epoch = epoch
        self.terms = terms or Terms()
        self.lanes = lanes or Lanes()
        self.receipts = Receipts(self.terms)
        self.state = State.AWAY
        self._came_from: str | None = None
        self._greeting: Greeting | None = None
        self._refusals: deque[Refusal] = deque()
        self._ack_by: float | None = None

    def _move(self, event: Event) -> None:
        try:
            self.state = TRANSITIONS[self.state, event]
        except KeyError:
            raise WireError(
                f"{event.name} came while the link was {self.state.name}; "
                "the connection cannot go on"
            ) from None

    def connect(self, partial: Mapping[int, int]) -> None:
        """The client's socket is open; `partial` is what reassembly holds of each message."""
        self._move(Event.CONNECT)
        self._greet(partial, recovered=True)

    def accept(self, greeting: Greeting, partial: Mapping[int, int]) -> Opened:
        """The server's side of a new connection: a client greets."""
        if self._came_from is None:
            self._came_from = greeting.epoch
        known = greeting.epoch == self.epoch
        # A client that never got our first answer greets as it did at first, and has sent nothing.
        if not known and (greeting.epoch != self._came_from or self.receipts.begun):
            raise WireError(
                f"the client comes from epoch {greeting.epoch!r} and this is {self.epoch!r}; "
                "begin a new session"
            )
        self._move(Event.GREETED)
        freed = self.lanes.resume(greeting.report if known else Report(), greeting.terms)
        recovered = known or not greeting.epoch
        self._greet(partial, recovered=recovered)
        return Opened(recovered, freed)

    def _greet(self, partial: Mapping[int, int], *, recovered: bool) -> None:
        self._ack_by = None
        self.receipts.connected()
        report = self.receipts.report(partial)
        self._greeting = Greeting(self.session, self.epoch, self.terms, report, recovered)

    def feed(self, control: Control) -> Meaning:
        """Take in what the peer says about the link."""
        match control:
            case Greeting():
                return self._greeted(control)
            case Leave(reason):
                self._move(Event.LEAVE)
                return Left(reason)
        self._must_be_open(control.type)
        match control:
            case Ack(floor, done, credit):
                self.lanes.grant(credit)
                return Freed(self.lanes.acknowledge(floor, done))
            case Refusal(seq, code):
                self.lanes.refuse(seq)
                return Refused(seq, code)

    def _greeted(self, greeting: Greeting) -> Opened:
        fresh, known = not self.epoch, greeting.epoch == self.epoch
        if greeting.session != self.session or greeting.recovered is not (known or fresh):
            raise WireError(
                f"session {greeting.session!r} of epoch {greeting.epoch!r} answered a call of "
                f"{self.session!r} of {self.epoch!r}; the connection cannot go on"
            )
        self._move(Event.GREETED)
        lost = 0
        if not known:
            lost = self.lanes.forget()
            self.receipts = Receipts(self.terms)
            self._refusals.clear()
            self.epoch = greeting.epoch
        freed = self.lanes.resume(greeting.report, greeting.terms)
        return Opened(greeting.recovered, freed, lost)

    def _must_be_open(self, what: str) -> None:
        if self.state is not State.OPEN:
            raise WireError(f"{what} came while the link was {self.state.name}; greet first")

    def push(self, size: int, conversation: str | None, end: int | None = None) -> int:
        """Take a message on its way and give it its number; keep its bytes until it is freed."""
        if self.state is State.CLOSED or not self.epoch:
            raise UsageError("this link takes no message; it was closed, or has not met its peer")
        return self.lanes.push(size, conversation, end)

    def fragment(self, seq: int, frame_bytes: int) -> bool:
        """A part of a message came; False when it must be thrown away."""
        self._must_be_open("a fragment")
        return self.receipts.fragment(seq, frame_bytes)

    def complete(self, seq: int, size: int) -> None:
        """A message is whole and waits for the application."""
        self.receipts.complete(seq, size)

    def refuse(self, seq: int, code: str) -> None:
        """A message was bad: drop it, tell the peer, go on."""
        if seq:
            self.receipts.refused(seq)
        if len(self._refusals) >= MAX_REFUSALS:
            raise WireError(
                f"{MAX_REFUSALS} messages were refused and no answer was read; send better ones"
            )
        self._refusals.append(Refusal(seq, code))

    def handled(self, seq: int, now: float) -> None:
        """The application has asked for the next message, so this one is safe."""
        self.receipts.handled(seq)
        if self._ack_by is None:
            self._ack_by = now + ACK_DELAY

    @property
    def due(self) -> float | None:
        """When to poll again even if nothing happens."""
        return self._ack_by if self.state is State.OPEN else None

    @property
    def pressing(self) -> bool:
        """Whether there is something to say that is not a message of ours."""
        return (
            self._greeting is not None
            or bool(self._refusals)
            or self.receipts.unacknowledged >= ACK_EVERY
            or self.receipts.credit_due
        )

    def poll(self, now: float) -> Control | Piece | None:
        """What to send now."""
        if self._greeting is not None:
            greeting, self._greeting = self._greeting, None
            return greeting
        if self.state is not State.OPEN:
            return None
        if self._refusals:
            return self._refusals.popleft()
        receipts = self.receipts
        late = self._ack_by is not None and now >= self._ack_by
        if late or receipts.unacknowledged >= ACK_EVERY or receipts.credit_due:
            self._ack_by = None
            return receipts.ack()
        return self.lanes.next()

    def spend(self, frame_bytes: int) -> None:
        """The piece of the last poll became a frame of this weight."""
        self.lanes.spend(frame_bytes)

    def cut(self) -> None:
        """The connection is gone; what was not acknowledged will be sent again on the next one."""
        self._move(Event.CUT)
        self._greeting = None

    def leave(self, reason: str = "") -> Leave:
        """Close on purpose; the value is to be sent if there is a connection."""
        self._move(Event.LEAVE)
        self._greeting = None
        return Leave(reason)
