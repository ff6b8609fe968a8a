"""A place to look at frames as they pass; it costs nothing while nobody looks.

    with tap.listen() as passing:
        async for seen in passing:
            print(seen.link, seen.way, seen.id, seen.position, seen.frame_bytes, seen.state)

The one rule to remember: a slow reader loses frames and never slows the link.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Literal, Self


@dataclass(frozen=True, slots=True)
class Seen:
    """One frame that passed; `age_s` counts from the first frame of its message."""

    link: str
    way: Literal["in", "out"]
    id: str
    position: int
    frame_bytes: int
    age_s: float
    state: str  # open, complete, refused, duplicate, or what a control frame is called


class Passing:
    """What one listener has not read yet; the oldest goes when there is too much."""

    def __init__(self, tap: "Tap", limit: int) -> None:
        self.dropped = 0
        self._tap = tap
        self._seen: deque[Seen] = deque(maxlen=limit)
        self._news = asyncio.Event()

    def __enter__(self) -> Self:
        self._tap.listeners.append(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._tap.listeners.remove(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Seen:
        while not self._seen:
            self._news.clear()
            await self._news.wait()
        return self._seen.popleft()

    def take(self) -> list[Seen]:
        """What has passed and was not read yet, without waiting."""
        seen = list(self._seen)
        self._seen.clear()
        return seen

    def add(self, seen: Seen) -> None:
        self.dropped += len(self._seen) == self._seen.maxlen
        self._seen.append(seen)
        self._news.set()


class Tap:
    """Where links report what passes, if anybody listens."""

    def __init__(self) -> None:
        self.listeners: list[Passing] = []

    def listen(self, limit: int = 1_024) -> Passing:
        """Enter the result to begin; keep at most `limit` frames for a slow reader."""
        return Passing(self, limit)

    def note(self, seen: Seen) -> None:
        for listener in self.listeners:
            listener.add(seen)
