"""The rows of dialogs: journals with their entries, and timers."""

import sqlite3
from collections.abc import Iterator
from typing import Any, Final

import orjson

from sessionbot_kit.journal import Entry, Journal
from sessionbot_kit.models import IncomingMessage
from sessionbot_kit.store import Timer, Turn
from sessionbot_kit.stores.sqlite import rows
from sessionbot_kit.stores.sqlite.engine import Engine
from sessionbot_kit.stores.sqlite.transaction import Statement, Transaction
from sessionbot_kit.stores.sqlite.writer import Group

Row = tuple[Statement, tuple[Any, ...]]

# What is over goes first: a dialog may be followed by another one, or by itself, corrected.
END_ENTRIES = Statement("DELETE FROM journal_entries WHERE journal_id = ?", rank=20)
END = Statement("DELETE FROM journals WHERE id = ?", rank=21)
STOP = Statement("DELETE FROM timers WHERE id = ?", rank=22)
JOURNAL = Statement(
    """
    INSERT INTO journals (id, session_id, plugin, open) VALUES (?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET open = excluded.open
    """,
    rank=23,
)
ENTRY = Statement(
    """
    INSERT INTO journal_entries (journal_id, n, turn, kind, name, value, said)
    VALUES (?, ?, ?, ?, ?, ?, ?)
    """,
    rank=24,
)
TIMER = Statement(
    "INSERT OR REPLACE INTO timers (id, session_id, kind, due, message) VALUES (?, ?, ?, ?, ?)",
    rank=25,
)
OPEN: Final = "SELECT id FROM journals WHERE open AND session_id = ?"
FIRE: Final = "DELETE FROM timers WHERE id = ? AND due = ?"


def prepare(turn: Turn) -> list[Row]:
    """What a turn writes of its dialog."""
    return list(_rows(turn))


def _rows(turn: Turn) -> Iterator[Row]:
    for id in turn.ended:
        yield END_ENTRIES, (id,)
        yield END, (id,)
    for id in turn.stopped:
        yield STOP, (id,)
    if (journal := turn.journal) is not None:
        yield JOURNAL, (journal.id, turn.session_id, journal.plugin, int(journal.open))
        for n, entry in enumerate(journal.entries, turn.first):
            value = rows.to_json(entry.value, f"the step {entry.kind} {entry.name}")
            yield ENTRY, (journal.id, n, entry.turn, entry.kind, entry.name, value, entry.said)
    for timer in turn.timers:
        due, message = rows.to_text(timer.due), timer.message.model_dump_json(exclude_none=True)
        yield TIMER, (timer.id, timer.session_id, timer.kind, due, message)


class Dialogs(Engine):
    """Reads journals and timers, and knows by heart which sessions have no journal."""

    _journaled: set[str] | None = None
    _journal_writes = 0

    async def journals(self, session_id: str) -> list[Journal]:
        """The dialogs of a session: at most one that is open, and that of an unfinished turn."""
        while self._journaled is None:
            writes = self._journal_writes
            known = await self._read(_journaled)
            if writes == self._journal_writes:
                self._journaled = known
        if session_id not in self._journaled:
            return []
        found = await self._read(lambda db: _journals(db, session_id))
        if not found and self._journaled is not None:
            self._journaled.discard(session_id)
        return found

    async def timers(self, *, limit: int = 100) -> list[Timer]:
        """The timers that run out first, in that order."""
        return await self._read(lambda db: _timers(db, limit))

    def _note_journals(self, turn: Turn) -> None:
        """A turn was committed."""
        if turn.journal is not None:
            self._journal_writes += 1
            if self._journaled is not None:
                self._journaled.add(turn.session_id)

    def _forget_journals(self) -> None:
        """Journals may have gone to other sessions."""
        self._journal_writes += 1
        self._journaled = None

    def _on_group(self, group: Group) -> None:
        if group.foreign:
            self._forget_journals()
        super()._on_group(group)


def move(transaction: Transaction, session_id: str, target: str) -> None:
    """Give a session's dialogs and timers to another; its own open dialog goes before."""
    run = transaction.run
    (open_there,) = run(
        "SELECT EXISTS (SELECT 1 FROM journals WHERE open AND session_id = ?)", (target,)
    ).fetchone()
    if open_there:
        run(f"DELETE FROM journal_entries WHERE journal_id IN ({OPEN})", (session_id,))
        run("DELETE FROM journals WHERE open AND session_id = ?", (session_id,))
    run("UPDATE journals SET session_id = ? WHERE session_id = ?", (target, session_id))
    run("UPDATE timers SET session_id = ? WHERE session_id = ?", (target, session_id))


def remove(transaction: Transaction, session_id: str) -> None:
    """Drop everything of a session's dialogs."""
    run = transaction.run
    run(
        "DELETE FROM journal_entries WHERE journal_id IN "
        "(SELECT id FROM journals WHERE session_id = ?)",
        (session_id,),
    )
    run("DELETE FROM journals WHERE session_id = ?", (session_id,))
    run("DELETE FROM timers WHERE session_id = ?", (session_id,))


def _journals(db: sqlite3.Connection, session_id: str) -> list[Journal]:
    found = db.execute(
        "SELECT id, plugin, open FROM journals WHERE session_id = ? ORDER BY id", (session_id,)
    ).fetchall()
    return [Journal(id, plugin, _entries(db, id), bool(open)) for id, plugin, open in found]


def _entries(db: sqlite3.Connection, journal_id: str) -> tuple[Entry, ...]:
    found = db.execute(
        """
        SELECT kind, name, value, turn, said FROM journal_entries
        WHERE journal_id = ? ORDER BY n
        """,
        (journal_id,),
    )
    return tuple(
        Entry(kind, name, orjson.loads(value), turn, said)
        for kind, name, value, turn, said in found
    )


def _journaled(db: sqlite3.Connection) -> set[str]:
    return {id for (id,) in db.execute("SELECT DISTINCT session_id FROM journals")}


def _timers(db: sqlite3.Connection, limit: int) -> list[Timer]:
    found = db.execute(
        "SELECT id, session_id, kind, due, message FROM timers ORDER BY due, id LIMIT ?", (limit,)
    )
    return [
        Timer(
            id, session_id, kind, rows.to_moment(due), IncomingMessage.model_validate_json(message)
        )
        for id, session_id, kind, due, message in found
    ]
