"""A link inside one process: two bounded pipes, and nothing is copied.

gateway_end, kernel_end = memory_link("kernel 1")
"""

import asyncio
from collections import deque
from typing import Self

from sessionbot_kit.errors import LinkClosed
from sessionbot_kit.link import Frame


def memory_link(name: str = "memory", *, limit: int = 1024) -> tuple["MemoryLink", "MemoryLink"]:
    """Both ends of a new link: one for the gateway, one for the kernel."""
    there, back = _Pipe(limit), _Pipe(limit)
    return MemoryLink(name, there, back), MemoryLink(name, back, there)


class MemoryLink:
    """One end. A full pipe makes the sender wait; closing either end closes both."""

    def __init__(self, name: str, inward: "_Pipe", outward: "_Pipe") -> None:
        self.name = name
        self._inward = inward
        self._outward = outward

    async def send(self, frame: Frame) -> None:
        if not await self._outward.put(frame):
            raise LinkClosed(f"the link {self.name} is closed; join it again")

    async def receive(self) -> Frame:
        if (frame := await self._inward.get()) is None:
            raise LinkClosed(f"the link {self.name} is closed; join it again")
        return frame

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Frame:
        if (frame := await self._inward.get()) is None:
            raise StopAsyncIteration
        return frame

    async def close(self) -> None:
        self._inward.close()
        self._outward.close()


class _Pipe:
    """A bounded queue that can end: what is in it still arrives, nothing more goes in."""

    def __init__(self, limit: int) -> None:
        self._frames: deque[Frame] = deque()
        self._limit = limit
        self._closed = False
        self._changed = asyncio.Event()

    async def put(self, frame: Frame) -> bool:
        while len(self._frames) >= self._limit and not self._closed:
            await self._change()
        if self._closed:
            return False
        self._frames.append(frame)
        self._changed.set()
        return True

    async def get(self) -> Frame | None:
        while not self._frames:
            if self._closed:
                return None
            await self._change()
        if len(self._frames) == self._limit:
            self._changed.set()
        return self._frames.popleft()

    def close(self) -> None:
        self._closed = True
        self._changed.set()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
