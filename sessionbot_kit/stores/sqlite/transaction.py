"""One BEGIN IMMEDIATE..COMMIT that many jobs share, and what the writer knows by heart.

A job says what is to be written (`later`), and the rows of all jobs go to SQLite table by table
in as few calls as possible. What must be decided first is read at once: nobody else can write
while the transaction is open, so what is known here stays true until the commit. That is why the
numbers of messages are given here, and why none is ever given twice or left out.
"""

import sqlite3
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sessionbot_kit.errors import SessionUnknown, StaleLease, StoreConflict
from sessionbot_kit.store import ENDED
from sessionbot_kit.stores.sqlite.rows import to_moment

MAX_HEADS: Final = 10_000

HEAD: Final = """
SELECT s.seq, s.interface, s.state, s.last_activity, m.seq, m.cum_tokens, s.cleared_seq,
       s.cleared_tokens, v.version
FROM sessions s
LEFT JOIN messages m ON m.session_id = s.id
LEFT JOIN session_state v ON v.session_id = s.id
WHERE s.id = ? ORDER BY m.seq DESC LIMIT 1
"""
COUNT: Final = """
INSERT INTO counters (interface, sessions, messages, tokens, active, active_messages)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (interface) DO UPDATE SET
    sessions = sessions + ?2, messages = messages + ?3, tokens = tokens + ?4,
    active = active + ?5, active_messages = active_messages + ?6
"""
EPOCH: Final = "SELECT epoch FROM leases WHERE partition = ? AND holder IS NOT NULL"


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """SQL that is run once for each row.

    With `otherwise`, each row must change one row of the table, and it is the sentence to say if
    not. In a group it is not known which one did not, so the group is run again one by one.
    """

    sql: str
    rank: int  # the order among the statements of one transaction
    otherwise: str | None = None


@dataclass(slots=True)
class Head:
    """Where a conversation ends: the next line is `seq + 1`."""

    session_id: str
    session_seq: int
    interface: str
    state: str
    touched: datetime  # `last_activity` as it is in the row
    seq: int = 0
    cum_tokens: int = 0
    cleared_seq: int = 0
    cleared_tokens: int = 0
    version: int = 0


class Transaction:
    """What jobs use to read and write. It lives as long as the writer's connection."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.alone = False  # one job is run at a time, behind a savepoint
        self.writes = 0  # how often something was written, or will be
        self._rows: dict[Statement, list[Any]] = {}
        self._counts: dict[str, list[int]] = {}
        self._heads: OrderedDict[str, Head] = OrderedDict()
        self._epochs: dict[int, int | None] = {}
        self._data_version: int | None = None

    def look(self) -> bool:
        """True if another process has written since the last look: what was known is forgotten."""
        (version,) = self.db.execute("PRAGMA data_version").fetchone()
        foreign = self._data_version is not None and version != self._data_version
        self._data_version = version
        if foreign:
            self.forget()
        return foreign

    def forget(self) -> None:
        """Know nothing by heart, and drop what was not written yet."""
        self._rows.clear()
        self._counts.clear()
        self._heads.clear()
        self._epochs.clear()

    def later(self, statement: Statement, row: tuple[Any, ...]) -> None:
        """Write a row at the end of the group, together with those of other jobs."""
        self.writes += 1
        rows = self._rows.get(statement)
        if rows is None:
            rows = self._rows[statement] = []
        rows.append(row)

    def count(
        self,
        interface: str,
        *,
        sessions: int = 0,
        messages: int = 0,
        tokens: int = 0,
        active: int = 0,
        active_messages: int = 0,
    ) -> None:
        """Add to the totals of an interface."""
        self.writes += 1
        counts = self._counts.get(interface)
        if counts is None:
            counts = self._counts[interface] = [0, 0, 0, 0, 0]
        counts[0] += sessions
        counts[1] += messages
        counts[2] += tokens
        counts[3] += active
        counts[4] += active_messages

    def weigh(self, head: Head, sign: int) -> None:
        """Put a session into the totals (1), or take it out (-1)."""
        messages = sign * (head.seq - head.cleared_seq)
        ended = head.state in ENDED
        self.count(
            head.interface,
            sessions=sign,
            messages=messages,
            tokens=sign * (head.cum_tokens - head.cleared_tokens),
            active=0 if ended else sign,
            active_messages=0 if ended else messages,
        )

    def run(self, sql: str, row: Iterable[Any] = ()) -> sqlite3.Cursor:
        """Run a statement now, after everything that was to be written later."""
        self.flush()
        self.writes += 1
        return self.db.execute(sql, tuple(row))

    def flush(self) -> None:
        """Write what is to be written."""
        if self._rows:
            self.writes += 1
            for statement in self._rows if len(self._rows) == 1 else sorted(self._rows, key=_rank):
                rows = self._rows[statement]
                changed = self.db.executemany(statement.sql, rows).rowcount
                if statement.otherwise is not None and changed != len(rows):
                    raise StoreConflict(statement.otherwise)
            self._rows.clear()
        if self._counts:
            for interface, counts in self._counts.items():
                self.db.execute(COUNT, (interface, *counts))
            self._counts.clear()

    def head(self, session_id: str) -> Head:
        """Where a conversation ends, from memory or from the file."""
        head = self._heads.get(session_id)
        if head is not None:
            return head
        row = self.db.execute(HEAD, (session_id,)).fetchone()
        if row is None:
            return self.head(self._target(session_id))
        session_seq, interface, state, touched, seq, cum_tokens, *cleared, version = row
        cleared_seq, cleared_tokens = cleared
        if seq is None:
            seq, cum_tokens = cleared_seq, cleared_tokens
        head = Head(
            session_id,
            session_seq,
            interface,
            state,
            to_moment(touched),
            seq,
            cum_tokens,
            cleared_seq,
            cleared_tokens,
            version or 0,
        )
        self.keep_head(head)
        return head

    def keep_head(self, head: Head) -> None:
        """Know where a conversation ends."""
        self._heads[head.session_id] = head
        if len(self._heads) > MAX_HEADS:
            self._heads.popitem(last=False)

    def drop_head(self, session_id: str) -> None:
        """Read it from the file next time."""
        self._heads.pop(session_id, None)

    def check_epoch(self, partition: int, epoch: int) -> None:
        """Refuse a writer whose lease was given to somebody else."""
        if partition not in self._epochs:
            row = self.db.execute(EPOCH, (partition,)).fetchone()
            self._epochs[partition] = row and row[0]
        current = self._epochs[partition]
        if current != epoch:
            raise StaleLease(
                f"the lease of epoch {epoch} is over (now: {current or 'free'}); "
                "acquire a new one, and offer the turn again"
            )

    def forget_epoch(self, partition: int) -> None:
        """Read it from the file next time."""
        self._epochs.pop(partition, None)

    def _target(self, session_id: str) -> str:
        row = self.db.execute(
            "SELECT session_id FROM aliases WHERE alias = ?", (session_id,)
        ).fetchone()
        if row is None:
            raise SessionUnknown(f"there is no session {session_id!r}; make it with session_for")
        return str(row[0])


def _rank(statement: Statement) -> int:
    return statement.rank
