"""The plugin kernel's side: one session, called again as often as its connection breaks.

    async with connect_link("ws://127.0.0.1:8089", token="s3cret") as link:
        await kernel.serve(link)

The link is open when it is handed over. From then on a broken connection is only a delay. When
the server has forgotten the session, `link.recovered` becomes False, what was on its way is lost,
and the last Hello is said again before anything else. The one rule to remember: a server that
refuses us, or that let a newer connection take our place, is not called again.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Generator
from http import HTTPStatus
from typing import Literal, Self
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from sessionbot_kit.backoff import Backoff
from sessionbot_kit.crew import Crew
from sessionbot_kit.errors import UsageError
from sessionbot_kit.ids import new_id
from sessionbot_kit.lanes import Lanes
from sessionbot_kit.links.websocket.exchange import Exchange
from sessionbot_kit.links.websocket.link import WebSocketLink, warn_if_slow
from sessionbot_kit.links.websocket.rules import (
    BINARY,
    FINAL_CODES,
    STEP_BYTES,
    TEXT,
    VIOLATIONS,
    Rules,
)
from sessionbot_kit.links.websocket.sockets import ClientSocket, Connection
from sessionbot_kit.links.websocket.tap import Tap
from sessionbot_kit.links.websocket.upgrade import is_loopback
from sessionbot_kit.wire import Wire

log = logging.getLogger(__name__)

MAX_VIOLATIONS = 3  # connections in a row that ended because somebody broke the rules
MAY_COME_BACK = (429, 500, 502, 503, 504)

Sleep = Callable[[float], Awaitable[None]]


class ClientLink(WebSocketLink):
    """A link that calls again."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None,
        codec: Literal["binary", "text"],
        rules: Rules,
        tap: Tap,
        give_up_after_s: float | None,
        backoff: Backoff,
        sleep: Sleep,
    ) -> None:
        address = urlsplit(url)
        if address.scheme not in ("ws", "wss") or not address.hostname:
            raise UsageError(f"{url!r} is not a WebSocket address; write ws://host:port")
        subprotocol = BINARY if codec == "binary" else TEXT
        lanes = Lanes(
            step=STEP_BYTES if codec == "binary" else 1,
            max_messages=rules.outbox_messages,
            max_bytes=rules.outbox_bytes,
        )
        wire = Wire(new_id(), terms=rules.terms, lanes=lanes)
        name = address.netloc.rpartition("@")[2]
        super().__init__(name, Exchange(wire, subprotocol, rules, tap, name), rules)
        self._url = url
        self._loopback = is_loopback(address.hostname)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._give_up_after_s = give_up_after_s
        self._backoff = backoff
        self._sleep = sleep
        self._violations = 0
        self._unreachable = False
        self._crew = Crew(f"link to {name}")

    async def open(self) -> Self:
        """Connect for the first time; LinkClosed when that cannot be."""
        warn_if_slow()
        if self._headers and not self._loopback and self._url.startswith("ws:"):
            log.warning("a token is sent without TLS", extra={"link": self.name, "fix": "wss://"})
        self._crew.start(self._stay_connected(), "connection")
        self._give_up_later("nobody answered")
        try:
            await self.opened.wait()
        except BaseException:
            self.finish("it was given up before it was open")
            await self._crew.stop()
            raise
        if not self._wire.epoch:  # it never met the server
            await self._crew.stop()
            raise self._goodbye()
        return self

    async def close(self, reason: str = "") -> None:
        await super().close(reason)
        await self._crew.stop()

    async def _stay_connected(self) -> None:
        while self.closed is None:
            try:
                await self._connect()
            except InvalidStatus as error:
                status = error.response.status_code
                if status not in MAY_COME_BACK:
                    said = (error.response.body or b"").decode(errors="replace").strip()[:200]
                    if status == HTTPStatus.UNAUTHORIZED:
                        said += " Give it as token=...; it is the gateway's setting gateway.token."
                    self.finish(f"the server refused us with {status}: {said}")
                    return
                self._note_failure(f"the server is busy, {status}")
            except (OSError, TimeoutError, EOFError, InvalidHandshake) as error:
                self._note_failure(str(error) or type(error).__name__)
            except Exception:
                log.exception("connection failed", extra={"link": self.name})
            if self.closed is None:
                await self._sleep(self._backoff.delay())

    def _note_failure(self, error: str) -> None:
        """Say it once; that it goes on is no news until it has worked in between."""
        level = logging.DEBUG if self._unreachable else logging.WARNING
        self._unreachable = True
        log.log(
            level,
            "no connection, calling on until there is one",
            extra={"link": self.name, "error": error},
        )

    async def _connect(self) -> None:
        rules = self._rules
        async with connect(
            self._url,
            subprotocols=[Subprotocol(self.exchange.subprotocol)],
            compression=None,
            additional_headers=self._headers,
            user_agent_header=None,
            proxy=None if self._loopback else True,
            open_timeout=rules.open_timeout_s,
            ping_interval=rules.ping_interval_s,
            ping_timeout=rules.ping_timeout_s,
            close_timeout=rules.close_timeout_s,
            max_size=rules.limits.frame_bytes,
            write_limit=STEP_BYTES,
            create_connection=ClientSocket,
        ) as socket:
            assert isinstance(socket, ClientSocket)
            if socket.subprotocol != self.exchange.subprotocol:
                self.finish(f"the server does not speak {self.exchange.subprotocol}")
                return
            since = self._loop.time()
            self._unreachable = False
            connection = Connection(socket)
            self._call(connection)
            await self.attach(connection)
        self._backoff.lasted(self._loop.time() - since)
        self._judge(connection)
        self._give_up_later("the server did not come back")

    def _judge(self, connection: Connection) -> None:
        """Decide whether it makes sense to call again."""
        code, reason = connection.code, connection.reason
        self._violations = self._violations + 1 if code in VIOLATIONS else 0
        if code in FINAL_CODES:
            self.finish(f"the server has ended it with {code}: {reason}")
        elif self._violations >= MAX_VIOLATIONS:
            self.finish(f"the rules were broken {self._violations} times, last: {reason}")

    def _give_up_later(self, reason: str) -> None:
        if self._give_up_after_s is not None:
            self.expire_after(self._give_up_after_s, reason)


class Connecting:
    """A link to be: await it, or enter it to have it closed at the end."""

    def __init__(self, link: ClientLink) -> None:
        self.link = link

    def __await__(self) -> Generator[None, None, ClientLink]:
        return self.link.open().__await__()

    async def __aenter__(self) -> ClientLink:
        return await self.link.open()

    async def __aexit__(self, *exc_info: object) -> None:
        await self.link.close()


def connect_link(
    url: str,
    *,
    token: str | None = None,
    codec: Literal["binary", "text"] = "binary",
    rules: Rules | None = None,
    tap: Tap | None = None,
    give_up_after_s: float | None = None,
    backoff: Backoff | None = None,
    sleep: Sleep = asyncio.sleep,
) -> Connecting:
    """Join a gateway. Without `give_up_after_s` it is called until it answers, now and later."""
    return Connecting(
        ClientLink(
            url,
            token=token,
            codec=codec,
            rules=rules or Rules(),
            tap=tap or Tap(),
            give_up_after_s=give_up_after_s,
            backoff=backoff or Backoff(random.random),
            sleep=sleep,
        )
    )
