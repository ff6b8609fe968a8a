"""Work for many people at once, and for each of them one thing after the other.

    order = Order("session_messenger")
    order.put(sender, partial(handle, message))     # behind what waits for the same sender
    await order.settled()

Somebody's slow file delays nobody else. One rule to remember: work that is put in here handles
its own errors.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from sessionbot_kit.crew import Crew

Work = Callable[[], Awaitable[None]]


class Order:
    """A queue for each sender, which exists while it holds work."""

    def __init__(self, name: str) -> None:
        self._crew = Crew(name)
        self._queues: dict[str, deque[Work]] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    def put(self, sender: str, work: Work) -> None:
        if (queue := self._queues.get(sender)) is not None:
            queue.append(work)
            return
        self._queues[sender] = deque([work])
        self._idle.clear()
        self._crew.start(self._run(sender), f"sender {sender[:8]}")

    async def settled(self) -> None:
        """Wait until there is no work."""
        await self._idle.wait()

    async def stop(self) -> None:
        """Cancel what runs and forget what waits."""
        self._queues.clear()
        await self._crew.stop()
        self._idle.set()

    async def _run(self, sender: str) -> None:
        queue = self._queues[sender]
        try:
            while queue:
                await queue[0]()
                queue.popleft()
        finally:
            if self._queues.get(sender) is queue:
                del self._queues[sender]
            if not self._queues:
                self._idle.set()
