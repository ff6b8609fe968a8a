"""Takes plugin kernels in, over whatever link they come, and shows watchers what passes.

    reception.take(link)                              # a kernel on the other end of it
    port = await reception.open(port=8089)            # and whoever calls there
    ...
    await reception.close()

A kernel introduces itself with `Hello` and is offered turns from then on. Whoever sends `Watch`
instead is told what passes on the wire, and can answer nothing.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from sessionbot_kit.crew import Crew
from sessionbot_kit.errors import LinkClosed, UsageError
from sessionbot_kit.link import (
    Bye,
    Event,
    Hello,
    Link,
    Offer,
    Result,
    Step,
    Stepped,
    Watch,
    Watched,
)
from sessionbot_kit.switchboard import Switchboard

if TYPE_CHECKING:  # WebSockets cost a third of a bot's start, and few bots open a port
    from sessionbot_kit.links.websocket import CheckToken, LinkServer, Passing, Tap

log = logging.getLogger(__name__)

WATCH_EVERY_S = 0.1
WATCH_AT_MOST = 200


class Reception:
    """Every link that the gateway has, and the port where more may come in."""

    def __init__(
        self, switchboard: Switchboard, show_event: Callable[[Event], None] = lambda event: None
    ) -> None:
        self._switchboard = switchboard
        self._show_event = show_event
        self._crew = Crew("links")
        self._server: LinkServer | None = None
        self.tap: Tap | None = None

    @property
    def port(self) -> int | None:
        """Where links are served; None while no port is open."""
        return None if self._server is None else self._server.port

    def take(self, link: Link) -> None:
        """Serve a link in the background, until it closes."""
        self._crew.start(self._converse(link), f"link {link.name}")

    async def open(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 8089,
        token: str | None = None,
        check_token: "CheckToken | None" = None,
        **options: Any,
    ) -> int:
        """Open a port for kernels of other processes; return it."""
        from sessionbot_kit.links.websocket import Tap, one_token, serve_links  # see above

        if self._server is not None:
            raise UsageError(f"port {self.port} is open already; close it first")
        self.tap = Tap()
        server = serve_links(
            self._converse,
            host=host,
            port=port,
            check_token=check_token or (one_token(token) if token else None),
            tap=self.tap,
            **options,
        )
        self._server = await server.start()
        return self._server.port

    async def close(self) -> None:
        """Close the port and every link."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop()
        await self._crew.stop()

    async def _converse(self, link: Link) -> None:
        politely = False
        try:
            async for frame in link:
                match frame:
                    case Hello():
                        self._switchboard.join(link, frame)
                    case Step() | Result():
                        if not self._switchboard.answer(link, frame) and isinstance(frame, Step):
                            await link.send(
                                Stepped(frame.turn, frame.attempt, frame.epoch, ok=False)
                            )
                    case Watch():
                        self._crew.start(self._show(link, frame.what), f"watcher {link.name}")
                    case Bye():
                        politely = True
                        break
                    case Event():
                        self._show_event(frame)
                    case Offer() | Stepped() | Watched():
                        log.debug("frame ignored", extra={"frame": type(frame).__name__})
        finally:
            self._switchboard.leave(link, politely=politely)
            await link.close()

    async def _show(self, link: Link, what: str) -> None:
        """Tell a watcher what passes, in handfuls; a slow one loses the oldest."""
        if what != "wire" or self.tap is None:
            await link.send(Watched(what, error=f"there is no {what} to watch; watch wire"))
            return
        try:
            with self.tap.listen() as passing:
                await link.send(Watched(what))  # from here on nothing is missed
                while True:
                    await asyncio.sleep(WATCH_EVERY_S)
                    if (told := _handful(passing, but=link.name)) is not None:
                        await link.send(told)
        except LinkClosed:
            log.debug("watcher left", extra={"link": link.name})


def _handful(passing: "Passing", *, but: str) -> Watched | None:
    # What goes to the watcher itself passes too: telling it of that would never end.
    seen = [frame for frame in passing.take() if frame.link != but]
    lost, passing.dropped = passing.dropped + max(0, len(seen) - WATCH_AT_MOST), 0
    if not seen and not lost:
        return None
    events: tuple[dict[str, JsonValue], ...] = tuple(
        {
            "link": frame.link,
            "way": frame.way,
            "id": frame.id,
            "position": frame.position,
            "bytes": frame.frame_bytes,
            "age_s": round(frame.age_s, 6),
            "state": frame.state,
        }
        for frame in seen[-WATCH_AT_MOST:]
    )
    return Watched("wire", events, lost)
