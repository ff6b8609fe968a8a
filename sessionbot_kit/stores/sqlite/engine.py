"""What every verb of the store stands on: a writer, a reader, and the sessions used last."""

import asyncio
import logging
import shutil
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp
from typing import Final, TypeVar

from sessionbot_kit.errors import StoreError, UsageError
from sessionbot_kit.stores.sqlite.checkpoints import Checkpointer
from sessionbot_kit.stores.sqlite.connection import Durability, connect, connect_again
from sessionbot_kit.stores.sqlite.glance import NOT_NOW, Glance, NotNow
from sessionbot_kit.stores.sqlite.lease import FileLock
from sessionbot_kit.stores.sqlite.reader import Reader
from sessionbot_kit.stores.sqlite.recent import Recent
from sessionbot_kit.stores.sqlite.transaction import Transaction
from sessionbot_kit.stores.sqlite.writer import Group, Job, Writer

log = logging.getLogger(__name__)

Connections = tuple[sqlite3.Connection, sqlite3.Connection, sqlite3.Connection, sqlite3.Connection]

T = TypeVar("T")
R = TypeVar("R")

# What is in memory is believed for so long without a look whether another process wrote: the
# next look is made ahead of time after the first, and waited for after the second.
FRESH_S: Final = 0.05
STALE_S: Final = 0.15

MAX_WAITING: Final = 4_096  # jobs on their way to the disk; whoever comes then waits for room


class Engine:
    """Opens and closes the file, and carries jobs to the writer and queries to the reader."""

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        durability: Durability = "power",
        busy_timeout_s: float = 5.0,
        cached_sessions: int = 1_000,
        cached_lines: int = 50,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if durability not in ("power", "process"):
            raise UsageError(f'durability is "power" or "process", not {durability!r}')
        self._is_temporary = path is None
        self.path = Path("temporary.db") if path is None else Path(path)
        self._durability: Durability = durability
        self._busy_timeout_s = busy_timeout_s
        self._cached_lines = cached_lines
        self._clock = clock
        self._recent = Recent(cached_sessions, cached_lines)
        self._lock = FileLock(_lock_path(self.path))
        self._writer: Writer | None = None
        self._reader: Reader | None = None
        self._glance: Glance | None = None
        self._look: asyncio.Future[None] | None = None
        self._looked_at = 0.0
        self._waiting = 0
        self._room: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r}, durability={self._durability!r})"

    async def _open(self) -> None:
        if self._writer is not None:
            raise UsageError(f"{self!r} is open already; open it once and share it")
        if self._is_temporary:
            folder = await asyncio.to_thread(mkdtemp, prefix="sessionbot-")
            self.path = Path(folder, "bot.db")
            self._lock = FileLock(_lock_path(self.path))
            log.warning(
                "temporary store: what is said goes when it closes; "
                "give store='sqlite:///bot.db' to keep it",
                extra={"path": str(self.path)},
            )
        loop = asyncio.get_running_loop()
        writing, reading, moving, glancing = await asyncio.to_thread(self._connect)
        checkpointer = Checkpointer(moving, self.path)
        self._writer = Writer(writing, self.path, loop, self._on_group, checkpointer)
        self._reader = Reader(reading, self.path, loop)
        self._glance = Glance(glancing)
        self._writer.start()
        self._reader.start()

    async def _close(self) -> None:
        writer, reader, glance = self._writer, self._reader, self._glance
        self._writer = self._reader = self._glance = None
        try:
            if glance is not None:
                glance.close()
            if reader is not None:
                await reader.stop()
            if writer is not None:
                await writer.stop()
        finally:
            self._recent.clear()
            self._lock.release()
            if self._is_temporary:
                await asyncio.to_thread(shutil.rmtree, self.path.parent, ignore_errors=True)

    def _connect(self) -> Connections:
        """A connection to write, one to read, one to move the log, and one for the loop."""
        timeout = self._busy_timeout_s
        writing = connect(self.path, durability=self._durability, busy_timeout_s=timeout)
        opened = [writing]
        try:
            for patience_s in (timeout, timeout, 0.0):
                opened.append(connect_again(self.path, busy_timeout_s=patience_s))
        except BaseException:
            for db in opened:
                db.close()
            raise
        return opened[0], opened[1], opened[2], opened[3]

    async def _write(self, job: Callable[[Transaction], T]) -> T:
        """Have a job done; it is on the disk when this returns."""
        return await self._write_then(job, _itself)

    async def _write_then(self, job: Callable[[Transaction], T], on_commit: Callable[[T], R]) -> R:
        """Have a job done, and change memory once it is on the disk."""
        while self._waiting >= MAX_WAITING:
            if self._room is None:
                self._room = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._room)
        if self._writer is None:
            raise self._closed()
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting += 1
        self._writer.submit(Job(job, future, on_commit))
        return await future

    async def _compact(self) -> None:
        """Leave nothing in the files that is not in the tables; takes as long as writing them."""
        if self._writer is None:
            raise self._closed()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting += 1
        self._writer.submit(Job(None, future, compact=True))
        await future

    def _write_with_next(
        self, job: Callable[[Transaction], None], done: Callable[[BaseException | None], None]
    ) -> None:
        """Have a job done with the next commit, and do not wait for it."""
        if self._writer is None:
            raise self._closed()
        self._waiting += 1
        self._writer.submit_with_next(Job(job, Note(done)))

    async def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Ask the file."""
        if self._reader is None:
            raise self._closed()
        return await self._reader.read(query)

    def _glanced(self, query: Callable[[sqlite3.Connection], T]) -> T | NotNow:
        """Ask the file at once, or NOT_NOW."""
        return NOT_NOW if self._glance is None else self._glance.at(query)

    async def _known(self, recall: Callable[[], T | None]) -> T | None:
        """What memory holds, if no other process has written to the file since.

        A look at the file costs a hop to the writer. Looks are shared, and a busy reader has the
        next one made ahead of time, so that it never waits for one.
        """
        found = recall()
        if found is None:
            return None
        age = time.monotonic() - self._looked_at
        if age < FRESH_S:
            return found
        if self._writer is None:
            raise self._closed()
        if self._look is None or self._look.done():
            self._look = asyncio.get_running_loop().create_future()
            self._waiting += 1
            self._writer.submit(Job(None, self._look))
        if age < STALE_S:
            return found
        await asyncio.shield(self._look)
        return recall()

    def _on_group(self, group: Group) -> None:
        """In the loop, once a group is on the disk: memory first, then those who wait."""
        if group.foreign:
            self._recent.clear()
        if group.looked_at > self._looked_at:
            self._looked_at = group.looked_at
        self._waiting -= len(group.jobs)
        if self._room is not None:
            self._room.set_result(None)
            self._room = None
        for job in group.jobs:
            if job.error is None and job.on_commit is not None:
                job.value = job.on_commit(job.value)
        for job in group.jobs:
            future = job.future
            if future.done():
                continue  # whoever asked has been cancelled; it is written all the same
            if job.error is None:
                future.set_result(job.value)
            else:
                future.set_exception(job.error)

    def _closed(self) -> StoreError:
        return StoreError(f"{self.path} is closed; use it inside `async with`")


class Note:
    """Takes the place of a future where somebody is told and nobody waits."""

    __slots__ = ("_tell",)

    def __init__(self, tell: Callable[[BaseException | None], None]) -> None:
        self._tell = tell

    def done(self) -> bool:
        return False

    def set_result(self, value: object) -> None:
        self._tell(None)

    def set_exception(self, error: BaseException) -> None:
        self._tell(error)


def _lock_path(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def _itself(value: T) -> T:
    return value
