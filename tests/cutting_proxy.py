"""A TCP proxy that misbehaves: it delays, slices, resets and swallows what passes through it.

async with CuttingProxy(server.port) as proxy:
    proxy.cut_after = lambda: random.randint(1, 300_000)     # bytes a connection lives for
    ... ws://127.0.0.1:{proxy.port} ...
    assert proxy.cuts > 10
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Self

from sessionbot_kit.crew import Crew

Choose = Callable[[], int]


class CuttingProxy:
    def __init__(self, target: int) -> None:
        self.target = target
        self.cuts = 0
        self.connections = 0
        self.latency_s = 0.0
        self.slice_bytes: Choose = lambda: 65_536
        self.cut_after: Choose | None = None
        self.swallowing = False
        self.swallow_after: int | None = None
        self.swallowed = asyncio.Event()
        self.passed = 0
        self.called = asyncio.Event()
        self._open: set[Passage] = set()
        self._crew = Crew("proxy")

    @property
    def port(self) -> int:
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._called, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        self.cut()
        await self._crew.stop()
        await self._server.wait_closed()

    def cut(self) -> None:
        """Reset every connection."""
        for passage in list(self._open):
            passage.cut()

    def _called(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.called.set()
        self._crew.start(self._pass_on(reader, writer), f"passage {self.connections}")

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            ends = await asyncio.open_connection("127.0.0.1", self.target)
            passage = Passage(self, (reader, writer), ends)
            self._open.add(passage)
            try:
                await passage.run()
            finally:
                ends[1].transport.abort()
        except OSError:
            return
        finally:
            writer.transport.abort()


class Passage:
    """One connection through the proxy."""

    def __init__(
        self,
        proxy: CuttingProxy,
        near: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        far: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._proxy = proxy
        self._near, self._far = near, far
        self._left = proxy.cut_after() if proxy.cut_after is not None else None
        self._open = True

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._carry(self._near[0], self._far[1]))
            group.create_task(self._carry(self._far[0], self._near[1]))
        self._proxy._open.discard(self)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        proxy = self._proxy
        with contextlib.suppress(OSError):
            while self._open and (data := await reader.read(proxy.slice_bytes())):
                if proxy.latency_s:
                    await asyncio.sleep(proxy.latency_s)
                proxy.passed += len(data)
                if proxy.swallow_after is not None and proxy.passed > proxy.swallow_after:
                    proxy.swallowed.set()
                    proxy.swallowing = True
                if proxy.swallowing:
                    continue
                if self._left is not None and self._left <= len(data):
                    writer.write(data[: self._left])
                    self.cut()
                    return
                if self._left is not None:
                    self._left -= len(data)
                writer.write(data)
                await writer.drain()
        for _, end in (self._near, self._far):
            end.close()

    def cut(self) -> None:
        """Close both sides with a reset, and lose what is on the way."""
        if self._open:
            self._open = False
            self._proxy.cuts += 1
            for _, writer in (self._near, self._far):
                linger = struct.pack("ii", 1, 0)
                raw = writer.get_extra_info("socket")
                with contextlib.suppress(OSError):
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.transport.abort()
