"""Each verb of the contract, as a job for the writer or a query for the reader."""

import asyncio
import os
import socket
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from pydantic import JsonValue

from sessionbot_kit.errors import StoreError, UsageError
from sessionbot_kit.ids import new_id
from sessionbot_kit.journal import Journal
from sessionbot_kit.models import Session, SessionKey, StoredMessage, Totals
from sessionbot_kit.store import (
    InboxRow,
    Lease,
    NewMessage,
    OutboxRow,
    SessionRef,
    Stats,
    Timer,
    Turn,
)
from sessionbot_kit.stores.sqlite import dialogs, rows
from sessionbot_kit.stores.sqlite.lease import FileLock
from sessionbot_kit.stores.sqlite.memory import Memory
from sessionbot_kit.stores.sqlite.reader import Reader
from sessionbot_kit.stores.sqlite.schema import Durability, connect, connect_reader
from sessionbot_kit.stores.sqlite.transaction import Head, Statement, Transaction
from sessionbot_kit.stores.sqlite.writer import Group, Job, Writer

T = TypeVar("T")
R = TypeVar("R")

# A warm read believes its memory for so long without asking whether another process wrote.
FRESH_S: Final = 0.05
STALE_S: Final = 0.15

ACCEPT = Statement(
    """
    INSERT INTO inbox (id, session_id, channel_type, account, channel_id, message_id, message,
                       attempts, created_at, kind)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (channel_type, account, channel_id, message_id) DO NOTHING
    """,
    rank=0,
    otherwise="the message is in the inbox already",
)
APPEND = Statement(
    """
    INSERT INTO messages (session_id, seq, role, content, tokens, cum_tokens, timestamp, media,
                          metadata)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    """,
    rank=1,
)
TOUCH = Statement(
    """
    UPDATE sessions SET last_activity = ?, state = iif(state IN ('new', 'idle'), 'active', state)
    WHERE seq = ?
    """,
    rank=2,
)
FINISH = Statement(
    "UPDATE inbox SET state = ?, error = ? WHERE id = ? AND state = 'waiting'",
    rank=3,
    otherwise="the message was answered already, or is not in the inbox; drop this turn",
)
VARIABLES = Statement(
    """
    INSERT INTO session_state (session_id, variables, version) VALUES (?, ?, 1)
    ON CONFLICT (session_id) DO UPDATE SET variables = excluded.variables, version = version + 1
    """,
    rank=4,
)
REPLY = Statement(
    """
    INSERT INTO outbox (id, inbox_id, session_id, channel_type, account, channel_id, message,
                        created_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    """,
    rank=5,
)
NO_REPLY: Final = "the outbox has no such reply; commit its turn first"
SENT = Statement(
    "UPDATE outbox SET state = 'sent', platform_ids = ?, error = NULL WHERE id = ?",
    rank=6,
    otherwise=NO_REPLY,
)
FAILED = Statement(
    "UPDATE outbox SET attempts = attempts + 1, error = ? WHERE id = ?",
    rank=7,
    otherwise=NO_REPLY,
)
BURY = Statement(
    "UPDATE outbox SET state = 'dead', attempts = attempts + 1, error = ? WHERE id = ?",
    rank=8,
    otherwise=NO_REPLY,
)

SESSION = f"""
SELECT {rows.SESSION_COLUMNS} FROM sessions s LEFT JOIN session_state v ON v.session_id = s.id
"""


class SqliteStore:
    """The store in one SQLite file. `durability="process"` survives kill -9, not a power cut."""

    def __init__(
        self,
        path: str | Path,
        *,
        durability: Durability = "power",
        busy_timeout_s: float = 5.0,
        cached_sessions: int = 1_000,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if durability not in ("power", "process"):
            raise UsageError(f'durability is "power" or "process", not {durability!r}')
        self.path = Path(path)
        self._durability: Durability = durability
        self._busy_timeout_s = busy_timeout_s
        self._clock = clock
        self._memory = Memory(cached_sessions)
        self._lock = FileLock(self.path.with_name(self.path.name + ".lock"))
        self._writer: Writer | None = None
        self._reader: Reader | None = None
        self._probe: asyncio.Future[None] | None = None
        self._looked_at = 0.0

    def __repr__(self) -> str:
        return f"SqliteStore({str(self.path)!r}, durability={self._durability!r})"

    async def __aenter__(self) -> Self:
        if self._writer is not None:
            raise UsageError(f"{self!r} is open already; open it once and share it")
        loop = asyncio.get_running_loop()
        writing, reading = await asyncio.to_thread(self._connect)
        self._writer = Writer(writing, self.path, loop, self._on_group)
        self._reader = Reader(reading, self.path, loop)
        self._writer.start()
        self._reader.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        writer, reader = self._writer, self._reader
        self._writer = self._reader = None
        try:
            if reader is not None:
                await reader.stop()
            if writer is not None:
                await writer.stop()
        finally:
            self._memory.clear()
            self._lock.release()

    # Leases

    async def acquire(self, holder: str, *, partition: int = 0) -> Lease:
        """Take the store for one gateway; StoreHeld names the living one that refuses it."""
        if partition != 0:
            raise UsageError(f"a SQLite store has one partition, 0; there is no {partition}")
        now = self._clock()
        self._lock.acquire(holder, now)

        def job(transaction: Transaction) -> tuple[int, bool]:
            transaction.forget_epoch(partition)
            before = transaction.run(
                "SELECT holder FROM leases WHERE partition = ?", (partition,)
            ).fetchone()
            (epoch,) = transaction.run(
                """
                INSERT INTO leases (partition, epoch, holder, pid, host, since)
                VALUES (?1, 1, ?2, ?3, ?4, ?5)
                ON CONFLICT (partition) DO UPDATE SET
                    epoch = epoch + 1, holder = ?2, pid = ?3, host = ?4, since = ?5
                RETURNING epoch
                """,
                (partition, holder, os.getpid(), socket.gethostname(), rows.to_text(now)),
            ).fetchone()
            return int(epoch), before is not None and before[0] is not None

        try:
            epoch, crashed = await self._write(job)
            return Lease(partition, holder, epoch, crashed)
        except BaseException:
            self._lock.release()
            raise

    async def release(self, lease: Lease) -> None:
        """Give the lease back; a commit with its epoch is refused from now on."""

        def job(transaction: Transaction) -> bool:
            transaction.forget_epoch(lease.partition)
            return bool(
                transaction.run(
                    "UPDATE leases SET holder = NULL WHERE partition = ? AND epoch = ?",
                    (lease.partition, lease.epoch),
                ).rowcount
            )

        if await self._write(job):
            self._lock.release()

    # Sessions

    async def session_for(self, key: SessionKey) -> Session:
        """The session of this key, made if it is new, in one atomic step."""
        if (known := await self._known(lambda: self._memory.session(key))) is not None:
            return known
        now = self._clock()
        new = new_id()

        def job(transaction: Transaction) -> Session:
            find = f"{SESSION} WHERE bot = ? AND interface = ? AND chat = ? AND user = ? "
            find += "AND state <> 'closed'"
            row = transaction.run(find, key).fetchone()
            if row is not None:
                return rows.session_of(row)
            moment = rows.to_text(now)
            seq = transaction.run(
                """
                INSERT INTO sessions (id, bot, interface, chat, user, created_at, last_activity)
                VALUES (?, ?, ?, ?, ?, ?, ?)
                """,
                (new, *key, moment, moment),
            ).lastrowid
            assert seq is not None
            transaction.count(key.interface, sessions=1)
            transaction.new_head(Head(new, seq, key.interface, 0, 0, 0, 0))
            return Session(id=new, seq=seq, key=key, created_at=now, last_activity=now)

        def keep(session: Session) -> Session:
            is_new = session.id == new
            self._memory.keep_session(session)
            if is_new:
                self._memory.keep_tail(new, [], whole=True)
            return session

        return await self._write_then(job, keep)

    async def session(self, ref: SessionRef) -> Session | None:
        """Find a session by id, by `seq` or by key."""
        if (known := await self._known(lambda: self._memory.session(ref))) is not None:
            return known
        where, values = _where(ref)

        def query(db: sqlite3.Connection) -> Session | None:
            row = db.execute(f"{SESSION} WHERE {where}", values).fetchone()
            return None if row is None else rows.session_of(row)

        return await self._read(query)

    async def sessions(self, *, limit: int = 100, before: int | None = None) -> list[Session]:
        """The newest first; `before` is the `seq` to go on from."""

        def query(db: sqlite3.Connection) -> list[Session]:
            found = db.execute(
                f"{SESSION} WHERE s.seq < ? ORDER BY s.seq DESC LIMIT ?",
                (2**63 - 1 if before is None else before, limit),
            )
            return [rows.session_of(row) for row in found]

        return await self._read(query)

    async def set_variables(self, session_id: str, variables: Mapping[str, JsonValue]) -> None:
        """Replace the variables of a session."""
        kept = dict(variables)
        text = rows.variables_text(kept)

        def job(transaction: Transaction) -> str:
            head = transaction.head(session_id)
            transaction.later(VARIABLES, (head.session_id, text))
            return head.session_id

        await self._write_then(job, lambda found: self._memory.changed(found, kept))

    # Messages

    async def append(
        self, session_id: str, messages: Sequence[NewMessage]
    ) -> tuple[StoredMessage, ...]:
        """Add lines to a conversation, in order and without a gap."""
        lines = [rows.to_line(message) for message in messages]
        now = self._clock()

        def job(transaction: Transaction) -> tuple[Head, int, Totals]:
            return _append(transaction, session_id, lines, now)

        return await self._write_then(job, lambda value: self._remember(value, lines, now))

    async def tail(self, session_id: str, count: int) -> tuple[StoredMessage, ...]:
        """The last lines of a conversation, oldest first; from memory when they are there."""
        known = await self._known(lambda: self._memory.tail(session_id, count))
        if known is not None:
            return known

        def query(db: sqlite3.Connection) -> list[StoredMessage]:
            found = db.execute(
                f"SELECT {rows.MESSAGE_COLUMNS} FROM messages WHERE session_id = ? "
                "ORDER BY seq DESC LIMIT ?",
                (session_id, count),
            ).fetchall()
            return rows.stored_messages(reversed(found))

        reading = self._memory.begin(session_id)
        intact = False
        try:
            lines = await self._read(query)
        finally:
            intact = self._memory.end(reading)
        if intact and lines:
            self._memory.keep_tail(session_id, list(lines), whole=len(lines) < count)
        return tuple(lines)

    async def messages(
        self, session_id: str, *, after: int = 0, limit: int = 100
    ) -> tuple[StoredMessage, ...]:
        """Lines with a `seq` above `after`, oldest first."""

        def query(db: sqlite3.Connection) -> tuple[StoredMessage, ...]:
            found = db.execute(
                f"SELECT {rows.MESSAGE_COLUMNS} FROM messages WHERE session_id = ? AND seq > ? "
                "ORDER BY seq LIMIT ?",
                (session_id, after, limit),
            )
            return tuple(rows.stored_messages(found))

        return await self._read(query)

    # Turns

    async def accept(self, row: InboxRow) -> bool:
        """Write a message down; False when this channel, account, chat and id is known already."""
        values = self._inbox_values(row)

        def job(transaction: Transaction) -> bool:
            # Behind a savepoint the count of changed rows is this row's own.
            if transaction.alone:
                return transaction.run(ACCEPT.sql, values).rowcount == 1
            transaction.later(ACCEPT, values)
            return True

        return await self._write(job)

    def _inbox_values(self, row: InboxRow) -> tuple[Any, ...]:
        message = row.message
        return (
            row.id,
            row.session_id,
            message.channel_type,
            message.account,
            message.channel_id,
            message.id,
            message.model_dump_json(exclude_none=True),
            row.attempts,
            rows.to_text(self._clock()),
            row.kind,
        )

    async def attempt(self, inbox_id: str) -> int:
        """Count one more try at answering, on the disk, and return how many there were."""

        def job(transaction: Transaction) -> int:
            found = transaction.run(
                "UPDATE inbox SET attempts = attempts + 1 WHERE id = ? RETURNING attempts",
                (inbox_id,),
            ).fetchone()
            if found is None:
                raise StoreError(f"the inbox has no row {inbox_id!r}; accept the message first")
            return int(found[0])

        return await self._write(job)

    async def commit(self, turn: Turn) -> tuple[StoredMessage, ...]:
        """Inbox done, messages, variables, outbox: one transaction, if the epoch is current."""
        lines = [rows.to_line(message) for message in turn.messages]
        variables = None if turn.variables is None else dict(turn.variables)
        text = None if variables is None else rows.variables_text(variables)
        now = self._clock()
        moment = rows.to_text(now)
        replies = []
        for reply in turn.replies:
            if reply.id is None:
                raise UsageError(
                    f"a reply of turn {turn.inbox_id} has no id; give each one its own"
                )
            replies.append(
                (
                    reply.id,
                    turn.inbox_id,
                    turn.session_id,
                    reply.channel_type,
                    reply.account,
                    reply.channel_id,
                    reply.model_dump_json(exclude_none=True),
                    moment,
                )
            )
        state = "done" if turn.error is None else "failed"
        dialog = dialogs.prepare(turn)

        def job(transaction: Transaction) -> tuple[Head, int, Totals]:
            transaction.check_epoch(0, turn.epoch)
            if turn.done:
                transaction.later(FINISH, (state, turn.error, turn.inbox_id))
            for statement, row in dialog:
                transaction.later(statement, row)
            head, first, totals = _append(transaction, turn.session_id, lines, now)
            if text is not None:
                transaction.later(VARIABLES, (head.session_id, text))
            for reply in replies:
                transaction.later(REPLY, reply)
            return head, first, totals

        def keep(value: tuple[Head, int, Totals]) -> tuple[StoredMessage, ...]:
            if variables is not None:
                self._memory.changed(value[0].session_id, variables)
            return self._remember(value, lines, now)

        return await self._write_then(job, keep)

    async def waiting(self) -> list[InboxRow]:
        """Messages without an answer, in the order in which they came."""

        def query(db: sqlite3.Connection) -> list[InboxRow]:
            found = db.execute(
                f"SELECT {rows.INBOX_COLUMNS} FROM inbox WHERE state = 'waiting' ORDER BY position"
            )
            return [rows.inbox_row(row) for row in found]

        return await self._read(query)

    async def journals(self, session_id: str) -> list[Journal]:
        """The dialogs of a session: at most one that is open, and that of an unfinished turn."""
        return await self._read(lambda db: dialogs.journals(db, session_id))

    async def journaled(self) -> list[str]:
        """The ids of all sessions that have a journal."""
        return await self._read(dialogs.journaled)

    async def timers(self, *, limit: int = 100) -> list[Timer]:
        """The timers that run out first, in that order."""
        return await self._read(lambda db: dialogs.timers(db, limit))

    async def fire(self, timer: Timer, row: InboxRow) -> bool:
        """Put a row in the place of its timer; False when the timer is not there any more."""
        values = self._inbox_values(row)
        due = rows.to_text(timer.due)

        def job(transaction: Transaction) -> bool:
            if not transaction.run(dialogs.FIRE, (timer.id, due)).rowcount:
                return False
            transaction.later(ACCEPT, values)
            return True

        return await self._write(job)

    # Outbox

    async def unsent(self) -> list[OutboxRow]:
        """Replies that no channel took yet, in the order in which they were made."""

        def query(db: sqlite3.Connection) -> list[OutboxRow]:
            found = db.execute(
                f"SELECT {rows.OUTBOX_COLUMNS} FROM outbox WHERE state = 'waiting' "
                "ORDER BY position"
            )
            return [rows.outbox_row(row) for row in found]

        return await self._read(query)

    async def sent(self, outbox_id: str, ids: Sequence[str]) -> None:
        """The channel took it, and calls it by these ids."""
        await self._mark(SENT, outbox_id, rows.to_json(list(ids), "the ids"))

    async def failed(self, outbox_id: str, error: str) -> None:
        """The channel did not take it this time."""
        await self._mark(FAILED, outbox_id, error)

    async def bury(self, outbox_id: str, error: str) -> None:
        """Give a reply up: it becomes a dead letter."""
        await self._mark(BURY, outbox_id, error)

    async def _mark(self, statement: Statement, outbox_id: str, value: str) -> None:
        def job(transaction: Transaction) -> None:
            transaction.later(statement, (value, outbox_id))

        await self._write(job)

    async def dead_letters(self, *, limit: int = 100) -> list[OutboxRow]:
        """Replies that were given up, oldest first."""

        def query(db: sqlite3.Connection) -> list[OutboxRow]:
            found = db.execute(
                f"SELECT {rows.OUTBOX_COLUMNS} FROM outbox WHERE state = 'dead' "
                "ORDER BY position LIMIT ?",
                (limit,),
            )
            return [rows.outbox_row(row) for row in found]

        return await self._read(query)

    async def stats(self) -> Stats:
        """How much the store holds, without counting it."""

        def query(db: sqlite3.Connection) -> Stats:
            found = db.execute(
                """
                SELECT total(sessions), total(messages), total(tokens),
                       (SELECT count(*) FROM inbox WHERE state = 'waiting'),
                       (SELECT count(*) FROM outbox WHERE state = 'waiting'),
                       (SELECT count(*) FROM outbox WHERE state = 'dead')
                FROM counters
                """
            ).fetchone()
            return Stats(*map(int, found))

        return await self._read(query)

    # How it works

    def _connect(self) -> tuple[sqlite3.Connection, sqlite3.Connection]:
        writing = connect(
            self.path, durability=self._durability, busy_timeout_s=self._busy_timeout_s
        )
        try:
            return writing, connect_reader(self.path, busy_timeout_s=self._busy_timeout_s)
        except BaseException:
            writing.close()
            raise

    async def _write(self, job: Callable[[Transaction], T]) -> T:
        return await self._write_then(job, lambda value: value)

    async def _write_then(self, job: Callable[[Transaction], T], on_commit: Callable[[T], R]) -> R:
        """Have a job done, and change memory once it is on the disk."""
        if self._writer is None:
            raise StoreError(f"{self.path} is closed; use it inside `async with`")
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._writer.submit(Job(job, future, on_commit))
        return await future

    async def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        if self._reader is None:
            raise StoreError(f"{self.path} is closed; use it inside `async with`")
        return await self._reader.read(query)

    def _on_group(self, group: Group) -> None:
        """In the loop, once a group is on the disk: memory first, then those who wait."""
        if group.foreign:
            self._memory.clear()
        self._looked_at = max(self._looked_at, group.looked_at)
        for job in group.jobs:
            if job.error is None and job.on_commit is not None:
                job.value = job.on_commit(job.value)
        for job in group.jobs:
            if job.future.done():
                continue  # whoever asked has been cancelled; it is written all the same
            if job.error is not None:
                job.future.set_exception(job.error)
            else:
                job.future.set_result(job.value)

    def _remember(
        self, value: tuple[Head, int, Totals], lines: Sequence[rows.Line], now: datetime
    ) -> tuple[StoredMessage, ...]:
        head, first, totals = value
        session_id = head.session_id
        stored = tuple(rows.to_stored(session_id, first + n, line) for n, line in enumerate(lines))
        self._memory.appended(session_id, stored, totals, now)
        return stored

    async def _known(self, recall: Callable[[], T | None]) -> T | None:
        """What memory holds, if no other process has written to the file since.

        A look at the file costs a hop to the writer. Looks are shared, and a busy reader has the
        next one made ahead of time, so that it never waits for one.
        """
        found = recall()
        age = time.monotonic() - self._looked_at
        if found is None or age < FRESH_S:
            return found
        if self._writer is None:
            raise StoreError(f"{self.path} is closed; use it inside `async with`")
        if self._probe is None or self._probe.done():
            self._probe = asyncio.get_running_loop().create_future()
            self._writer.submit(Job(None, self._probe))
        if age < STALE_S:
            return found
        await asyncio.shield(self._probe)
        return recall()


def _append(
    transaction: Transaction, session_id: str, lines: Sequence[rows.Line], now: datetime
) -> tuple[Head, int, Totals]:
    head = transaction.head(session_id)
    first = head.seq + 1
    before = head.cum_tokens
    sid = head.session_id
    for role, content, tokens, _, timestamp, media, metadata, _, _ in lines:
        head.seq += 1
        head.cum_tokens += tokens
        transaction.later(
            APPEND,
            (
                sid,
                head.seq,
                role,
                content,
                tokens,
                head.cum_tokens,
                timestamp,
                media,
                metadata,
            ),
        )
    if lines:
        transaction.later(TOUCH, (rows.to_text(now), head.session_seq))
        transaction.count(head.interface, messages=len(lines), tokens=head.cum_tokens - before)
    totals = Totals(
        messages=head.seq - head.cleared_seq, tokens=head.cum_tokens - head.cleared_tokens
    )
    return head, first, totals


def _where(ref: SessionRef) -> tuple[str, tuple[Any, ...]]:
    if isinstance(ref, str):
        return "s.id = ?", (ref,)
    if isinstance(ref, int):
        return "s.seq = ?", (ref,)
    where = "bot = ? AND interface = ? AND chat = ? AND user = ? AND state <> 'closed'"
    return where, tuple(ref)
