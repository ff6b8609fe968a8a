"""What SQLite complains about, in sentences that say what to do."""

import sqlite3
from pathlib import Path

from sessionbot_kit.errors import StoreBusy, StoreConflict, StoreError, StoreFull


def fault(error: sqlite3.Error, path: Path) -> StoreError:
    """The error of the house for an error of SQLite's."""
    # Errors of the module itself, such as a value that cannot be bound, carry no code.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    match code:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreBusy(
                f"{path} is locked by another process; close the program that holds it "
                "(a database browser, a backup), then try again"
            )
        case sqlite3.SQLITE_FULL:
            return StoreFull(f"{path}: the disk is full; free some room, then try again")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return StoreError(
                f"{path} may not be written; change the permissions of the file and of its "
                "folder, or choose another file"
            )
        case sqlite3.SQLITE_CANTOPEN:
            return StoreError(
                f"{path} cannot be opened; check that its folder exists and may be written"
            )
        case sqlite3.SQLITE_NOTADB:
            return StoreError(f"{path} is not a SQLite database; choose another file")
        case sqlite3.SQLITE_CORRUPT:
            return StoreError(
                f"{path} is damaged ({error}); stop the bot, keep a copy, and restore a backup "
                f"or run: sqlite3 {path} .recover"
            )
        case sqlite3.SQLITE_IOERR:
            return StoreError(f"{path}: the disk does not answer ({error}); check the disk")
        case sqlite3.SQLITE_CONSTRAINT:
            return StoreConflict(f"{path}: somebody else wrote this first ({error}); read it again")
    return StoreError(f"{path}: {error}")
