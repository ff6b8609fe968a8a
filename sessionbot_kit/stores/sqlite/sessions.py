"""Sessions: found by any of their names, made in one step, listed, and kept in memory."""

import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import orjson
from pydantic import JsonValue

from sessionbot_kit.ids import new_id
from sessionbot_kit.models import Session, SessionKey
from sessionbot_kit.store import Loaded, NewSession, SessionRef, State, Stats
from sessionbot_kit.stores.sqlite import rows
from sessionbot_kit.stores.sqlite.engine import Engine
from sessionbot_kit.stores.sqlite.glance import NOT_NOW
from sessionbot_kit.stores.sqlite.loading import HAS_KEY, load, snapshot
from sessionbot_kit.stores.sqlite.recent import Entry, loaded
from sessionbot_kit.stores.sqlite.transaction import Head, Statement, Transaction
from sessionbot_kit.stores.sqlite.variables import merged

UNALIAS: Final = f"DELETE FROM key_aliases WHERE {HAS_KEY}"
INSERT: Final = """
INSERT INTO sessions (id, bot_id, interface, chat_id, user_id, identity, metadata, created_at,
                      last_activity, expires_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
INSERT_STATE: Final = "INSERT INTO session_state VALUES (?, ?, ?, 0)"
VARIABLES: Final = Statement(
    """
    INSERT INTO session_state (session_id, variables, version) VALUES (?, ?, ?)
    ON CONFLICT (session_id) DO UPDATE SET
        variables = excluded.variables, version = excluded.version
    """,
    rank=4,
)
TOUCH_EVERY: Final = timedelta(minutes=1)  # so old may `last_activity` be in a row
STATS: Final = """
SELECT total(sessions), total(messages), total(tokens),
       (SELECT count(*) FROM inbox WHERE state <> 'done' AND state = 'waiting'),
       (SELECT count(*) FROM outbox WHERE state <> 'sent' AND state = 'waiting'),
       (SELECT count(*) FROM outbox WHERE state <> 'sent' AND state = 'dead'),
       total(active), total(active_messages)
FROM counters
"""


class Sessions(Engine):
    """Everything about sessions but their lines."""

    async def session_for(
        self, key: SessionKey, *, now: datetime | None = None, new: NewSession | None = None
    ) -> Session:
        """The session of this key, made if it is new, in one atomic step."""
        if (entry := await self._known(lambda: self._recent.find(key))) is not None:
            self._recent.hits += 1
            return entry.current()
        at = now or self._clock()
        made = NewSession(key) if new is None else new

        def job(transaction: Transaction) -> Entry:
            transaction.flush()
            entry = load(transaction.db, key, self._cached_lines)
            return entry or Entry(make(transaction, made, key, at))

        def keep(entry: Entry) -> Session:
            self._recent.touch(entry.session.id)
            self._recent.keep(entry, key)
            return entry.session

        return await self._write_then(job, keep)

    async def session(self, ref: SessionRef) -> Session | None:
        """Find a session by id, by `seq` or by key."""
        entry = await self._entry(ref)
        return None if entry is None else entry.current()

    async def load(self, ref: SessionRef) -> Loaded | None:
        """A session with its summaries and its last lines; from memory when it is there."""
        entry = await self._entry(ref)
        return None if entry is None else loaded(entry)

    def loaded(self) -> Mapping[str, Loaded]:
        """What is in memory now, by session id."""
        return self._recent.view()

    def unload(self, session_id: str | None = None) -> None:
        """Let go of a session in memory, or of all."""
        if session_id is None:
            self._recent.clear()
        else:
            self._recent.forget(session_id)

    async def sessions(
        self,
        *,
        limit: int = 100,
        before: int | None = None,
        active_since: datetime | None = None,
        bot: str | None = None,
        interface: str | None = None,
        user: str | None = None,
        states: Collection[State] | None = None,
    ) -> list[Session]:
        """The newest first; `before` is the `seq` to go on from."""
        conditions: list[tuple[str, Any]] = []
        for condition, value in (
            ("s.seq < ?", before),
            ("s.last_activity >= ?", active_since and rows.to_text(active_since - TOUCH_EVERY)),
            (f"{rows.LAST_ACTIVITY} >= ?", active_since and rows.to_text(active_since)),
            ("s.bot_id = ?", bot),
            ("s.interface = ?", interface),
            ("s.user_id = ?", user),
        ):
            if value is not None:
                conditions.append((condition, value))
        where = [condition for condition, _ in conditions] or ["1"]
        values = [value for _, value in conditions]
        if states is not None:
            where.append(f"s.state IN ({', '.join('?' for _ in states)})")
            values.extend(states)
        # The + keeps SQLite from walking through all sessions in their order to find these.
        order = "s.seq" if active_since is None else "+s.seq"
        sql = f"{rows.SESSION} WHERE {' AND '.join(where)} ORDER BY {order} DESC LIMIT ?"
        return await self._list(sql, (*values, limit))

    async def due(self, now: datetime, *, limit: int = 500) -> list[Session]:
        """Sessions whose `expires_at` has come, in any state, the longest due first."""
        sql = f"{rows.SESSION} WHERE s.expires_at <= ? ORDER BY s.expires_at LIMIT ?"
        return await self._list(sql, (rows.to_text(now), limit))

    async def set_variables(
        self,
        session_id: str,
        variables: Mapping[str, JsonValue],
        *,
        base: Mapping[str, JsonValue] | None = None,
    ) -> None:
        """Replace the variables of a session; with a `base`, merge what was changed since."""
        new = NewVariables(variables, base)

        def job(transaction: Transaction) -> Kept:
            return new.write(transaction, transaction.head(session_id))

        await self._write_then(job, lambda kept: self._recent.changed(*kept))

    async def stats(self) -> Stats:
        """How much the store holds, without counting it."""

        def query(db: sqlite3.Connection) -> Stats:
            sessions, messages, tokens, inbox, outbox, dead, active, active_messages = map(
                int, db.execute(STATS).fetchone()
            )
            found = db.execute("SELECT interface, active FROM counters WHERE active > 0")
            by_interface: dict[str, int] = dict(found.fetchall())
            return Stats(
                sessions,
                messages,
                tokens,
                inbox,
                outbox,
                dead,
                active,
                active_messages,
                by_interface,
            )

        return replace(await self._read(query), hits=self._recent.hits, misses=self._recent.misses)

    async def _entry(self, ref: SessionRef) -> Entry | None:
        if (entry := await self._known(lambda: self._recent.find(ref))) is not None:
            self._recent.hits += 1
            return entry
        self._recent.misses += 1
        query = partial(snapshot, ref=ref, count=self._cached_lines)
        if (seen := self._glanced(query)) is not NOT_NOW:
            if seen is not None:
                self._recent.keep(seen, ref)
            return seen
        reading = self._recent.begin()
        try:
            entry = await self._read(query)
        finally:
            self._recent.end(reading)
        if entry is not None:
            self._recent.keep_read(reading, entry, ref)
        return entry

    async def _list(self, sql: str, values: tuple[Any, ...]) -> list[Session]:
        return await self._read(
            lambda db: [rows.session_of(row) for row in db.execute(sql, values)]
        )


Kept = tuple[str, dict[str, JsonValue], int]  # session id, variables, version


class NewVariables:
    """Variables that are to replace those of a session, or to be merged into them."""

    def __init__(
        self, variables: Mapping[str, JsonValue], base: Mapping[str, JsonValue] | None
    ) -> None:
        self._variables = dict(variables)
        self._text = rows.to_object(variables, "the variables")
        self._base = base

    def write(self, transaction: Transaction, head: Head) -> Kept:
        """Write them, and return what is in the file then."""
        variables, text = self._variables, self._text
        if self._base is not None:
            theirs = variables_of(transaction, head.session_id)
            variables = merged(self._base, variables, theirs)
            text = rows.to_object(variables, "the variables")
        head.version += 1
        transaction.later(VARIABLES, (head.session_id, text, head.version))
        return head.session_id, variables, head.version


def variables_of(transaction: Transaction, session_id: str) -> dict[str, JsonValue]:
    """The variables of a session, those that are still to be written included."""
    transaction.flush()
    row = transaction.db.execute(
        "SELECT variables FROM session_state WHERE session_id = ?", (session_id,)
    ).fetchone()
    return dict(orjson.loads(row[0])) if row else {}


def make(transaction: Transaction, new: NewSession, key: SessionKey, now: datetime) -> Session:
    """Make a session."""
    id_ = new.id or new_id()
    created_at = new.created_at or now
    moment = rows.to_text(created_at)
    values = (
        id_,
        *key,
        new.identity,
        rows.to_object(new.metadata, "the metadata"),
        moment,
        moment,
        rows.to_text(new.expires_at) if new.expires_at else None,
    )
    transaction.run(UNALIAS, key)
    seq = transaction.run(INSERT, values).lastrowid
    assert seq is not None
    if new.variables or new.context:
        variables = rows.to_object(new.variables, "the variables")
        context = rows.to_object(new.context, "the context")
        transaction.run(INSERT_STATE, (id_, variables, context))
    transaction.count(key.interface, sessions=1, active=1)
    transaction.keep_head(Head(id_, seq, key.interface, "new", created_at))
    return Session(
        id=id_,
        seq=seq,
        key=key,
        identity=new.identity,
        variables=new.variables,
        context=new.context,
        metadata=new.metadata,
        created_at=created_at,
        last_activity=created_at,
        expires_at=new.expires_at,
    )
