"""What belongs to people: tokens to their sessions, what is remembered of them, and its end."""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Final

import orjson
from pydantic import JsonValue

from sessionbot_kit.store import Memory, TokenRow
from sessionbot_kit.stores.sqlite import rows
from sessionbot_kit.stores.sqlite.engine import Engine
from sessionbot_kit.stores.sqlite.transaction import Transaction

REMEMBER: Final = """
INSERT INTO memories (scope, owner, name, value) VALUES (?, ?, ?, ?)
ON CONFLICT (scope, owner, name) DO UPDATE SET value = excluded.value
"""
FORGET: Final = "DELETE FROM memories WHERE scope = ? AND owner = ? AND name = ?"

ENTRIES_ERASED: Final = """
DELETE FROM journal_entries WHERE journal_id IN
    (SELECT id FROM journals WHERE session_id IN (SELECT id FROM erased))
"""

# What stands on the chat pages of sessions; no session has a chat that another one has, but those
# of one person.
PAGES_ERASED: Final = """
DELETE FROM memories WHERE scope IN ('page', 'file') AND owner IN
    (SELECT chat_id FROM sessions WHERE interface = 'web' AND id IN (SELECT id FROM erased))
"""

# Scopes of memories that have a person for their owner.
PERSONAL: Final = ("user", "address", "pairing")


class People(Engine):
    """Tokens, memories, and the right to be forgotten."""

    async def token(self, hash: str) -> TokenRow | None:
        """Find a token by the hash of it."""

        def query(db: sqlite3.Connection) -> TokenRow | None:
            row = db.execute(
                "SELECT hash, session_id, created_at, expires_at FROM tokens WHERE hash = ?",
                (hash,),
            ).fetchone()
            return None if row is None else rows.token_of(row)

        return await self._read(query)

    async def remember(self, *memories: Memory) -> None:
        """Keep what was learned about a user or a bot; one transaction."""
        notes = [rows.to_memory(memory) for memory in memories]
        await self._write(lambda transaction: remember(transaction, notes))

    async def memories(self, scope: str, owner: str) -> dict[str, JsonValue]:
        """Everything that is remembered of an owner, by name."""

        def query(db: sqlite3.Connection) -> dict[str, JsonValue]:
            found = db.execute(
                "SELECT name, value FROM memories WHERE scope = ? AND owner = ?", (scope, owner)
            )
            return {name: orjson.loads(value) for name, value in found}

        return await self._read(query)

    async def erase(self, user: str, *, bot: str | None = None) -> Mapping[str, int]:
        """Remove a user from every table and from the file itself; how many rows, by table."""

        def job(transaction: Transaction) -> dict[str, int]:
            return _erase(transaction, user, bot)

        def keep(counts: dict[str, int]) -> dict[str, int]:
            self._recent.clear()
            return counts

        counts = await self._write_then(job, keep)
        await self._compact()
        return counts


def remember(transaction: Transaction, notes: Iterable[rows.Note]) -> None:
    """Write memories, or forget those without a value."""
    for *name, value in notes:
        if value is None:
            transaction.run(FORGET, name)
        else:
            transaction.run(REMEMBER, (*name, value))


def _erase(transaction: Transaction, user: str, bot: str | None) -> dict[str, int]:
    run = transaction.run
    run("CREATE TEMP TABLE IF NOT EXISTS erased (id TEXT PRIMARY KEY)")
    run("DELETE FROM erased")
    run(
        "INSERT INTO erased SELECT id FROM sessions "
        "WHERE user_id = ?1 AND bot_id = ifnull(?2, bot_id)",
        (user, bot),
    )
    _discount(transaction)
    run("INSERT INTO erased SELECT alias FROM aliases WHERE session_id IN (SELECT id FROM erased)")
    counts = {"journal_entries": run(ENTRIES_ERASED).rowcount}
    pages = run(PAGES_ERASED).rowcount
    for table, column in (
        ("messages", "session_id"),
        ("summaries", "session_id"),
        ("session_state", "session_id"),
        ("tokens", "session_id"),
        ("inbox", "session_id"),
        ("outbox", "session_id"),
        ("journals", "session_id"),
        ("timers", "session_id"),
        ("aliases", "alias"),
        ("key_aliases", "session_id"),
        ("sessions", "id"),
    ):
        sql = f"DELETE FROM {table} WHERE {column} IN (SELECT id FROM erased)"
        counts[table] = run(sql).rowcount
    counts["key_aliases"] += run("DELETE FROM key_aliases WHERE user_id = ?", (user,)).rowcount
    scopes = ", ".join("?" for _ in PERSONAL)
    counts["memories"] = (
        run(
            f"DELETE FROM memories WHERE owner = ? AND scope IN ({scopes})", (user, *PERSONAL)
        ).rowcount
        + pages
    )
    run("DELETE FROM erased")
    return counts


def _discount(transaction: Transaction) -> None:
    """Take the sessions that go out of the totals."""
    for (session_id,) in transaction.run("SELECT id FROM erased").fetchall():
        transaction.weigh(transaction.head(session_id), -1)
        transaction.drop_head(session_id)
