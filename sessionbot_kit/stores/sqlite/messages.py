"""The lines of conversations: appended, never changed, and numbered without a gap."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from sessionbot_kit.errors import SessionEnded
from sessionbot_kit.models import StoredMessage
from sessionbot_kit.store import ENDED, NewMessage
from sessionbot_kit.stores.sqlite.lines import COLUMNS, Line, stored_line, stored_messages, to_line
from sessionbot_kit.stores.sqlite.loading import TAIL
from sessionbot_kit.stores.sqlite.recent import Appended
from sessionbot_kit.stores.sqlite.sessions import TOUCH_EVERY, Sessions
from sessionbot_kit.stores.sqlite.transaction import Head, Statement, Transaction

APPEND: Final = Statement(
    """
    INSERT INTO messages (session_id, seq, role, content, tokens, cum_tokens, timestamp, media,
                          metadata)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    """,
    rank=1,
)
WAKE: Final = Statement(
    """
    UPDATE sessions SET last_activity = ?1, activity_seq = ?2, state = 'active', expires_at = ?1
    WHERE seq = ?3
    """,
    rank=2,
)
TOUCH: Final = Statement(
    "UPDATE sessions SET last_activity = ?, activity_seq = ? WHERE seq = ?", rank=3
)
AFTER: Final = f"""
SELECT {COLUMNS} FROM messages WHERE session_id = ? AND seq > ? ORDER BY seq LIMIT ?
"""


class Messages(Sessions):
    """Lines go in at the end, and come out from any place."""

    async def append(
        self, session_id: str, messages: Sequence[NewMessage]
    ) -> tuple[StoredMessage, ...]:
        """Add lines to a conversation, in order and without a gap."""
        lines = [to_line(message) for message in messages]

        def job(transaction: Transaction) -> Appended:
            head = transaction.head(session_id)
            if head.state in ENDED:
                raise SessionEnded(
                    f"session {session_id} is {head.state}; ask session_for for the next one"
                )
            return add(transaction, head, lines)

        return await self._write_then(job, lambda added: self._remember(added, lines))

    async def tail(self, session_id: str, count: int) -> tuple[StoredMessage, ...]:
        """The last lines of a conversation, oldest first; from memory when they are there."""
        if count < 1:
            return ()
        entry = await self._known(lambda: self._recent.find(session_id))
        if entry is not None:
            self._recent.hits += 1
        elif count <= self._cached_lines:
            entry = await self._entry(session_id)
        if entry is None:
            return await self._read(lambda db: _tail(db, session_id, count))
        if entry.whole or len(entry.lines) >= count:
            return tuple(entry.lines[-count:])
        found = entry.session.id
        return await self._read(lambda db: _tail(db, found, count))

    async def messages(
        self, session_id: str, *, after: int = 0, limit: int = 100
    ) -> tuple[StoredMessage, ...]:
        """Lines with a `seq` above `after`, oldest first."""

        def query(db: sqlite3.Connection) -> tuple[StoredMessage, ...]:
            found = _id(db, session_id)
            lines = db.execute(AFTER, (found, after, limit))
            return tuple(stored_messages(found, lines))

        return await self._read(query)

    def _remember(self, added: Appended, lines: Sequence[Line]) -> tuple[StoredMessage, ...]:
        stored = tuple(
            [
                stored_line(added.session_id, seq, line)
                for seq, line in enumerate(lines, added.first)
            ]
        )
        if stored:
            self._recent.appended(added, stored)
        return stored


def add(transaction: Transaction, head: Head, lines: Sequence[Line]) -> Appended:
    """Write lines at the end of a conversation."""
    first = head.seq + 1
    before = head.cum_tokens
    woken = None
    for line in lines:
        head.seq += 1
        head.cum_tokens += line.tokens
        transaction.later(
            APPEND,
            (
                head.session_id,
                head.seq,
                line.role,
                line.content,
                line.tokens,
                head.cum_tokens,
                line.timestamp,
                line.media_json,
                line.metadata_json,
            ),
        )
    if lines:
        last = lines[-1]
        if head.state in ("new", "idle"):
            head.state = "active"
            woken = last.moment
            transaction.later(WAKE, (last.timestamp, head.seq, head.session_seq))
            head.touched = last.moment
        elif abs(last.moment - head.touched) >= TOUCH_EVERY:
            # Not with each line: that would be one more page in each commit.
            transaction.later(TOUCH, (last.timestamp, head.seq, head.session_seq))
            head.touched = last.moment
        count = len(lines)
        transaction.count(
            head.interface,
            messages=count,
            tokens=head.cum_tokens - before,
            active_messages=0 if head.state in ENDED else count,
        )
    return Appended(
        head.session_id,
        first,
        head.cum_tokens - before,
        head.seq - head.cleared_seq,
        head.cum_tokens - head.cleared_tokens,
        woken,
    )


def _tail(db: sqlite3.Connection, session_id: str, count: int) -> tuple[StoredMessage, ...]:
    found = _id(db, session_id)
    lines = db.execute(TAIL, (found, count)).fetchall()
    return tuple(stored_messages(found, lines[::-1]))


def _id(db: sqlite3.Connection, session_id: str) -> str:
    row = db.execute("SELECT session_id FROM aliases WHERE alias = ?", (session_id,)).fetchone()
    return str(row[0]) if row else session_id
