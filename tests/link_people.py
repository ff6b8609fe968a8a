"""Those who meet on a WebSocket link: a pair of ends, and a peer that does as it likes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import UnionType
from typing import Any, Literal

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from sessionbot_kit.control import Control, Greeting, Report, Terms
from sessionbot_kit.link import Event, Link, Result
from sessionbot_kit.links.websocket import (
    BINARY,
    TEXT,
    Backoff,
    ClientLink,
    LinkServer,
    Rules,
    WebSocketLink,
    connect_link,
    serve_links,
)
from sessionbot_kit.links.websocket.envelope import ControlCodec
from sessionbot_kit.models import Media, OutgoingMessage
from tests.cutting_proxy import Choose, CuttingProxy

Codec = Literal["binary", "text"]

SESSION = "a-session-with-a-long-name"


def now() -> float:
    return asyncio.get_running_loop().time()


def at_once() -> Backoff:
    """Call again without waiting."""
    return Backoff(lambda: 0.0)


def note(number: int, turn: str = "t1") -> Event:
    return Event(turn, "note", {"number": number})


def parcel(number: int, size: int, turn: str = "t1") -> Result:
    """A frame with an attachment of so many bytes."""
    data = number.to_bytes(4, "big") * (size // 4 + 1)
    media = Media.from_bytes(data[:size], name=f"{number}.bin")
    reply = OutgoingMessage(channel_type="web", channel_id="c", content="", media=(media,))
    return Result(turn, number, 1, (reply,))


class Hall:
    """A server, and the links that were made on it, in order."""

    def __init__(self) -> None:
        self.links: asyncio.Queue[Link] = asyncio.Queue()
        self.server: LinkServer

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.server.port}"

    async def link(self, session: str | None = None) -> WebSocketLink:
        """The next link that was made, or the next of a session."""
        while True:
            link = await self.links.get()
            assert isinstance(link, WebSocketLink)
            if session in (None, link.exchange.wire.session):
                return link


@asynccontextmanager
async def hall(**options: Any) -> AsyncIterator[Hall]:
    found = Hall()
    async with serve_links(found.links.put_nowait, port=0, **options) as found.server:
        yield found


@asynccontextmanager
async def joined(
    place: Hall, port: int | None = None, **options: Any
) -> AsyncIterator[tuple[WebSocketLink, ClientLink]]:
    """The gateway's end and the kernel's."""
    url = place.url if port is None else f"ws://127.0.0.1:{port}"
    options.setdefault("backoff", at_once())
    async with connect_link(url, **options) as kernel_end:
        yield await place.link(kernel_end.exchange.wire.session), kernel_end


@asynccontextmanager
async def cuttable(
    *,
    cut_after: Choose | None = None,
    slice_bytes: Choose = lambda: 65_536,
    latency_s: float = 0.0,
    rules: Rules | None = None,
    **options: Any,
) -> AsyncIterator[tuple[Hall, CuttingProxy, WebSocketLink, ClientLink]]:
    """A hall, the gateway's end and the kernel's, and a proxy between them that misbehaves."""
    async with hall(rules=rules) as place, CuttingProxy(place.server.port) as proxy:
        proxy.cut_after, proxy.slice_bytes = cut_after, slice_bytes
        proxy.latency_s = latency_s
        async with joined(place, proxy.port, rules=rules, **options) as (gateway, kernel):
            yield place, proxy, gateway, kernel


class RawPeer:
    """Somebody with a WebSocket and no manners: it sends whatever bytes it is told to."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.codec = ControlCodec(str(socket.subprotocol))

    async def say(self, control: Control) -> None:
        for data in self.codec.frames(control):
            await self.socket.send(data, text=self.socket.subprotocol == TEXT)

    async def greet(self, *, session: str = SESSION, epoch: str = "", **terms: int) -> Greeting:
        await self.say(Greeting(session, epoch, Terms(**terms), Report()))
        answer = await self.hear()
        assert isinstance(answer, Greeting)
        return answer

    async def hear(self, kind: type[Control] | UnionType = Control) -> Control:
        """The next control value of a kind; everything else is passed over."""
        while True:
            data = await self.socket.recv(decode=False)
            if b"$" in data[:20] and isinstance(found := self.codec.feed(data, 0.0), kind):
                return found

    async def how_it_ends(self) -> int | None:
        """Read on until the server closes; the close code."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.socket.recv(decode=False)
        return self.socket.close_code


@asynccontextmanager
async def raw_peer(
    place: Hall, *, subprotocol: str = BINARY, token: str | None = None
) -> AsyncIterator[RawPeer]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with connect(
        place.url,
        subprotocols=[Subprotocol(subprotocol)],
        additional_headers=headers,
        compression=None,
        proxy=None,
        close_timeout=0.1,
    ) as socket:
        yield RawPeer(socket)
