"""Speaks to the storage nodes of the network: finds the right one, and goes on to the next.

    async with SwarmClient(state) as swarm:
        hash = await swarm.store(friend_id, record, ttl=DAY_MS)     # a node has signed for it
        found = await swarm.retrieve(bot, cursor=state.cursor)

Certificates of nodes are vouched for by nobody, so nothing here depends on TLS: which nodes there
are comes from pinned seeds, what we send is sealed, and what a node claims to have stored it must
sign. One rule to remember: every loop here ends; who wants more tries calls again, later.
"""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from sessionbot_kit.channels.session_messenger import rpc
from sessionbot_kit.channels.session_messenger.clock import NetworkClock
from sessionbot_kit.channels.session_messenger.directory import Directory
from sessionbot_kit.channels.session_messenger.identity import Identity, short
from sessionbot_kit.channels.session_messenger.pool import NodePool
from sessionbot_kit.channels.session_messenger.rpc import Node, Stored
from sessionbot_kit.channels.session_messenger.seeds import Seed, official
from sessionbot_kit.channels.session_messenger.state import State
from sessionbot_kit.channels.session_messenger.web import open_web, post
from sessionbot_kit.errors import ChannelError, NodeError, SendRefused

T = TypeVar("T")

log = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 12_000_000  # a retrieve gives 7,800,000 and a little

CLOCK_STEP_MS = 1_000

_FOR_GOOD = frozenset({400, 401, 403})


@dataclass(frozen=True, slots=True)
class Found:
    """What lay in a mailbox, on the node that gave it."""

    node: Node
    records: list[Stored] = field(repr=False)
    more: bool


class SwarmClient:
    """One for each bot. It keeps connections, the clock and the directory; `state` outlives it."""

    def __init__(
        self,
        state: State,
        *,
        seeds: tuple[Seed, ...] | None = None,
        proxy: str | None = None,
        timeout_s: float = 15.0,
        tries: int = 6,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        chance: random.Random | None = None,
    ) -> None:
        self._proxy = proxy
        self._timeout_s = timeout_s
        self._tries = tries
        self._now = now
        chance = chance or random.Random()
        self.directory = Directory(monotonic, chance)
        self._pool = NodePool(
            self.directory,
            state,
            seeds=official() if seeds is None else seeds,
            proxy=proxy,
            timeout_s=timeout_s,
            now=now,
            chance=chance,
        )
        self.clock = NetworkClock(now, not_before=state.last_timestamp())

    async def __aenter__(self) -> Self:
        self._web = open_web(verify=False, proxy=self._proxy, timeout_s=self._timeout_s)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._web.aclose()

    async def store(self, recipient: str, record: bytes, *, ttl: int) -> str:
        """Leave a record in somebody's swarm; returns its hash once a node has signed for it."""

        def ask(node: Node) -> tuple[str, dict[str, Any]]:
            now = self.clock.now_ms()
            return "store", rpc.store(recipient, record, timestamp=now, ttl=ttl)

        def accept(node: Node, answer: dict[str, Any]) -> str:
            return rpc.confirmed(answer, (node, *self.directory.swarm(recipient)))

        return await self._at_swarm(recipient, ask, accept)

    async def retrieve(
        self, owner: Identity, *, cursor: Callable[[Node], str], prefer: Node | None = None
    ) -> Found:
        """What a node has for us after its own cursor; another node if this one cannot."""

        def ask(node: Node) -> tuple[str, dict[str, Any]]:
            now = self.clock.now_ms()
            return "retrieve", rpc.retrieve(owner, timestamp=now, last_hash=cursor(node))

        def accept(node: Node, answer: dict[str, Any]) -> Found:
            return Found(node, *rpc.retrieved(answer))

        return await self._at_swarm(owner.session_id, ask, accept, prefer=prefer)

    async def delete(self, owner: Identity, hashes: tuple[str, ...]) -> None:
        """Delete records of our own mailbox."""
        params = rpc.delete(owner, hashes)
        await self._at_swarm(
            owner.session_id, lambda node: ("delete", params), lambda node, answer: None
        )

    async def _at_swarm(
        self,
        pubkey: str,
        ask: Callable[[Node], tuple[str, dict[str, Any]]],
        accept: Callable[[Node, dict[str, Any]], T],
        *,
        prefer: Node | None = None,
    ) -> T:
        """Ask one node of a swarm after the other, until one gives what is wanted."""
        failed: set[Node] = set()
        refused = 0
        fault: NodeError | None = None
        for _ in range(self._tries):
            swarm = await self.swarm_of(pubkey)
            node = prefer if prefer in swarm and prefer not in failed else None
            node = node or self.directory.choose(swarm, avoid=failed)
            if node is None:
                break
            try:
                answer = accept(node, await self._call(node, *ask(node)))
            except NodeError as error:
                fault = error
                log.debug("node failed", extra={"node": str(node), "error": str(error)})
                if error.status == rpc.WRONG_SWARM and self._learn_swarm(pubkey, error):
                    continue
                failed.add(node)
                if error.status == rpc.WRONG_CLOCK and await self._learn_time(node):
                    failed.discard(node)
                    continue
                refused += error.status in _FOR_GOOD
                if refused == 2:
                    raise SendRefused(f"two nodes refuse it: {error}") from error
                self.directory.blame(node)
                continue
            self.directory.praise(node)
            return answer
        self.directory.forget(pubkey)  # all of them may have left the network
        raise ChannelError(
            f"no node of the swarm of {short(pubkey)} does what it is asked; "
            f"the last one: {fault}. Try again later"
        ) from fault

    async def swarm_of(self, pubkey: str) -> tuple[Node, ...]:
        """The nodes that keep somebody's mailbox."""
        if swarm := self.directory.swarm(pubkey):
            return swarm
        await self._pool.fill()
        fault: NodeError | None = None
        asked: set[Node] = set()
        for _ in range(self._tries):
            node = self.directory.choose(self.directory.pool, avoid=asked)
            if node is None:
                break
            asked.add(node)
            try:
                answer = await self._call(node, "get_swarm", {"pubkey": pubkey})
            except NodeError as error:
                fault = error
                self.directory.blame(node)
                continue
            named = rpc.nodes(answer.get("snodes"), local=self._pool.is_local)
            if swarm := self.directory.learn(pubkey, named):
                return swarm
            if named:  # nodes that are newer than our list, or a node that makes them up
                await self._pool.fill(hurry=True)
                if swarm := self.directory.learn(pubkey, named):
                    return swarm
            self.directory.blame(node)
        raise ChannelError(
            f"nobody knows the swarm of {short(pubkey)}; the last node: {fault}. Try again later"
        ) from fault

    async def _call(self, node: Node, method: str, params: dict[str, Any]) -> dict[str, Any]:
        sent = self._now()
        status, body = await post(
            self._web,
            node.url,
            rpc.request(method, params),
            limit=MAX_ANSWER_BYTES,
            timeout_s=self._timeout_s,
        )
        received = self._now()
        try:
            answer = rpc.read(status, body)
        except NodeError as error:
            if isinstance(error.body, dict):
                self.clock.heard(node.ed25519, error.body.get("t"), sent, received)
            raise
        self.clock.heard(node.ed25519, answer.get("t"), sent, received)
        return answer

    async def _learn_time(self, node: Node) -> bool:
        """Ask a node that refuses our time for its own; whether that changed anything."""
        before = self.clock.offset_ms
        try:
            await self._call(node, "info", {})
        except NodeError:
            return False
        return abs(self.clock.offset_ms - before) > CLOCK_STEP_MS

    def _learn_swarm(self, pubkey: str, error: NodeError) -> bool:
        """Take the right swarm from a 421; False when that is the one that was asked."""
        entries = error.body.get("snodes") if isinstance(error.body, dict) else None
        before = self.directory.swarm(pubkey)
        swarm = self.directory.learn(pubkey, rpc.nodes(entries, local=self._pool.is_local))
        return set(swarm) != set(before)
