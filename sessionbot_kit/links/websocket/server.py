"""The gateway's side: many plugin kernels, each with a session that outlives its connections.

    async with serve_links(gateway.serve, check_token=one_token("s3cret")) as server:
        print(server.port)

`on_link` is called once a session, with its link; if it is a coroutine, the link closes when it
returns. A connection that breaks leaves the session waiting for `linger_s`; a newer connection
of a session takes the place of the older one. The one rule to remember: who may connect is
decided on the HTTP request, before anything is kept for the caller.
"""

import asyncio
import inspect
import logging
import os
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import NegotiationError
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from sessionbot_kit.control import Greeting
from sessionbot_kit.crew import Crew
from sessionbot_kit.errors import UsageError, WireError
from sessionbot_kit.ids import new_id
from sessionbot_kit.lanes import Lanes
from sessionbot_kit.link import Link
from sessionbot_kit.links.websocket.envelope import message_id_of
from sessionbot_kit.links.websocket.exchange import Exchange
from sessionbot_kit.links.websocket.link import WebSocketLink, warn_if_slow
from sessionbot_kit.links.websocket.rules import (
    BINARY,
    DEFAULT_PORT,
    GOING_AWAY,
    INTERNAL,
    NORMAL,
    POLICY,
    REFUSED,
    STEP_BYTES,
    SUBPROTOCOLS,
    Bucket,
    Rules,
)
from sessionbot_kit.links.websocket.sockets import Connection, ServerSocket
from sessionbot_kit.links.websocket.tap import Tap
from sessionbot_kit.links.websocket.upgrade import LOOPBACK, CheckToken, Gate, is_loopback
from sessionbot_kit.wire import Wire

log = logging.getLogger(__name__)

OnLink = Callable[[Link], Awaitable[None] | None]
OnOriginalPeer = Callable[[ServerConnection], Awaitable[None]]


@dataclass(slots=True)
class Hosted:
    """A session: its link, and who may come back to it."""

    link: WebSocketLink
    identity: str


class LinkServer:
    """Accepts connections and keeps the sessions."""

    def __init__(
        self,
        on_link: OnLink,
        *,
        host: str,
        port: int,
        gate: Gate,
        rules: Rules,
        tap: Tap,
        on_original_peer: OnOriginalPeer | None,
    ) -> None:
        self.host = host
        self.tap = tap
        self._on_link = on_link
        self._on_original_peer = on_original_peer
        self._port = port
        self._gate = gate
        self._rules = rules
        self._sessions: dict[str, Hosted] = {}
        self._crew = Crew("links")
        self._server: Server | None = None

    @property
    def port(self) -> int:
        """Where it listens; the port that was given out when 0 was asked for."""
        if self._server is None:
            return self._port
        port: int = next(iter(self._server.sockets)).getsockname()[1]
        return port

    @property
    def links(self) -> tuple[WebSocketLink, ...]:
        """The links of all sessions, connected or waited for."""
        return tuple(hosted.link for hosted in self._sessions.values())

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    async def start(self) -> Self:
        warn_if_slow()
        try:
            self._server = await self._serve(self._rules)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise UsageError(
                f"port {self._port} on {self.host} cannot be opened ({reason}); "
                "end what uses it, or choose another, 0 for any"
            ) from error
        return self

    async def _serve(self, rules: Rules) -> Server:
        return await serve(
            self._handle,  # type: ignore[arg-type]  # create_connection makes a ServerSocket
            self.host,
            self._port,
            compression=None,
            process_request=self._check,  # type: ignore[arg-type]  # as above
            select_subprotocol=self._select,
            create_connection=ServerSocket,
            open_timeout=rules.open_timeout_s,
            ping_interval=rules.ping_interval_s,
            ping_timeout=rules.ping_timeout_s,
            close_timeout=rules.close_timeout_s,
            max_size=rules.limits.frame_bytes,
            write_limit=STEP_BYTES,
            server_header=None,
        )

    async def stop(self) -> None:
        """Close the port and every connection; kernels call again until another server answers."""
        if self._server is not None:
            self._server.close()
            for link in self.links:
                link.finish("the server has stopped", GOING_AWAY)
            await self._server.wait_closed()
        await self._crew.stop()

    async def _check(self, socket: ServerSocket, request: Request) -> Response | None:
        assert self._server is not None
        now = socket.loop.time()
        address = str((socket.remote_address or ("?",))[0])
        original = (
            self._on_original_peer is not None and "Sec-WebSocket-Protocol" not in request.headers
        )
        found = await self._gate.check(request.headers, address, now, original=original)
        if isinstance(found, str):
            others = self._server.connections
            same = sum(getattr(other, "identity", "") == found for other in others)
            if len(others) < self._rules.max_connections and (
                self._gate.open or same < self._rules.max_connections_of_one
            ):
                socket.identity = found
                socket.pings = Bucket(self._rules.pings, self._rules.pings_per_s, at=now)
                return None
            found = HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections; try again later.\n"
        log.warning("connection refused", extra={"address": address, "status": found[0].value})
        return socket.respond(*found)

    def _select(
        self, socket: ServerConnection, offered: Sequence[Subprotocol]
    ) -> Subprotocol | None:
        if not offered and self._on_original_peer is not None:
            return None
        for subprotocol in offered:
            if subprotocol in SUBPROTOCOLS:
                return subprotocol
        raise NegotiationError(f"offer one of the subprotocols {', '.join(SUBPROTOCOLS)}")

    async def _handle(self, socket: ServerSocket) -> None:
        if socket.subprotocol is None:
            assert self._on_original_peer is not None
            await self._on_original_peer(socket)
            return
        connection = Connection(socket)
        try:
            greeting = await self._greeting(connection)
            link = self._welcome(greeting, connection, socket.identity)
        except WireError as error:
            connection.end(POLICY, str(error))
        except PermissionError as error:
            connection.end(REFUSED, str(error))
        else:
            try:
                await link.attach(connection)
            finally:
                link.expire_after(self._rules.linger_s, "the kernel did not come back")
            return
        log.warning("no link made", extra={"peer": socket.identity, "reason": connection.reason})
        await connection.close(self._rules.close_timeout_s)

    async def _greeting(self, connection: Connection) -> Greeting:
        """Wait for the first word; the socket is not read beyond it."""
        first: list[Greeting] = []

        def take(data: bytes) -> None:
            if not message_id_of(data, self._rules.limits).startswith("$"):
                raise WireError("a message came before the greeting; say hello first")
            control = connection.codec.feed(data, 0.0)
            if control is None:
                return
            if not isinstance(control, Greeting):
                raise WireError(f"{control.type} came before the greeting; say hello first")
            first.append(control)
            connection.listen(None)
            heard.set()

        heard = asyncio.Event()
        connection.listen(take)
        async with asyncio.TaskGroup() as group:
            waits = [
                group.create_task(wait())
                for wait in (heard.wait, connection.until_lost, connection.over.wait)
            ]
            await asyncio.wait(
                waits, timeout=self._rules.greeting_timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
            for wait in waits:
                wait.cancel()
        if first:
            return first[0]
        raise WireError(connection.reason or "no greeting came; say hello first")

    def _welcome(self, greeting: Greeting, connection: Connection, identity: str) -> WebSocketLink:
        hosted = self._sessions.get(greeting.session)
        if hosted is not None:
            if hosted.identity != identity:
                raise PermissionError("this session belongs to somebody else")
            link = hosted.link
            if link.exchange.subprotocol != connection.socket.subprotocol:
                raise WireError(f"this session speaks {link.exchange.subprotocol}; go on in it")
            link.detach()
            try:
                link.accept(greeting, connection)
            except WireError as error:
                # It speaks of an epoch that is not ours: both begin anew.
                link.finish(f"the kernel has begun anew ({error})")
            else:
                return link
        link = self._new_link(greeting, connection, identity)
        link.accept(greeting, connection)
        self._sessions[greeting.session] = hosted = Hosted(link, identity)
        self._crew.start(self._host(greeting.session, hosted), f"link {link.name}")
        return link

    def _new_link(self, greeting: Greeting, connection: Connection, identity: str) -> WebSocketLink:
        self._make_room()
        rules = self._rules
        subprotocol = str(connection.socket.subprotocol)
        wire = Wire(
            greeting.session,
            epoch=new_id(),
            terms=rules.terms,
            lanes=Lanes(
                step=STEP_BYTES if subprotocol == BINARY else 1,
                max_messages=rules.outbox_messages,
                max_bytes=rules.outbox_bytes,
            ),
        )
        name = f"{identity}/{greeting.session[-8:]}"  # the first ones are the time
        exchange = Exchange(wire, subprotocol, rules, self.tap, name)
        return WebSocketLink(name, exchange, rules, identity=identity)

    def _make_room(self) -> None:
        # Sessions that nobody is connected to wait for their kernels, but not without a bound.
        if len(self._sessions) >= 2 * self._rules.max_connections:
            waiting = (hosted.link for hosted in self._sessions.values())
            oldest = next((link for link in waiting if not link.connected), None)
            if oldest is not None:
                oldest.finish("too many sessions wait for their kernels")

    async def _host(self, session: str, hosted: Hosted) -> None:
        link = hosted.link
        code, reason = NORMAL, "the server has closed it"
        try:
            work = self._on_link(link)
            if inspect.isawaitable(work):
                await work
                await link.close()
            await link.wait_closed()
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("a link's handler failed", extra={"link": link.name})
            code, reason = INTERNAL, "its handler failed"
        finally:
            link.finish(reason, code)
            if self._sessions.get(session) is hosted:
                del self._sessions[session]


def serve_links(
    on_link: OnLink,
    *,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    check_token: CheckToken | None = None,
    hosts: Collection[str] = (),
    origins: Collection[str] = (),
    rules: Rules | None = None,
    tap: Tap | None = None,
    on_original_peer: OnOriginalPeer | None = None,
) -> LinkServer:
    """Serve links while the result is entered; `hosts` and `origins` are allowed besides our own.

    Only a loopback address may be served without `check_token`, and only there may peers connect
    that speak no subprotocol, which `on_original_peer` takes.
    """
    if not is_loopback(host) and (check_token is None or on_original_peer is not None):
        raise UsageError(
            f"links would be served on {host} to anybody; give check_token, and serve original "
            "peers on 127.0.0.1 only"
        )
    gate = Gate(hosts=(*LOOPBACK, host, *hosts), origins=origins, check_token=check_token)
    return LinkServer(
        on_link,
        host=host,
        port=port,
        gate=gate,
        rules=rules or Rules(),
        tap=tap or Tap(),
        on_original_peer=on_original_peer,
    )
