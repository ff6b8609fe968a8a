"""How a database file is opened, checked and brought up to date.

Several processes may open a new file at the same moment: one of them makes the tables, in a
transaction together with their version number, and the others wait for it.
"""

import contextlib
import os
import sqlite3
import sys
import threading
import time
from pathlib import Path
from typing import Literal

from sessionbot_kit.errors import StoreError, StoreTooNew
from sessionbot_kit.stores.sqlite.checkpoints import MAX_PAGES
from sessionbot_kit.stores.sqlite.faults import fault
from sessionbot_kit.stores.sqlite.schema import APPLICATION_ID, MIGRATIONS, VERSION

Durability = Literal["power", "process"]


def connect(path: Path, *, durability: Durability, busy_timeout_s: float) -> sqlite3.Connection:
    """Open the file for writing and bring its tables up to date."""
    db = _open(path, busy_timeout_s)
    try:
        db.execute("BEGIN")  # one moment of the file: another process may be making its tables
        _check_owner(db, path)
        db.execute("COMMIT")
        _use_wal(db, busy_timeout_s)
        # FULL: the commit is on the disk when it returns. NORMAL: it survives kill -9 only.
        db.execute(f"PRAGMA synchronous = {'FULL' if durability == 'power' else 'NORMAL'}")
        if sys.platform == "darwin" and durability == "power":
            db.execute("PRAGMA fullfsync = 1")  # plain fsync stops at the drive's cache there
        db.execute(f"PRAGMA wal_autocheckpoint = {MAX_PAGES}")
        db.execute("PRAGMA secure_delete = 1")  # what is erased is overwritten
        _migrate(db, path)
    except sqlite3.Error as error:
        db.close()
        raise fault(error, path) from error
    except BaseException:
        db.close()
        raise
    return db


def connect_again(path: Path, *, busy_timeout_s: float) -> sqlite3.Connection:
    """Open a file that is up to date once more, not to write."""
    db = _open(path, busy_timeout_s)
    db.execute("PRAGMA query_only = 1")
    return db


def _open(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"the folder {path.parent} cannot be made: {error.strerror}; "
            "choose another folder, or change its permissions"
        ) from error
    _make_private(path)
    try:
        # Each connection belongs to one thread at a time; it is opened here and used there.
        return sqlite3.connect(
            path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise fault(error, path) from error


def _make_private(path: Path) -> None:
    """Make the file, readable by nobody else from its first byte on; SQLite asks the umask.

    It is made under another name and then given its own. To open and close the file itself here
    would take away the locks that other connections of this process hold on it: a lock of POSIX
    goes when *any* descriptor of the file is closed, and another process could then delete the
    log under a connection that writes to it.
    """
    if path.exists():
        return
    with contextlib.suppress(OSError):  # where it cannot be made, SQLite says why
        draft = f"{path}.{os.getpid()}.{threading.get_ident()}"
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDONLY, 0o600))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # somebody else was faster
        except OSError:  # a file system without links; nobody can have the new file open yet
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDONLY, 0o600))
        finally:
            os.unlink(draft)


def _check_owner(db: sqlite3.Connection, path: Path) -> None:
    (owner,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if owner != APPLICATION_ID and tables:
        raise StoreError(
            f"{path} is a database of another program; give the store a file of its own"
        )
    if version > VERSION:
        raise StoreTooNew(
            f"{path} has version {version} of the tables, and this toolkit knows up to {VERSION}; "
            "upgrade sessionbot-kit, or open a copy that was made before"
        )


def _use_wal(db: sqlite3.Connection, busy_timeout_s: float) -> None:
    # Two processes that make the same file at once: SQLite does not wait here by itself.
    deadline = time.monotonic() + busy_timeout_s
    while True:
        try:
            if db.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",):
                return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.005)


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    version = -1
    while version < VERSION:
        db.execute("BEGIN IMMEDIATE")
        try:
            _check_owner(db, path)  # another process may have been faster
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version < VERSION:
                for statement in MIGRATIONS[version]:
                    db.execute(statement)
                version += 1
                db.execute(f"PRAGMA user_version = {version}")
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            # Changes nothing; a file that may not be written says so now, not at the first message.
            db.execute("DELETE FROM leases WHERE 0")
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
