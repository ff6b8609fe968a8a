"""The tables, their versions, and how a database file is opened.

`MIGRATIONS[n]` leads from version n to n + 1, in one transaction with the version number. A
migration that was released is never edited; a change is a new one. Times are text in UTC,
`YYYY-MM-DD HH:MM:SS.ffffff`, so that `last_activity > datetime('now', '-30 minutes')` works.
"""

import sqlite3
import sys
import time
from pathlib import Path
from typing import Final, Literal

from sessionbot_kit.errors import StoreError, StoreTooNew
from sessionbot_kit.stores.sqlite.faults import fault

Durability = Literal["power", "process"]

APPLICATION_ID: Final = 0x53424B31  # "SBK1": what `file bot.db` shows

DIALOGS: Final = (
    # One dialog at a time may be open in a session.
    """
    CREATE TABLE journals (
        id         TEXT PRIMARY KEY,
        session_id TEXT NOT NULL,
        plugin     TEXT NOT NULL,
        open       INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX journals_by_session ON journals (session_id)",
    "CREATE UNIQUE INDEX journals_open ON journals (session_id) WHERE open",
    """
    CREATE TABLE journal_entries (
        journal_id TEXT NOT NULL,
        n          INTEGER NOT NULL,
        turn       TEXT NOT NULL,
        kind       TEXT NOT NULL,
        name       TEXT NOT NULL,
        value      TEXT NOT NULL,
        said       INTEGER NOT NULL,
        PRIMARY KEY (journal_id, n)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE timers (
        id         TEXT PRIMARY KEY,
        session_id TEXT NOT NULL,
        kind       TEXT NOT NULL,
        due        TEXT NOT NULL,
        message    TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX timers_by_due ON timers (due)",
    "CREATE INDEX timers_by_session ON timers (session_id)",
    "ALTER TABLE inbox ADD COLUMN kind TEXT NOT NULL DEFAULT 'message'",
)

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """
        CREATE TABLE sessions (
            seq            INTEGER PRIMARY KEY AUTOINCREMENT,
            id             TEXT NOT NULL UNIQUE,
            bot            TEXT NOT NULL,
            interface      TEXT NOT NULL,
            chat           TEXT NOT NULL,
            user           TEXT NOT NULL,
            identity       TEXT NOT NULL DEFAULT 'anonymous',
            state          TEXT NOT NULL DEFAULT 'new',
            created_at     TEXT NOT NULL,
            last_activity  TEXT NOT NULL,
            expires_at     TEXT,
            cleared_seq    INTEGER NOT NULL DEFAULT 0,
            cleared_tokens INTEGER NOT NULL DEFAULT 0
        )
        """,
        """
        CREATE UNIQUE INDEX sessions_by_key ON sessions (bot, interface, chat, user)
        WHERE state <> 'closed'
        """,
        """
        CREATE TABLE messages (
            session_id TEXT NOT NULL,
            seq        INTEGER NOT NULL,
            role       TEXT NOT NULL,
            content    TEXT NOT NULL,
            tokens     INTEGER NOT NULL,
            cum_tokens INTEGER NOT NULL,
            timestamp  TEXT NOT NULL,
            media      TEXT,
            metadata   TEXT,
            PRIMARY KEY (session_id, seq)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE session_state (
            session_id TEXT PRIMARY KEY,
            variables  TEXT NOT NULL DEFAULT '{}',
            context    TEXT NOT NULL DEFAULT '{}',
            version    INTEGER NOT NULL DEFAULT 0
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE inbox (
            position     INTEGER PRIMARY KEY,
            id           TEXT NOT NULL UNIQUE,
            session_id   TEXT NOT NULL,
            channel_type TEXT NOT NULL,
            account      TEXT NOT NULL,
            channel_id   TEXT NOT NULL,
            message_id   TEXT NOT NULL,
            message      TEXT NOT NULL,
            state        TEXT NOT NULL DEFAULT 'waiting',
            attempts     INTEGER NOT NULL DEFAULT 0,
            error        TEXT,
            created_at   TEXT NOT NULL,
            UNIQUE (channel_type, account, channel_id, message_id)
        )
        """,
        "CREATE INDEX inbox_waiting ON inbox (position) WHERE state = 'waiting'",
        """
        CREATE TABLE outbox (
            position     INTEGER PRIMARY KEY,
            id           TEXT NOT NULL UNIQUE,
            inbox_id     TEXT NOT NULL,
            session_id   TEXT NOT NULL,
            channel_type TEXT NOT NULL,
            account      TEXT NOT NULL,
            channel_id   TEXT NOT NULL,
            message      TEXT NOT NULL,
            state        TEXT NOT NULL DEFAULT 'waiting',
            attempts     INTEGER NOT NULL DEFAULT 0,
            error        TEXT,
            platform_ids TEXT,
            created_at   TEXT NOT NULL
        )
        """,
        "CREATE INDEX outbox_waiting ON outbox (position) WHERE state = 'waiting'",
        "CREATE INDEX outbox_dead ON outbox (position) WHERE state = 'dead'",
        """
        CREATE TABLE leases (
            partition INTEGER PRIMARY KEY,
            epoch     INTEGER NOT NULL,
            holder    TEXT,
            pid       INTEGER,
            host      TEXT,
            since     TEXT
        )
        """,
        """
        CREATE TABLE counters (
            interface TEXT PRIMARY KEY,
            sessions  INTEGER NOT NULL DEFAULT 0,
            messages  INTEGER NOT NULL DEFAULT 0,
            tokens    INTEGER NOT NULL DEFAULT 0
        ) WITHOUT ROWID
        """,
    ),
    DIALOGS,
)
VERSION: Final = len(MIGRATIONS)


def connect(path: Path, *, durability: Durability, busy_timeout_s: float) -> sqlite3.Connection:
    """Open the file for writing and bring its tables up to date."""
    db = _open(path, busy_timeout_s)
    try:
        _check_owner(db, path)
        _use_wal(db, busy_timeout_s)
        # FULL: the commit is on the disk when it returns. NORMAL: it survives kill -9 only.
        db.execute(f"PRAGMA synchronous = {'FULL' if durability == 'power' else 'NORMAL'}")
        if sys.platform == "darwin" and durability == "power":
            db.execute("PRAGMA fullfsync = 1")  # plain fsync stops at the drive's cache there
        _migrate(db, path)
    except sqlite3.Error as error:
        db.close()
        raise fault(error, path) from error
    except BaseException:
        db.close()
        raise
    return db


def connect_reader(path: Path, *, busy_timeout_s: float) -> sqlite3.Connection:
    """Open the file a second time, to read only."""
    db = _open(path, busy_timeout_s)
    db.execute("PRAGMA query_only = 1")
    return db


def _open(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"the folder {path.parent} cannot be made: {error.strerror}; "
            "choose another folder, or change its permissions"
        ) from error
    try:
        # Each connection belongs to one thread at a time; it is opened here and used there.
        return sqlite3.connect(
            path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise fault(error, path) from error


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
    while db.execute("PRAGMA user_version").fetchone() != (VERSION,):
        db.execute("BEGIN IMMEDIATE")
        try:
            _check_owner(db, path)  # another process may have been faster
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version < VERSION:
                for statement in MIGRATIONS[version]:
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {version + 1}")
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
