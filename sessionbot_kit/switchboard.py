"""Which plugin kernels are connected, and one turn's way to one of them and back.

    switchboard.join(link, hello)
    choice = await switchboard.serving("!echo hello")       # waits while no kernel is there
    result = await switchboard.ask(choice.by, offer)

Results carry (turn, attempt, epoch). One that nobody waits for any more is refused: a kernel that
was frozen and comes back late changes nothing.
"""

import asyncio
import logging
from collections.abc import Iterator

from sessionbot_kit.errors import LinkClosed
from sessionbot_kit.link import Hello, Link, Offer, Result
from sessionbot_kit.routes import Choice, Route, choose

log = logging.getLogger(__name__)


class Switchboard:
    """Knows every connected kernel and every turn that is out."""

    def __init__(self) -> None:
        self._kernels: dict[Link, Hello] = {}
        self._out: dict[str, tuple[Offer, Link, asyncio.Future[Result]]] = {}
        self._joined = asyncio.Event()

    def join(self, link: Link, hello: Hello) -> None:
        """A kernel is here, or says anew what it serves."""
        self._kernels[link] = hello
        self._joined.set()
        log.info("kernel joined", extra={"kernel": hello.kernel, "routes": len(hello.routes)})

    def leave(self, link: Link) -> None:
        """A kernel has gone; the turns it had are offered again by whoever waits for them."""
        hello = self._kernels.pop(link, None)
        if not self._kernels:
            self._joined.clear()
        for _, by, waiting in self._out.values():
            if by is link and not waiting.done():
                waiting.set_exception(LinkClosed(f"the kernel on {link.name} has gone"))
        if hello is not None:
            log.info("kernel left", extra={"kernel": hello.kernel})

    async def serving(self, content: str) -> Choice[Link] | None:
        """Who answers this text; None when kernels are here and none wants it."""
        await self._joined.wait()
        return choose(content, self._served())

    async def ask(self, link: Link, offer: Offer) -> Result:
        """Offer a turn and wait for its result; LinkClosed when the kernel goes meanwhile."""
        waiting: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._out[offer.turn] = (offer, link, waiting)
        try:
            await link.send(offer)
            return await waiting
        finally:
            del self._out[offer.turn]

    def answer(self, link: Link, result: Result) -> None:
        """A kernel has an answer; it counts only from the kernel that was asked, for this try."""
        offer, by, waiting = self._out.get(result.turn, (None, None, None))
        current = offer is not None and (offer.attempt, offer.epoch) == (
            result.attempt,
            result.epoch,
        )
        if waiting is None or by is not link or not current or waiting.done():
            log.warning("stale result refused", extra={"turn": result.turn, "link": link.name})
            return
        waiting.set_result(result)

    def kernel_name(self, link: Link) -> str:
        hello = self._kernels.get(link)
        return hello.kernel if hello is not None else link.name

    def routes(self) -> list[Route]:
        return [route for _, route in self._served()]

    def _served(self) -> Iterator[tuple[Link, Route]]:
        for link, hello in self._kernels.items():
            for route in hello.routes:
                yield link, route
