"""The SQLite file of an index: its tables, its one writer, and who may see a collection.

    with writing(path) as connection: ...      # a transaction of the one who writes
    collection_id(connection, "house", owner)

Whoever writes holds a lock of the operating system, which a killed process gives back; readers
wait for nobody. The one rule to remember: a session that may not see a collection hears the same
as if there were none.
"""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sessionbot_kit.errors import StoreBusy, StoreError, UsageError

VERSION: Final = 1
BUSY_S: Final = 30.0
LOOK_AGAIN_S: Final = 0.05

SCHEMA: Final = (
    """
    CREATE TABLE IF NOT EXISTS collections (
        id       INTEGER PRIMARY KEY AUTOINCREMENT,
        owner    TEXT NOT NULL,              -- '' or the session that alone sees it
        name     TEXT NOT NULL,
        folder   TEXT NOT NULL,
        next_row INTEGER NOT NULL DEFAULT 1, -- rows are never given twice
        UNIQUE (owner, name)
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS documents (
        collection INTEGER NOT NULL,
        path       TEXT NOT NULL,
        size       INTEGER NOT NULL,
        mtime_ns   INTEGER NOT NULL,
        inode      INTEGER NOT NULL,
        sha256     TEXT NOT NULL,
        first_row  INTEGER NOT NULL,
        end_row    INTEGER NOT NULL,
        problem    TEXT NOT NULL,
        PRIMARY KEY (collection, path)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE IF NOT EXISTS vectors (
        collection INTEGER NOT NULL,
        row        INTEGER NOT NULL,
        vector     BLOB NOT NULL,
        PRIMARY KEY (collection, row)
    ) WITHOUT ROWID
    """,
)


def prepare(path: Path) -> None:
    """Make the tables, or refuse a file that a newer version has written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path) as connection:
        if connection.execute("PRAGMA user_version").fetchone()[0] > VERSION:
            raise StoreError(f"{path} was written by a newer version; delete it and add again")
        for table in SCHEMA:
            connection.execute(table)
        connection.execute(f"PRAGMA user_version = {VERSION}")


def connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    except sqlite3.Error as error:
        connection.close()
        raise StoreError(f"{path} is no index ({error}); delete it and add again") from error
    return connection


@contextmanager
def writing(path: Path, stopped: threading.Event | None = None) -> Iterator[sqlite3.Connection]:
    """A transaction of the one who writes, here and in every other process."""
    with _locked(path.with_name(path.name + ".lock"), stopped or threading.Event()):
        connection = connect(path)
        try:
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise StoreError(f"{path} cannot be written: {error}; see the disk") from error
        finally:
            connection.close()  # what was not committed is undone


def collection_id(connection: sqlite3.Connection, name: str, owner: str) -> int:
    """A session's own collection, or else the shared one of this name."""
    row: tuple[int] | None = connection.execute(
        "SELECT id FROM collections WHERE name = ? AND owner IN ('', ?) ORDER BY owner DESC",
        (name, owner),
    ).fetchone()
    if row is None:
        raise UsageError(f"there is no collection {name!r}; add one: sessionbot kb add")
    return row[0]


@contextmanager
def _locked(path: Path, stopped: threading.Event) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if stopped.wait(LOOK_AGAIN_S):
                    raise StoreBusy(
                        f"stopped waiting for another process that writes {path.stem}; try again"
                    ) from None
        yield
    finally:
        os.close(descriptor)
