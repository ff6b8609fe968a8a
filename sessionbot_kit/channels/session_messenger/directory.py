"""Which nodes there are, which of them have whose mailbox, and which are well.

Only nodes that a pinned seed has named are ever spoken to. What a node says about others (the
swarm of a mailbox) chooses among those and cannot add to them. No I/O: clock and chance come in.
"""

import random
from collections.abc import Callable, Iterable

from sessionbot_kit.channels.session_messenger.rpc import Node

MAX_SWARMS = 1_000
FIRST_PENALTY_S = 5.0
LONGEST_PENALTY_S = 600.0


class Directory:
    """A pool of nodes, swarms of mailboxes, and a memory for faults."""

    def __init__(self, clock: Callable[[], float], chance: random.Random | None = None) -> None:
        self._clock = clock
        self._chance = chance or random.Random()
        self._pool: dict[str, Node] = {}
        self._swarms: dict[str, tuple[Node, ...]] = {}
        self._faults: dict[str, tuple[int, float]] = {}  # how many in a row, and avoided until

    @property
    def pool(self) -> tuple[Node, ...]:
        return tuple(self._pool.values())

    def fill(self, nodes: Iterable[Node]) -> None:
        """Take over what a seed named; swarms are looked up anew."""
        self._pool = {node.ed25519: node for node in nodes}
        self._swarms.clear()
        self._faults = {key: fault for key, fault in self._faults.items() if key in self._pool}

    def known(self, named: Iterable[Node]) -> tuple[Node, ...]:
        """Those of the named nodes that a seed vouches for, at the seed's address."""
        return tuple(self._pool[node.ed25519] for node in named if node.ed25519 in self._pool)

    def swarm(self, pubkey: str) -> tuple[Node, ...]:
        return self._swarms.get(pubkey, ())

    def learn(self, pubkey: str, named: Iterable[Node]) -> tuple[Node, ...]:
        """Remember the swarm of a mailbox, as far as it is known; the rest is ignored."""
        self._swarms.pop(pubkey, None)
        if swarm := self.known(named):
            self._swarms[pubkey] = swarm
            while len(self._swarms) > MAX_SWARMS:
                del self._swarms[next(iter(self._swarms))]
        return swarm

    def forget(self, pubkey: str) -> None:
        self._swarms.pop(pubkey, None)

    def choose(self, among: Iterable[Node], *, avoid: Iterable[Node] = ()) -> Node | None:
        """Any node that is well, else the one that will be well first."""
        left = set(avoid)
        nodes = [node for node in among if node not in left]
        if well := [node for node in nodes if self._avoided_until(node) <= self._clock()]:
            return self._chance.choice(well)
        return min(nodes, key=self._avoided_until, default=None)

    def blame(self, node: Node) -> None:
        """The node failed: leave it alone for a while, longer each time."""
        count = self._faults.get(node.ed25519, (0, 0.0))[0]
        wait_s = min(FIRST_PENALTY_S * 2.0 ** min(count, 20), LONGEST_PENALTY_S)
        self._faults[node.ed25519] = (count + 1, self._clock() + wait_s)

    def praise(self, node: Node) -> None:
        self._faults.pop(node.ed25519, None)

    def _avoided_until(self, node: Node) -> float:
        return self._faults.get(node.ed25519, (0, 0.0))[1]
