"""Moves what was committed from the log into the database file, while others go on writing.

A commit appends to the log (`-wal`), and the log must not grow for ever; one that begins again at
its start is also quicker to sync, because the file keeps its size. Left to itself SQLite would move
it inside some commit, which then waits for it. Here a thread of its own moves nearly all of it,
with a connection of its own, in the mode that waits for nobody (PASSIVE). The little that was
written meanwhile is moved by the writer, between two groups, so that the next one begins at the
start. If it never comes to that, SQLite's own way is the bound: `MAX_PAGES`.
"""

import logging
import sqlite3
import threading
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

EARLY_JOBS: Final = 256  # about 1,000 pages of 4 KiB
ROWS_A_JOB: Final = 4  # a job with more rows than these counts as several
MAX_PAGES: Final = 4_000


class Checkpointer:
    """Owns a connection and the thread that uses it."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        self._jobs = 0
        self._rows = 0  # that `db` of the writer has ever changed
        self._rest = False  # all but a little is moved
        self._stopping = False
        self._wanted = threading.Event()
        self._thread = threading.Thread(
            target=self._work, name=f"store-checkpoints {path.name}", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def after(self, jobs: int, writing: sqlite3.Connection) -> None:
        """So many jobs were committed and handed back; called by the writer's thread."""
        rows = writing.total_changes
        self._jobs += max(jobs, (rows - self._rows) // ROWS_A_JOB)
        self._rows = rows
        if self._rest:
            self._rest = False
            _move(writing)
        elif self._jobs >= EARLY_JOBS:
            self._jobs = 0
            self._wanted.set()

    def stop(self) -> None:
        """End, and wait for it."""
        self._stopping = True
        self._wanted.set()
        self._thread.join()

    def _work(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._stopping:
                break
            _move(self._db)
            self._rest = True
        self._db.close()


def _move(db: sqlite3.Connection) -> None:
    try:
        db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    except sqlite3.Error as error:  # nothing is lost: the next one does it
        log.warning("checkpoint failed", extra={"error": str(error)})
