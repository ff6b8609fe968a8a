"""The thread that reads, on a connection of its own: one hop there, one hop back."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from sessionbot_kit.stores.sqlite.faults import fault

T = TypeVar("T")

Read = tuple[Callable[[sqlite3.Connection], Any], asyncio.Future[Any]]


class Reader:
    """Owns the reading connection and the thread that uses it."""

    def __init__(self, db: sqlite3.Connection, path: Path, loop: asyncio.AbstractEventLoop) -> None:
        self._db = db
        self._path = path
        self._loop = loop
        self._queue: SimpleQueue[Read | None] = SimpleQueue()
        self._thread = threading.Thread(
            target=self._work, name=f"store-reader {path.name}", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run a query on the thread and wait for its answer."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put((query, future))
        return await future

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            query, future = item
            value = None
            error: Exception | None = None
            try:
                value = query(self._db)
            except sqlite3.Error as cause:
                error = fault(cause, self._path)
                error.__cause__ = cause
            except Exception as refusal:
                error = refusal
            self._loop.call_soon_threadsafe(_answer, future, value, error)
        self._db.close()


def _answer(future: asyncio.Future[Any], value: Any, error: Exception | None) -> None:
    if future.done():  # nobody waits any more
        return
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)
