"""Proxies on 127.0.0.1 that note where they were asked to go.

async with socks5() as proxy:
    proxy.url                       # socks5://127.0.0.1:PORT
    proxy.ports                     # of everybody who was visited
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Greet = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[tuple[str, int]]]


class Proxy:
    """Carries bytes between those who come and those whom they want."""

    def __init__(self, scheme: str, greet: Greet) -> None:
        self._scheme = scheme
        self._greet = greet
        self.ports: set[int] = set()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = await self._greet(reader, writer)
        self.ports.add(port)
        there_reader, there_writer = await asyncio.open_connection(host, port)
        await asyncio.gather(carry(reader, there_writer), carry(there_reader, writer))

    @asynccontextmanager
    async def running(self) -> "AsyncIterator[Proxy]":
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        async with server:
            self.url = f"{self._scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield self


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def greet_socks5(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> tuple[str, int]:
    _, count = await reader.readexactly(2)
    await reader.readexactly(count)
    writer.write(b"\x05\x00")  # no password
    _, _, _, kind = await reader.readexactly(4)
    assert kind in (1, 3)
    if kind == 1:
        host = ".".join(map(str, await reader.readexactly(4)))
    else:
        host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
    port = int.from_bytes(await reader.readexactly(2), "big")
    writer.write(b"\x05\x00\x00\x01" + bytes(6))
    return host, port


async def greet_connect(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> tuple[str, int]:
    head = await reader.readuntil(b"\r\n\r\n")
    host, _, port = head.split(b" ")[1].decode().partition(":")
    writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
    return host, int(port)


def socks5() -> Proxy:
    return Proxy("socks5", greet_socks5)


def connect() -> Proxy:
    """A web proxy, for addresses with https."""
    return Proxy("http", greet_connect)
