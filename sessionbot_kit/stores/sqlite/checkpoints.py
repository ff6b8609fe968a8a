"""Moves what was committed from the log into the database file, while others go on writing.

A commit appends to the log (`-wal`), and the log must not grow for ever. Left to itself SQLite
would move it inside some commit, which then waits for two more syncs. Here a thread of its own does
it early, with a connection of its own, in the mode that waits for nobody (PASSIVE). What it
leaves when the writer never pauses is bounded: past `MAX_PAGES` the writer's next commit does the
rest, and the log begins again at its start.
"""

import logging
import sqlite3
import threading
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

EARLY_JOBS: Final = 256  # about 1,000 pages of 4 KiB
MAX_PAGES: Final = 4_000


class Checkpointer:
    """Owns a connection and the thread that uses it."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        self._jobs = 0
        self._stopping = False
        self._wanted = threading.Event()
        self._thread = threading.Thread(
            target=self._work, name=f"store-checkpoints {path.name}", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def note(self, jobs: int) -> None:
        """Jobs were committed; called by the writer, after the commit."""
        self._jobs += jobs
        if self._jobs >= EARLY_JOBS:
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
            try:
                self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            except sqlite3.Error as error:  # nothing is lost: the next one does it, or a commit
                log.warning("checkpoint failed", extra={"error": str(error)})
        self._db.close()
