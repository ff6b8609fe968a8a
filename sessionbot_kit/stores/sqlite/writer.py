"""The one thread that writes: group commit without a timer.

    writer.submit(job, future, on_commit)      # from the loop
    # thread: take everything that waits, BEGIN IMMEDIATE, run each job, COMMIT (one fsync)
    # loop:   one call for the whole group: on_commit for each, then its future

While one group is being synced, the next one gathers by itself: the busier the store, the larger
the groups. A job that fails takes nobody along: its group is rolled back and run again, each job
behind a savepoint of its own. So a job may run twice and must depend on the transaction alone.
"""

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, Protocol

from sessionbot_kit.errors import KitError, StoreBusy, StoreError
from sessionbot_kit.stores.sqlite.checkpoints import Checkpointer
from sessionbot_kit.stores.sqlite.faults import fault
from sessionbot_kit.stores.sqlite.transaction import Transaction

MAX_GROUP: Final = 512
PATIENCE_S: Final = 0.05

OF_THE_ROW: Final = frozenset(
    {
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_TOOBIG,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_RANGE,
    }
)

JobFunction = Callable[[Transaction], Any]


class Promise(Protocol):
    """What is told how a job ended: a future, or the like."""

    def done(self) -> bool: ...
    def set_result(self, value: Any, /) -> None: ...
    def set_exception(self, error: BaseException, /) -> None: ...


@dataclass(slots=True, eq=False)
class Job:
    """One change. `run` happens on the thread, `on_commit` in the loop once it is on the disk.

    Without `run` it is only a look whether another process has written.
    """

    run: JobFunction | None
    future: Promise
    on_commit: Callable[[Any], Any] | None = None
    compact: bool = False
    value: Any = None
    error: BaseException | None = None


@dataclass(slots=True, eq=False)
class Group:
    """Jobs that share a transaction; `foreign`: another process has written before it."""

    jobs: list[Job] = field(default_factory=list)
    writes: bool = False  # not only looks
    compacts: bool = False
    foreign: bool = False
    looked_at: float = 0.0


class Writer:
    """Owns the writing connection and the thread that uses it."""

    def __init__(
        self,
        db: sqlite3.Connection,
        path: Path,
        loop: asyncio.AbstractEventLoop,
        on_group: Callable[[Group], None],
        checkpointer: Checkpointer,
    ) -> None:
        self._db = db
        self._path = path
        self._loop = loop
        self._on_group = on_group
        self._checkpointer = checkpointer
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._patient: deque[Job] = deque()
        self._transaction = Transaction(db)
        self._thread = threading.Thread(
            target=self._work, name=f"store-writer {path.name}", daemon=True
        )

    def start(self) -> None:
        self._checkpointer.start()
        self._thread.start()

    def submit(self, job: Job) -> None:
        self._queue.put(job)

    def submit_with_next(self, job: Job) -> None:
        """Like `submit`, for what may wait for the next commit, but not for long."""
        if not self._patient:
            self._loop.call_later(PATIENCE_S, self._no_longer)
        self._patient.append(job)

    def _no_longer(self) -> None:
        with contextlib.suppress(IndexError):
            self._queue.put(self._patient.popleft())

    async def stop(self) -> None:
        """Write what waits, then end."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        stopping = False
        while not stopping:
            group = Group()
            stopping = self._gather(group)
            if group.jobs:
                self._write(group)
                if group.compacts:
                    self._compact(group)
                self._loop.call_soon_threadsafe(self._on_group, group)
                self._checkpointer.after(len(group.jobs), self._db)
        self._checkpointer.stop()
        self._db.close()

    def _gather(self, group: Group) -> bool:
        """Take everything that waits; True when it is the last."""
        queue, jobs, stopping = self._queue, group.jobs, False
        while True:
            job = queue.get()
            if job is None:
                stopping = True  # the others of this group are still written
            else:
                jobs.append(job)
                if job.run is not None:
                    group.writes = True
                elif job.compact:
                    group.compacts = True
            if queue.empty() or len(jobs) >= MAX_GROUP:
                break
        if self._patient and (stopping or group.writes):
            with contextlib.suppress(IndexError):  # the loop takes from it too
                while True:
                    jobs.append(self._patient.popleft())
            group.writes = True
        return stopping

    def _write(self, group: Group) -> None:
        try:
            if group.writes:
                self._together(group)
            else:
                self._look(group)
        except Exception as error:
            self._roll_back()
            if _is_of_the_world(error):
                self._fail(group, error)
            else:
                self._one_by_one(group)

    def _together(self, group: Group) -> None:
        transaction = self._transaction
        self._db.execute("BEGIN IMMEDIATE")
        self._look(group)
        for job in group.jobs:
            if job.run is None:
                continue
            writes = transaction.writes
            try:
                job.value = job.run(transaction)
            except KitError as refusal:
                if transaction.writes != writes:
                    raise
                job.error = refusal  # it wrote nothing, so the others need not run again
        transaction.flush()
        self._db.execute("COMMIT")

    def _one_by_one(self, group: Group) -> None:
        self._transaction.alone = True
        for job in group.jobs:
            job.error = None
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._look(group)
            for job in group.jobs:
                if job.run is not None:
                    self._behind_a_savepoint(job, job.run)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            self._fail(group, error)
        finally:
            self._transaction.alone = False

    def _look(self, group: Group) -> None:
        group.looked_at = time.monotonic()
        group.foreign = self._transaction.look() or group.foreign

    def _behind_a_savepoint(self, job: Job, run: JobFunction) -> None:
        self._db.execute("SAVEPOINT job")
        try:
            job.value = run(self._transaction)
            self._transaction.flush()
        except Exception as error:
            if isinstance(error, sqlite3.Error) and _is_of_the_world(error):
                raise
            self._transaction.forget()
            self._db.execute("ROLLBACK TO job")
            job.error = self._told(error)
        self._db.execute("RELEASE job")

    def _compact(self, group: Group) -> None:
        """Write the file anew, without what was deleted, and empty the log beside it.

        SQLite overwrites what is deleted, but not the copies that it leaves in the unused part of
        a page whenever it moves rows from one page to another.
        """
        error: Exception | None = None
        try:
            self._db.execute("VACUUM")
            (busy, _, _) = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                error = StoreBusy(
                    f"{self._path} is being read by another process, so that the log beside it "
                    "keeps what was erased; close that program, then erase again"
                )
        except sqlite3.Error as fault:
            error = self._told(fault)
        for job in group.jobs:
            if job.compact:
                job.error = error

    def _roll_back(self) -> None:
        self._transaction.forget()
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _fail(self, group: Group, error: Exception) -> None:
        for job in group.jobs:
            job.error = job.error or self._told(error)

    def _told(self, error: Exception) -> Exception:
        match error:
            case KitError():
                return error
            case sqlite3.Error():
                told = fault(error, self._path)
            case _:
                told = StoreError(f"{self._path}: a row could not be written: {error}")
        told.__cause__ = error
        return told


def _is_of_the_world(error: Exception) -> bool:
    """Whether the disk or a lock is the reason, so that no other row would fare better."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF not in OF_THE_ROW
