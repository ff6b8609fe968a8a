"""A small HTTP/1.1 server on asyncio streams, for 127.0.0.1 only.

    async with Server(answer, ssl_context) as server:
        server.port                     # free, chosen by the system

It is our own because a stand-in must also be able to break the protocol on purpose: hang up, cut
an answer in half, say nothing. A server that is made to behave well cannot be told to.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

MAX_HEAD_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; `sent` of its bytes leave before the line is cut (None: all of them)."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain"
    sent: int | None = None
    close: bool = False


HangUp = Response(status=0, sent=0)

Answer = Callable[[Request], Awaitable[Response]]


class Server:
    """Answers on a free port of 127.0.0.1 until the block ends; then every connection is cut."""

    def __init__(
        self,
        answer: Answer,
        ssl_context: ssl.SSLContext | None = None,
        *,
        max_body_bytes: int = 10_485_760,
    ) -> None:
        self._answer = answer
        self._ssl = ssl_context
        self._max_body_bytes = max_body_bytes
        self._lines: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._converse, "127.0.0.1", self.port, ssl=self._ssl, limit=MAX_HEAD_BYTES
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        for task, writer in self._lines.items():
            writer.transport.abort()
            task.cancel()
        if self._lines:
            await asyncio.wait(self._lines)
        await self._server.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._lines[task] = writer
        try:
            while (request := await self._read(reader)) is not None:
                response = request
                if isinstance(request, Request):
                    response = await self._answer(request)
                assert isinstance(response, Response)
                writer.write(_bytes_of(response))
                await writer.drain()
                if response.sent is not None or response.close:
                    break
        except (asyncio.CancelledError, ConnectionError):
            pass  # cut from outside, by us or by the peer: there is nobody to tell
        finally:
            del self._lines[task]
            writer.transport.abort() if task.cancelling() else writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Request | Response | None:
        """The next request; None when there is none; a Response when it cannot be read."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        except asyncio.LimitOverrunError:
            return Response(431, b"Request Header Fields Too Large", close=True)
        first, *lines = head.decode("latin-1").split("\r\n")
        method, _, rest = first.partition(" ")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        length = headers.get("content-length", "0")
        if not length.isdecimal() or "transfer-encoding" in headers:
            return Response(411, b"Length Required", close=True)
        if int(length) > self._max_body_bytes:
            return Response(413, b"Request body too large", close=True)
        try:
            body = await reader.readexactly(int(length))
        except asyncio.IncompleteReadError:
            return None
        # A client that takes us for its proxy sends the whole address.
        return Request(method, urlsplit(rest.rpartition(" ")[0]).path, headers, body)


def _bytes_of(response: Response) -> bytes:
    head = (
        f"HTTP/1.1 {response.status} Answer\r\n"
        f"Content-Type: {response.content_type}\r\n"
        f"Content-Length: {len(response.body)}\r\n"
        "Server: loopback\r\n"
        f"Connection: {'close' if response.close else 'keep-alive'}\r\n\r\n"
    )
    return (head.encode("latin-1") + response.body)[: response.sent]
