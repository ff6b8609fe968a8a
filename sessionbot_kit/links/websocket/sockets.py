"""Sockets that hand each frame over at once, and how a connection ends.

    connection = Connection(socket)
    connection.listen(take)                 # each message, as soon as its bytes are here
    connection.end(1008, "a reason")        # whoever finds out says so; the first one is heard
    await connection.over.wait()
    await connection.close(timeout_s)

`websockets` queues what arrives for a task that waits in `recv`; waking it costs as much as all
the rest of a short message. Here the bytes are taken where they come in, which is safe because
the sender has no more credit than we have room. The one rule to remember: a handler must not wait.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection, broadcast
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.protocol import Event

from sessionbot_kit.errors import FragmentError, WireError
from sessionbot_kit.links.websocket.envelope import ControlCodec
from sessionbot_kit.links.websocket.rules import (
    BAD_TEXT,
    BINARY,
    INTERNAL,
    NORMAL,
    POLICY,
    TOO_BIG,
    Bucket,
)

log = logging.getLogger(__name__)

Handler = Callable[[bytes], None]

MAX_REASON_BYTES = 123  # RFC 6455, section 5.5
MAX_PARTS = 64  # continuation frames of one message
MAX_EARLY = 16  # messages that come before anybody listens


class _Direct:
    """Takes data frames out of the stream of events before they are queued."""

    sink: Handler | None = None
    pings: Bucket | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.early: list[bytes] = []
        self.on_abuse: Callable[[str], None] = lambda reason: self.transport.abort()  # type: ignore[attr-defined]  # of the other base class
        self._parts: list[bytes] = []

    def process_event(self, event: Event) -> None:
        if isinstance(event, Frame) and self.subprotocol is not None:  # type: ignore[attr-defined]  # of the other base class
            if event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self._take(event)
                return
            if self.pings is not None and self.pings.overflows(asyncio.get_running_loop().time()):
                self.on_abuse("too many pings; send fewer")
        super().process_event(event)  # type: ignore[misc]  # of the other base class

    def _take(self, frame: Frame) -> None:
        data = bytes(frame.data)
        if self._parts or not frame.fin:
            self._parts.append(data)
            if not frame.fin:
                if len(self._parts) >= MAX_PARTS:
                    self.on_abuse("a message came in too many parts; send larger ones")
                return
            data = b"".join(self._parts)
            self._parts = []
        if self.sink is not None:
            self.sink(data)
        elif len(self.early) < MAX_EARLY:
            self.early.append(data)
        else:
            self.on_abuse("too many messages before the greeting was answered")


class ServerSocket(_Direct, ServerConnection):
    """The gateway's end of a WebSocket, and whose it is."""

    identity = ""


class ClientSocket(_Direct, ClientConnection):
    """The kernel's end of a WebSocket."""


Socket = ServerSocket | ClientSocket


class Connection:
    """A socket in use, and how it ended."""

    def __init__(self, socket: Socket) -> None:
        subprotocol = str(socket.subprotocol)
        self.socket = socket
        self.text = subprotocol != BINARY
        self.codec = ControlCodec(subprotocol)
        self.sending_since: float | None = None
        self.writer_waits = False
        self.code: int | None = None
        self.reason = ""
        self.over = asyncio.Event()
        self._handler: Handler | None = None
        socket.on_abuse = lambda reason: self.end(POLICY, reason)

    def listen(self, handler: Handler | None) -> None:
        """Hand what arrives to `handler`, and what has arrived already; None keeps it back."""
        self._handler = handler
        self.socket.sink = self._take if handler is not None else None
        while self._handler is not None and self.socket.early:
            self._take(self.socket.early.pop(0))

    def _take(self, data: bytes) -> None:
        if self.over.is_set() or self._handler is None:
            return
        try:
            self._handler(data)
        except FragmentError as error:
            self.end(BAD_TEXT if error.code == "bad_utf8" else TOO_BIG, str(error))
        except WireError as error:
            self.end(POLICY, str(error))
        except Exception:
            log.exception("a frame could not be taken")
            self.end(INTERNAL, "our fault")

    @property
    def backlog(self) -> int:
        """Bytes that the socket has not taken yet."""
        size: int = self.socket.transport.get_write_buffer_size()
        return size

    def send_now(self, data: bytes) -> None:
        """Send without waiting; look at `backlog` first."""
        broadcast((self.socket,), data, text=self.text)

    async def send(self, data: bytes) -> None:
        """Send, and wait while the socket is full."""
        try:
            await self.socket.send(data, text=self.text)
        except ConnectionClosed as error:
            self.lost(error)

    async def until_lost(self) -> None:
        """Wait for the socket to close by itself."""
        try:
            await self.socket.recv()
        except ConnectionClosed as error:
            self.lost(error)

    def lost(self, error: ConnectionClosed) -> None:
        close = error.rcvd or error.sent
        if close is not None:
            self.end(close.code, close.reason)
        else:
            self.end(None, "without a close frame")

    def end(self, code: int | None, reason: str = "") -> None:
        """Say that it is over, and with which close code: theirs or ours, None without one."""
        if not self.over.is_set():
            self.code, self.reason = code, reason
            self.over.set()

    async def close(self, timeout_s: float) -> None:
        """Close the socket with what `end` was told; a peer that does not read cannot stop us."""
        reason = self.reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
        try:
            async with asyncio.timeout(timeout_s):
                await self.socket.close(self.code or NORMAL, reason)
        except TimeoutError:
            self.socket.transport.abort()
