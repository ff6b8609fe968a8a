"""A whole Session network on 127.0.0.1: seeds, swarms of storage nodes, a file server.

    async with LoopbackNetwork(nodes=4, swarms=2) as network:
        channel = SessionMessenger(identity, folder="bot", **network.address)
        network.wind(hours=1)                       # its clock; ours stays as it is
        network.nodes[0].faults.append(HangsUp())
        network.refusals                            # what it refused, and why

It does what the real servers do with what they are sent: the same checks in the same order, the
same sentences. It connects nowhere. Tests and notebooks run on it; the live network has never
been tried with it side by side.
"""

import time
from collections import deque
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Self

import orjson

from sessionbot_kit.channels.session_messenger.loopback import rules
from sessionbot_kit.channels.session_messenger.loopback.certificate import (
    node_context,
    seed_context,
)
from sessionbot_kit.channels.session_messenger.loopback.file_server import FileServer
from sessionbot_kit.channels.session_messenger.loopback.http import Request, Response, Server
from sessionbot_kit.channels.session_messenger.loopback.storage_node import StorageNode
from sessionbot_kit.channels.session_messenger.seeds import Seed

_RING = 1 << 64


@dataclass(frozen=True, slots=True)
class Refused:
    """One thing that the network refused."""

    node: int
    method: str
    code: int
    text: str


class LoopbackNetwork:
    """Every part answers on a free port until the block ends."""

    def __init__(
        self,
        *,
        nodes: int = 4,
        swarms: int = 2,
        clock: Callable[[], float] = time.time,
        limits_rate: bool = True,
    ) -> None:
        self._clock = clock
        self._ahead_ms = 0
        self.limits_rate = limits_rate
        self.refusals: deque[Refused] = deque(maxlen=1_000)
        self.ignored: set[str] = set()  # names of parameters that a node did not look at
        self.nodes = [StorageNode(number, self) for number in range(nodes)]
        # The last swarm id of the ring is kept free: it means "none".
        ids = [(number * 2 + 1) * (_RING // (2 * swarms)) for number in range(swarms)]
        self._swarms = {id: self.nodes[place::swarms] for place, id in enumerate(ids)}
        self.files = FileServer(self.now_ms)
        self.seed_faults: list[Response] = []

    async def start(self) -> Self:
        """Open every port; a notebook opens in one cell and closes in another."""
        async with AsyncExitStack() as stack:
            for node in self.nodes:
                server = Server(node.answer, node_context())
                await stack.enter_async_context(server)
                node.port = server.port
            context, certificate = seed_context()
            seed = await stack.enter_async_context(Server(self._seed, context))
            plain = await stack.enter_async_context(Server(self._plain))
            self._stack = stack.pop_all()
        self.seeds = (Seed(f"https://127.0.0.1:{seed.port}", certificate),)
        self.plain_port = plain.port
        self.file_server_url = f"http://127.0.0.1:{plain.port}"
        return self

    async def stop(self) -> None:
        """Cut every connection and close every port."""
        await self._stack.aclose()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    def __repr__(self) -> str:
        return f"LoopbackNetwork of {len(self.nodes)} nodes in {len(self._swarms)} swarms"

    @property
    def address(self) -> dict[str, Any]:
        """What a channel must be given to be on this network and on no other."""
        return {"seeds": self.seeds, "file_server": self.file_server_url}

    def now_ms(self) -> int:
        return int(self._clock() * 1000) + self._ahead_ms

    def wind(self, *, hours: float = 0, seconds: float = 0) -> None:
        """Set the network's clock on (or back), and forget what has expired by then."""
        self._ahead_ms += int((hours * 3_600 + seconds) * 1_000)
        for node in self.nodes:
            node.mailbox.expire(self.now_ms())

    def swarm_of(self, pubkey: str) -> tuple[str, list[StorageNode]]:
        """Whose records lie where: the swarm's id and its nodes."""
        id = rules.nearest(rules.place_of(pubkey), list(self._swarms))
        return f"{id:x}", self._swarms[id]

    def move_swarms(self) -> None:
        """Let every swarm's nodes serve another swarm; the records go along to the new nodes."""
        records = {kept.hash: kept for node in self.nodes for kept in node.mailbox}
        ids = list(self._swarms)
        self._swarms = dict(zip(ids, [self._swarms[id] for id in ids[1:] + ids[:1]], strict=True))
        for node in self.nodes:
            node.mailbox = type(node.mailbox)()
        for kept in records.values():
            for node in self.swarm_of(kept.pubkey)[1]:
                node.mailbox.add(kept)

    def note(self, node: StorageNode, method: str, code: int, text: str) -> None:
        self.refusals.append(Refused(self.nodes.index(node), method, code, text))

    def note_ignored(self, method: str, names: set[str]) -> None:
        self.ignored |= {f"{method}.{name}" for name in names}

    async def _seed(self, request: Request) -> Response:
        if self.seed_faults:
            return self.seed_faults.pop(0)
        if request.path != "/json_rpc":
            return Response(404, b"not found")
        states = [
            {
                "public_ip": "127.0.0.1",
                "storage_port": node.port,
                "pubkey_x25519": node.x25519,
                "pubkey_ed25519": node.ed25519,
            }
            for node in self.nodes
        ]
        # A node that has not shown itself yet has no address.
        states.append({**states[0], "public_ip": "0.0.0.0", "pubkey_ed25519": "0" * 64})
        body = {"jsonrpc": "2.0", "id": 0, "result": {"service_node_states": states}}
        return Response(200, orjson.dumps(body), "application/json")

    async def _plain(self, request: Request) -> Response:
        if request.path == "/json_rpc":
            return await self._seed(request)
        return await self.files.answer(request)
