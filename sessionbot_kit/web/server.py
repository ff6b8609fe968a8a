"""The server under the door: uvicorn, with less patience.

    async with listening(app, host="127.0.0.1", port=8080) as port: ...

It speaks HTTP and WebSocket; what it does not limit by itself is limited here: how long a head may
take and how large it may be, and how long somebody may not read what was sent. The one rule to
remember: whoever is slow is cut, and nobody else notices.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from sessionbot_kit.crew import Crew
from sessionbot_kit.errors import UsageError

HEAD_TIMEOUT_S: Final = 10.0
MAX_HEAD_BYTES: Final = 64 * 1024
READ_TIMEOUT_S: Final = 30.0  # for a client to take what was sent
MAX_FRAME_BYTES: Final = 256 * 1024


class PatientHttp(HttpToolsProtocol):
    """A connection that must hurry."""

    _timer: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_here()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._timer is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                return self.transport.abort()
        super().data_received(data)

    def on_message_begin(self) -> None:
        self._wait_for_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head_is_here()
        super().on_headers_complete()

    def timeout_keep_alive_handler(self) -> None:
        # To close waits until the other side has read everything, which it may never do.
        if not self.transport.is_closing():
            self.transport.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(READ_TIMEOUT_S, self.transport.abort)

    def resume_writing(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        super().resume_writing()

    def _wait_for_head(self) -> None:
        if self._timer is None:
            self._head_bytes = 0
            self._timer = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.abort)

    def _head_is_here(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class PatientSocket(WebSocketsSansIOProtocol):
    """A WebSocket that can be cut by whoever serves it."""

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):
            self.scope["sessionbot.abort"] = self.transport.abort  # type: ignore[typeddict-unknown-key]  # a key of ours

    def keepalive_timeout(self) -> None:
        self.transport.abort()


class _Server(uvicorn.Server):
    """Leaves signals to whoever started it, and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@asynccontextmanager
async def listening(
    app: Any,
    *,
    host: str,
    port: int,
    drain_s: float = 5.0,
    ping_s: float = 20.0,
    max_connections: int = 4_000,
    proxies: tuple[str, ...] = (),
) -> AsyncIterator[int]:
    """Serve an ASGI application; the port that it listens on."""
    bound = _bind(host, port)
    config = uvicorn.Config(
        app,
        http=PatientHttp,
        ws=PatientSocket,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        limit_concurrency=max_connections,
        timeout_keep_alive=20,
        timeout_graceful_shutdown=max(1, round(drain_s)),
        ws_max_size=MAX_FRAME_BYTES,
        ws_ping_interval=ping_s,
        ws_ping_timeout=ping_s,
        ws_per_message_deflate=False,  # a chat's frames are short, and its buffers are not
    )
    server, crew = _Server(config), Crew("web server")
    crew.start(server.serve(sockets=[bound]), "serve")
    try:
        await server.listening.wait()
        yield bound.getsockname()[1]
    finally:
        server.should_exit = True
        await crew.stop(drain_s=drain_s + 2.0)
        bound.close()


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        raise UsageError(
            f"nobody can listen on {host}:{port} ({error.strerror}); choose another port, or 0"
        ) from error
    return bound
