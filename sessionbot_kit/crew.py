"""Background tasks with one parent, which waits for them and never loses their errors.

A task group must be left by the task that entered it; a notebook starts a bot in one cell and
stops it in another. So the house has this one place where tasks are made.

    crew = Crew("courier")
    crew.start(self._run(), "lane telegram:42")
    await crew.stop()                              # cancels, and waits
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


class Crew:
    """Tasks that begin here end here. One that fails is logged and takes nobody with it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any], what: str) -> "asyncio.Task[Any]":
        """Run `work` in the background; `what` names it in logs."""
        task = asyncio.get_running_loop().create_task(work, name=f"{self.name}: {what}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def stop(self, *, drain_s: float = 0.0) -> None:
        """Give the tasks `drain_s` to end by themselves, then cancel them, and wait."""
        await self.drain(drain_s)
        while tasks := self._others():
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def drain(self, seconds: float) -> None:
        """Wait for the tasks to end by themselves, but not for longer."""
        if seconds > 0 and (others := self._others()):
            await asyncio.wait(others, timeout=seconds)

    def cancel(self) -> None:
        """Cancel the tasks without waiting; for those who cannot await."""
        for task in self._others():
            task.cancel()

    def __len__(self) -> int:
        return len(self._tasks)

    def _others(self) -> set["asyncio.Task[Any]"]:
        # A task that stops its own crew does not wait for itself.
        try:
            current = asyncio.current_task()
        except RuntimeError:  # called outside of any loop
            current = None
        return {task for task in self._tasks if task is not current}

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task failed", extra={"task": task.get_name()}, exc_info=error)
