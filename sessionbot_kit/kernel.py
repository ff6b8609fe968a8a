"""Runs plugins for a gateway, wherever that is. It keeps nothing: a turn brings all it needs.

    kernel = PluginKernel(echo)
    async with kernel:
        await kernel.serve(link)                   # until the link closes

Not to be mixed up with a Jupyter kernel, which is always called that.
"""

import logging
import os
from typing import Self

from sessionbot_kit.crew import Crew
from sessionbot_kit.errors import LinkClosed
from sessionbot_kit.link import Bye, Frame, Hello, Link, Offer
from sessionbot_kit.registry import Declared, Registry
from sessionbot_kit.runner import run

log = logging.getLogger(__name__)


class PluginKernel:
    """The registry and runner of plugins."""

    def __init__(
        self,
        *plugins: Declared,
        bot: str = "bot",
        name: str | None = None,
        turn_timeout_s: float = 30.0,
        drain_s: float = 5.0,
    ) -> None:
        self.bot = bot
        self.name = name or f"kernel {os.getpid()}"
        self.registry = Registry(plugins)
        self._turn_timeout_s = turn_timeout_s
        self._drain_s = drain_s
        self._links: list[Link] = []
        self._crew = Crew(self.name)

    async def start(self) -> Self:
        """Start the plugins: all of them or none."""
        if not self.registry.running:
            await self.registry.start()
        return self

    async def stop(self) -> None:
        """Say good-bye, let running turns end within the deadline, stop the plugins."""
        await self._crew.stop(drain_s=self._drain_s)
        for link in list(self._links):
            await _try_send(link, Bye("the kernel stops"))
        await self.registry.stop()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    async def add(self, plugin: Declared) -> None:
        """Join a plugin; when the kernel runs, it serves from now on."""
        if not self.registry.running:
            self.registry.add(plugin)
            return
        await self.registry.start_one(plugin)
        for link in self._links:
            await link.send(self._hello())

    async def serve(self, link: Link) -> None:
        """Introduce ourselves and run what is offered, until the link closes."""
        self._links.append(link)
        try:
            await link.send(self._hello())
            async for frame in link:
                if isinstance(frame, Offer):
                    self._crew.start(self._run(link, frame), f"turn {frame.turn}")
        finally:
            self._links.remove(link)

    async def _run(self, link: Link, offer: Offer) -> None:
        result = await run(self.registry, offer, timeout_s=self._turn_timeout_s)
        await _try_send(link, result)

    def _hello(self) -> Hello:
        return Hello(bot=self.bot, kernel=self.name, routes=self.registry.routes())


async def _try_send(link: Link, frame: Frame) -> None:
    try:
        await link.send(frame)
    except LinkClosed:
        # The gateway offers the turn again, to whoever is there then.
        log.warning("result not delivered", extra={"link": link.name})
