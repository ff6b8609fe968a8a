"""Two wires and a network that may be cut at any byte, without a socket or a clock.

A `Peer` is what the rim around a wire does: it keeps the bytes of messages (here: numbers), puts
pieces together and hands finished messages to an application that asks for one after another.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from sessionbot_kit.control import FRAGMENT_BYTES, Control, Greeting, Terms, from_json, to_json
from sessionbot_kit.lanes import Lanes, Piece
from sessionbot_kit.wire import Freed, Opened, State, Wire

SESSION = "a-session-with-a-long-name"

TERMS = Terms(
    window=4 * FRAGMENT_BYTES, message_bytes=600_000, unfinished=3, unfinished_bytes=800_000
)

Item = Control | Piece


@dataclass(slots=True)
class Message:
    name: int
    size: int
    conversation: str | None


def small_wire(epoch: str = "") -> Wire:
    lanes = Lanes(max_messages=40, max_bytes=2_000_000)
    return Wire(SESSION, epoch=epoch, terms=TERMS, lanes=lanes)


@dataclass
class Peer:
    wire: Wire
    kept: dict[int, Message] = field(default_factory=dict)
    partial: dict[int, int] = field(default_factory=dict)
    inbox: deque[tuple[int, Message]] = field(default_factory=deque)
    in_hand: int | None = None
    handled: list[Message] = field(default_factory=list)
    lost: list[Message] = field(default_factory=list)
    met: bool = False

    def push(self, message: Message) -> None:
        self.kept[self.wire.push(message.size, message.conversation)] = message

    def receive(self, item: Item, sender: "Peer") -> None:
        if isinstance(item, Piece):
            self._take(item, sender.kept[item.seq])
            return
        control = from_json(to_json(item))
        if isinstance(control, Greeting) and self.wire.state is State.AWAY:
            self.met = True
            self._free(self.wire.accept(control, self.partial).freed)
            return
        match self.wire.feed(control):
            case Opened(recovered, freed, lost):
                self.met = True
                self._free(freed)
                if not recovered:
                    assert lost == len(self.kept)
                    self.forget()
            case Freed(seqs):
                self._free(seqs)

    def _free(self, seqs: Sequence[int]) -> None:
        for seq in seqs:
            del self.kept[seq]

    def _take(self, piece: Piece, message: Message) -> None:
        if not self.wire.fragment(piece.seq, piece.stop - piece.start):
            return
        assert self.partial.get(piece.seq, 0) == piece.start, "bytes are missing or come twice"
        self.partial[piece.seq] = piece.stop
        assert len(self.partial) <= TERMS.unfinished + 1
        if piece.stop == piece.end:
            del self.partial[piece.seq]
            self.wire.complete(piece.seq, piece.end)
            self.inbox.append((piece.seq, message))

    def ask(self, now: float) -> None:
        """The application asks for the next message, so the last one is safe."""
        if self.in_hand is not None:
            self.wire.handled(self.in_hand, now)
            self.in_hand = None
        if self.inbox:
            self.in_hand, message = self.inbox.popleft()
            self.handled.append(message)

    def forget(self) -> None:
        self.lost += self.kept.values()
        self.kept.clear()
        self.partial.clear()
        self.inbox.clear()
        self.in_hand = None


class Network:
    """One client, one server, and at most one connection between them."""

    def __init__(self) -> None:
        self.now = 0.0
        self.epochs = 1
        self.client = Peer(small_wire())
        self.server = Peer(small_wire("epoch-1"))
        self.up: deque[Item] = deque()  # from client to server
        self.down: deque[Item] = deque()
        self.connected = False

    def connect(self) -> None:
        """The client calls; if there was a connection, it is over."""
        self.cut()
        self.client.wire.connect(self.client.partial)
        self.connected = True

    def cut(self) -> None:
        self.up.clear()
        self.down.clear()
        self.client.wire.cut()
        self.server.wire.cut()
        self.connected = False

    def flow(self, count: int) -> int:
        """Both sides send up to `count` items; returns how many were sent."""
        if not self.connected:
            return 0
        return _drain(self.client.wire, self.up, count, self.now) + _drain(
            self.server.wire, self.down, count, self.now
        )

    def deliver(self, up: int, down: int) -> int:
        for _ in range(up := min(up, len(self.up))):
            self.server.receive(self.up.popleft(), self.client)
        for _ in range(down := min(down, len(self.down))):
            self.client.receive(self.down.popleft(), self.server)
        return up + down

    def restart_server(self) -> None:
        self.cut()
        self.epochs += 1
        self.server.forget()
        handled, lost = self.server.handled, self.server.lost
        self.server = Peer(small_wire(f"epoch-{self.epochs}"), handled=handled, lost=lost)

    def settle(self) -> None:
        """Let everything arrive and be handled."""
        if not self.connected:
            self.connect()
        busy = True
        while busy:
            self.now += 1.0
            busy = bool(self.flow(50)) | bool(self.deliver(50, 50))
            for peer in (self.client, self.server):
                while peer.inbox or peer.in_hand is not None:
                    peer.ask(self.now)
                    busy = True


def _drain(wire: Wire, queue: deque[Item], count: int, now: float) -> int:
    for sent in range(count):
        item = wire.poll(now)
        if item is None:
            return sent
        if isinstance(item, Piece):
            wire.spend(item.stop - item.start)
        queue.append(item)
    return count


def names(messages: list[Message]) -> list[int]:
    return [message.name for message in messages]


def by_conversation(messages: list[Message]) -> dict[str | None, list[int]]:
    found: dict[str | None, list[int]] = {}
    for message in messages:
        found.setdefault(message.conversation, []).append(message.name)
    return found
