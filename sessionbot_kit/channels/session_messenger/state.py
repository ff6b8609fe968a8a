"""What a bot must not forget on the Session network, in one small file that only it may read.

How far each node of its swarm was read, which records came already, what is being sent, who
people are, and the list of nodes. Nothing in it opens a message; the keys are elsewhere. To lose
it costs time and not answers: two weeks of records come again, and the gateway knows them by
their names.

Writes are small, local and not waited for on the disk: a power cut loses the last of them, which
is as if they had not been made yet.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import orjson

from sessionbot_kit.channels.session_messenger.events import DAY_MS, OLDEST_MS, Expiry
from sessionbot_kit.channels.session_messenger.rpc import Node, is_hash, nodes
from sessionbot_kit.errors import StoreError, StoreTooNew

VERSION = 1
SENT_KEPT_MS = 15 * DAY_MS
# Somebody's clock may run a day ahead, and he may play his message back until it is too old.
SEEN_KEPT_MS = OLDEST_MS + 2 * DAY_MS

_TABLES = """
CREATE TABLE cursor (node TEXT PRIMARY KEY, hash TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE seen (key BLOB PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX seen_until ON seen (until);
CREATE TABLE sent (
    id TEXT NOT NULL, part INTEGER NOT NULL, parts INTEGER NOT NULL, recipient TEXT NOT NULL,
    timestamp INTEGER NOT NULL, data BLOB, hash TEXT, PRIMARY KEY (id, part)
) WITHOUT ROWID;
CREATE INDEX sent_time ON sent (timestamp);
CREATE TABLE contact (
    id TEXT PRIMARY KEY, name TEXT NOT NULL DEFAULT '', approved INTEGER NOT NULL DEFAULT 0,
    expiry_kind INTEGER, expiry_seconds INTEGER
) WITHOUT ROWID;
CREATE TABLE note (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Part:
    """One record that we send; `hash` is known once a swarm has it, and `data` until then."""

    recipient: str
    timestamp: int
    data: bytes | None = field(repr=False)
    hash: str | None = None


@dataclass(frozen=True, slots=True)
class Contact:
    name: str = ""
    approved: bool = False
    expiry: Expiry | None = None


class State:
    """Open it with `State.open(path)`; close it, or use it as a block."""

    def __init__(self, connection: sqlite3.Connection, path: str) -> None:
        self._db = connection
        self._path = path

    @classmethod
    def open(cls, path: str | Path) -> Self:
        path = Path(path)
        try:
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                path.touch(mode=0o600)
            state = cls(sqlite3.connect(path, isolation_level=None), str(path))
            try:
                state._prepare()
            except BaseException:
                state.close()
                raise
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"{path} cannot be opened: {error}. It may be moved away: a new one begins empty, "
                "and what was answered is not answered again"
            ) from error
        return state

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"State({self._path})"

    def cursor(self, node: Node) -> str:
        """The last record of a node that is safe with us; empty for none."""
        row = self._one("SELECT hash FROM cursor WHERE node = ?", node.ed25519)
        return str(row[0]) if row else ""

    def set_cursor(self, node: Node, hash: str) -> None:
        assert is_hash(hash), hash
        self._run("INSERT OR REPLACE INTO cursor VALUES (?, ?)", node.ed25519, hash)

    def has_seen(self, key: bytes) -> bool:
        return self._one("SELECT 1 FROM seen WHERE key = ?", key) is not None

    def mark_seen(self, keys: tuple[bytes, ...], now: int) -> None:
        rows: list[tuple[object, ...]] = [(key, now + SEEN_KEPT_MS) for key in keys]
        self._many("INSERT OR REPLACE INTO seen VALUES (?, ?)", rows)

    def parts(self, id: str) -> tuple[Part, ...]:
        """What was prepared for a message of this id, in order."""
        rows = self._all(
            "SELECT recipient, timestamp, data, hash FROM sent WHERE id = ? ORDER BY part", id
        )
        return tuple(Part(*row) for row in rows)

    def prepare(self, id: str, parts: tuple[Part, ...]) -> None:
        """Write down what will be sent, before the first byte leaves."""
        rows: list[tuple[object, ...]] = [
            (id, number, len(parts), part.recipient, part.timestamp, part.data)
            for number, part in enumerate(parts)
        ]
        self._many(
            "INSERT INTO sent (id, part, parts, recipient, timestamp, data) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            rows,
        )

    def mark_sent(self, id: str, part: int, hash: str) -> None:
        self._run("UPDATE sent SET hash = ?, data = NULL WHERE id = ? AND part = ?", hash, id, part)

    def forget_sent(self, id: str) -> None:
        self._run("DELETE FROM sent WHERE id = ?", id)

    def last_timestamp(self) -> int:
        """The newest time that was given to a message of ours."""
        row = self._one("SELECT max(timestamp) FROM sent")
        return int(row[0]) if row and row[0] else 0

    def contact(self, id: str) -> Contact:
        row = self._one(
            "SELECT name, approved, expiry_kind, expiry_seconds FROM contact WHERE id = ?", id
        )
        if row is None:
            return Contact()
        expiry = Expiry(row[2], row[3]) if row[2] else None
        return Contact(str(row[0]), bool(row[1]), expiry)

    def set_contact(self, id: str, contact: Contact) -> None:
        kind, seconds = contact.expiry or (None, None)
        self._run(
            "INSERT OR REPLACE INTO contact VALUES (?, ?, ?, ?, ?)",
            *(id, contact.name, contact.approved, kind, seconds),
        )

    def nodes(self, *, local: bool) -> tuple[tuple[Node, ...], int]:
        """The nodes as a seed last named them, and when that was (0: never)."""
        row = self._one("SELECT value FROM note WHERE name = 'nodes'")
        if row is None:
            return (), 0
        kept = orjson.loads(row[0])
        return nodes(kept["nodes"], local=local), int(kept["at"])

    def set_nodes(self, found: tuple[Node, ...], at: int) -> None:
        entries = [
            {"ip": node.ip, "port": node.port, "pubkey_ed25519": node.ed25519} for node in found
        ]
        value = orjson.dumps({"nodes": entries, "at": at})
        self._run("INSERT OR REPLACE INTO note VALUES ('nodes', ?)", value)

    def prune(self, now: int) -> None:
        """Forget what can no longer matter."""
        self._run("DELETE FROM seen WHERE until < ?", now)
        self._run("DELETE FROM sent WHERE timestamp < ?", now - SENT_KEPT_MS)

    def _prepare(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise StoreTooNew(
                f"{self._path} has version {version} and this program knows {VERSION}; update it"
            )
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        if version < 1:
            self._db.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")

    def _one(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        rows = self._all(sql, *values)
        return rows[0] if rows else None

    def _all(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self._faults_named():
            return self._db.execute(sql, values).fetchall()

    def _run(self, sql: str, *values: object) -> None:
        with self._faults_named():
            self._db.execute(sql, values)

    def _many(self, sql: str, rows: list[tuple[object, ...]]) -> None:
        with self._faults_named():
            self._db.execute("BEGIN")
            self._db.executemany(sql, rows)
            self._db.execute("COMMIT")

    @contextmanager
    def _faults_named(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.rollback()
            raise StoreError(
                f"{self._path} cannot be read or written: {error}; look at the disk"
            ) from error
