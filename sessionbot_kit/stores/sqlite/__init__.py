"""The embedded store: one SQLite file, one writer thread, nothing to install.

    async with SqliteStore("data/bot.db") as store:
        session = await store.session_for(SessionKey("shop", "telegram", "c1", "u1"))
        await store.append(session.id, [NewMessage("user", "Hello!", datetime.now(UTC))])
        await store.tail(session.id, 50)            # from memory

Writes that wait at the same moment share one transaction and one fsync (`writer.py`). Reads have
a connection of their own (`reader.py`), and what was read or written lately is kept (`memory.py`).
The one rule to remember: **memory changes after the commit, never before**.
"""

from sessionbot_kit.stores.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
