"""How a session comes into memory: found by any of its names, with the end of its conversation."""

import sqlite3
from typing import Any, Final

from sessionbot_kit.store import SessionRef
from sessionbot_kit.stores.sqlite import rows
from sessionbot_kit.stores.sqlite.lines import COLUMNS, stored_messages
from sessionbot_kit.stores.sqlite.recent import Entry

HAS_KEY: Final = "bot_id = ? AND interface = ? AND chat_id = ? AND user_id = ?"
LIVES: Final = "state NOT IN ('expired', 'closed')"
BY_KEY: Final = f"{rows.SESSION} WHERE {HAS_KEY} AND {LIVES}"
BY_KEY_ALIAS: Final = f"""
{rows.SESSION} WHERE {LIVES} AND s.id = (SELECT session_id FROM key_aliases WHERE {HAS_KEY})
"""
TAIL: Final = f"""
SELECT {COLUMNS} FROM messages WHERE session_id = ? ORDER BY seq DESC LIMIT ?
"""
SUMMARIES: Final = f"""
SELECT {rows.SUMMARY_COLUMNS} FROM summaries WHERE session_id = ? ORDER BY first
"""


def load(db: sqlite3.Connection, ref: SessionRef, count: int) -> Entry | None:
    """Read a session with its summaries and its last lines."""
    row = _row(db, ref)
    if row is None:
        return None
    session = rows.session_of(row)
    cleared_seq, cleared_tokens, last_seq, cum_tokens = row[-4:]
    if last_seq is None:
        last_seq, cum_tokens = cleared_seq, cleared_tokens
    summaries = rows.summaries_of(db.execute(SUMMARIES, (session.id,)))
    lines = stored_messages(session.id, db.execute(TAIL, (session.id, count)).fetchall()[::-1])
    covered, covered_tokens = cleared_seq, cleared_tokens
    if summaries and summaries[-1].last > cleared_seq:
        covered = summaries[-1].last
        found = db.execute(
            "SELECT cum_tokens FROM messages WHERE session_id = ? AND seq = ?",
            (session.id, covered),
        ).fetchone()
        covered_tokens = found[0] if found else cum_tokens
    return Entry(
        session,
        summaries,
        lines,
        whole=not lines or lines[0].seq == cleared_seq + 1,
        last_seq=last_seq,
        live_messages=last_seq - covered,
        live_tokens=cum_tokens - covered_tokens,
    )


def snapshot(db: sqlite3.Connection, ref: SessionRef, count: int) -> Entry | None:
    """Load from one moment of the file, so that what is read fits together."""
    db.execute("BEGIN")
    try:
        return load(db, ref, count)
    finally:
        db.execute("COMMIT")


def _row(db: sqlite3.Connection, ref: SessionRef) -> tuple[Any, ...] | None:
    if isinstance(ref, tuple):
        row: tuple[Any, ...] | None = db.execute(BY_KEY, ref).fetchone()
        return row or db.execute(BY_KEY_ALIAS, ref).fetchone()
    column, alias = ("id", "alias") if isinstance(ref, str) else ("seq", "seq")
    row = db.execute(f"{rows.SESSION} WHERE s.{column} = ?", (ref,)).fetchone()
    if row is None:
        target = db.execute(f"SELECT session_id FROM aliases WHERE {alias} = ?", (ref,)).fetchone()
        row = target and db.execute(f"{rows.SESSION} WHERE s.id = ?", target).fetchone()
    return row
