"""The list of nodes: from pinned seeds, kept for a day, and still used when no seed answers."""

import asyncio
import logging
import random
from collections.abc import Callable

import orjson

from sessionbot_kit.channels.session_messenger import rpc
from sessionbot_kit.channels.session_messenger.directory import Directory
from sessionbot_kit.channels.session_messenger.rpc import Node
from sessionbot_kit.channels.session_messenger.seeds import Seed, question, states
from sessionbot_kit.channels.session_messenger.state import State
from sessionbot_kit.channels.session_messenger.web import open_web, post
from sessionbot_kit.errors import ChannelError, NodeError

log = logging.getLogger(__name__)

MAX_POOL_BYTES = 4_000_000
POOL_KEPT_S = 24 * 3_600
POOL_HURRY_S = 600


class NodePool:
    """Fills a directory."""

    def __init__(
        self,
        directory: Directory,
        state: State,
        *,
        seeds: tuple[Seed, ...],
        proxy: str | None,
        timeout_s: float,
        now: Callable[[], float],
        chance: random.Random,
    ) -> None:
        self.is_local = all(seed.is_local for seed in seeds)
        self._directory = directory
        self._state = state
        self._seeds = seeds
        self._proxy = proxy
        self._timeout_s = timeout_s
        self._now = now
        self._chance = chance
        self._filling = asyncio.Lock()

    async def fill(self, *, hurry: bool = False) -> None:
        """Have a list that is at most a day old; in a hurry, at most ten minutes."""
        async with self._filling:
            kept, at = self._state.nodes(local=self.is_local)
            age_s = self._now() - at / 1000
            if kept and 0 <= age_s < (POOL_HURRY_S if hurry else POOL_KEPT_S):
                if not self._directory.pool:
                    self._directory.fill(kept)
                return
            try:
                found = await self._ask_seeds()
            except NodeError as error:
                if not kept:
                    raise ChannelError(f"no seed answers: {error}. Try again later") from error
                log.warning("seeds do not answer", extra={"error": str(error)})
                if not self._directory.pool:
                    self._directory.fill(kept)
                return
            self._directory.fill(found)
            self._state.set_nodes(found, int(self._now() * 1000))

    async def _ask_seeds(self) -> tuple[Node, ...]:
        fault = NodeError(0, "there are no seeds")
        for seed in self._chance.sample(self._seeds, len(self._seeds)):
            context = seed.context()
            try:
                async with open_web(
                    verify=context, proxy=self._proxy, timeout_s=self._timeout_s
                ) as web:
                    status, body = await post(
                        web,
                        f"{seed.url}/json_rpc",
                        orjson.dumps(question()),
                        limit=MAX_POOL_BYTES,
                        timeout_s=self._timeout_s,
                    )
                if found := rpc.nodes(states(status, body), local=self.is_local):
                    return found
                fault = NodeError(status, f"{seed.url} names no nodes")
            except NodeError as error:
                fault = error
        raise fault
