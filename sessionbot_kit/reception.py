"""Takes plugin kernels in, over whatever link they come, and shows watchers what passes.

    reception.take(link)                              # a kernel on the other end of it
    port = await reception.open(port=8089)            # and whoever calls there
    ...
    await reception.close()

A kernel introduces itself with `Hello` and is offered turns from then on; a shadow is offered
copies. Whoever sends `Watch` instead is told what passes on the wire, and can answer nothing. One
rule to remember: how far somebody may go is said by the token that opened the door, not by what
they say of themselves; and when that token is revoked, they have to leave.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from sessionbot_kit.crew import Crew
from sessionbot_kit.errors import LinkClosed, StoreError, UsageError
from sessionbot_kit.link import (
    Bye,
    Event,
    Frame,
    Hello,
    Link,
    Result,
    Step,
    Stepped,
    Watch,
    Watched,
)
from sessionbot_kit.shadows import Shadows
from sessionbot_kit.switchboard import Switchboard
from sessionbot_kit.tokens import Scope, TokenInfo, Tokens

if TYPE_CHECKING:  # WebSockets cost a third of a bot's start, and few bots open a port
    from sessionbot_kit.links.websocket import LinkServer, Passing, Tap

log = logging.getLogger(__name__)

WATCH_EVERY_S = 0.1
WATCH_AT_MOST = 200
LOOK_EVERY_S = 5.0  # whether the tokens of those who are here still stand
DOOR: tuple[Scope, ...] = ("kernel", "shadow", "watch")


class Reception:
    """Every link that the gateway has, and the port where more may come in."""

    def __init__(
        self,
        switchboard: Switchboard,
        shadows: Shadows,
        show_event: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self._switchboard = switchboard
        self._shadows = shadows
        self._tokens: Tokens | None = None
        self._shown: dict[str, TokenInfo] = {}  # tokens that opened the door, by their id
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
        tokens: Tokens | None = None,
        **options: Any,
    ) -> int:
        """Open a port for kernels of other processes; without tokens it is open to all."""
        from sessionbot_kit.links.websocket import Tap, serve_links  # see above

        if self._server is not None:
            raise UsageError(f"port {self.port} is open already; close it first")
        self.tap = Tap()
        server = serve_links(
            self._converse,
            host=host,
            port=port,
            check_token=None if tokens is None else self._check,
            tap=self.tap,
            **options,
        )
        self._server = await server.start()
        self._tokens = tokens
        if tokens is not None:
            self._crew.start(self._look_after(tokens), "tokens")
        return self._server.port

    async def close(self) -> None:
        """Close the port and every link."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop()
        await self._crew.stop()

    async def _check(self, secret: str) -> str:
        assert self._tokens is not None
        info = await self._tokens.check(secret, DOOR)
        self._shown[info.id] = info
        return info.id

    async def _look_after(self, tokens: Tokens) -> None:
        """See to it that whoever lost the right to be here leaves."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            for link in self._server.links if self._server is not None else ():
                info = self._info(link)
                try:
                    stands = info is None or await tokens.stands(info)
                except StoreError as error:
                    log.warning("tokens not looked at", extra={"error": str(error)})
                    break
                if not stands:
                    await self._refuse(link, "this token was revoked, or has expired")

    def _info(self, link: Link) -> TokenInfo | None:
        """The token that opened the door for a link; None where there is no door."""
        return self._shown.get(getattr(link, "identity", ""))

    def _refusal(self, link: Link, scope: Scope | None) -> str:
        """Why somebody may not go so far; empty if they may."""
        info = self._info(link)
        if scope is None or info is None or info.opens(scope):
            return ""
        return f"this token is for {info.scope} alone; use one for {scope}"

    async def _refuse(self, link: Link, reason: str) -> None:
        log.warning("link refused", extra={"link": link.name, "reason": reason})
        try:
            await link.send(Bye(reason))
        except LinkClosed:
            log.debug("link gone", extra={"link": link.name})
        await link.close()

    async def _converse(self, link: Link) -> None:
        guest = Guest(link)
        try:
            async for frame in link:
                refusal = self._refusal(link, guest.scope_of(frame))
                if refusal:
                    return await self._refuse(link, refusal)
                if isinstance(frame, Bye):
                    guest.politely = True
                    break
                if guest.is_shadow:
                    self._take_from_shadow(link, frame)
                else:
                    await self._take_from_kernel(link, frame)
        finally:
            self._shadows.leave(link)
            self._switchboard.leave(link, politely=guest.politely)
            await link.close()

    def _take_from_shadow(self, link: Link, frame: Frame) -> None:
        match frame:
            case Hello():
                self._shadows.join(link, frame)
            case Result():
                self._shadows.take(link, frame)
            case _:
                log.debug("frame ignored", extra={"frame": type(frame).__name__})

    async def _take_from_kernel(self, link: Link, frame: Frame) -> None:
        match frame:
            case Hello():
                self._switchboard.join(link, frame)
            case Step() | Result():
                if not self._switchboard.answer(link, frame) and isinstance(frame, Step):
                    await link.send(Stepped(frame.turn, frame.attempt, frame.epoch, ok=False))
            case Watch():
                self._crew.start(self._show(link, frame.what), f"watcher {link.name}")
            case Event():
                self._show_event(frame)
            case _:
                log.debug("frame ignored", extra={"frame": type(frame).__name__})

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


class Guest:
    """Somebody at the other end of a link: a kernel, a shadow, or a watcher."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.is_shadow = False
        self.politely = False

    def scope_of(self, frame: Frame) -> Scope | None:
        """What one must be allowed to for this; a shadow stays one."""
        match frame:
            case Hello():
                self.is_shadow = self.is_shadow or frame.shadow
                return "shadow" if self.is_shadow else "kernel"
            case Step() | Result() | Event():
                return "shadow" if self.is_shadow else "kernel"
            case Watch():
                return "watch"
        return None


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
