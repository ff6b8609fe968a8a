"""Turns: a message is written down, tried, and answered in one transaction."""

import logging
from datetime import datetime
from functools import partial
from typing import Any, Final

from sessionbot_kit.errors import StoreError, UsageError
from sessionbot_kit.models import StoredMessage
from sessionbot_kit.store import InboxRow, Timer, Turn
from sessionbot_kit.stores.sqlite import dialogs, rows
from sessionbot_kit.stores.sqlite.lines import to_line
from sessionbot_kit.stores.sqlite.messages import Messages, add
from sessionbot_kit.stores.sqlite.recent import Appended
from sessionbot_kit.stores.sqlite.sessions import Kept, NewVariables
from sessionbot_kit.stores.sqlite.transaction import Statement, Transaction

log = logging.getLogger(__name__)

PRUNED_AT_ONCE: Final = 1_000  # others who write do not wait longer than for these

ACCEPT: Final = Statement(
    """
    INSERT INTO inbox (id, session_id, channel_type, account, channel_id, message_id, message,
                       attempts, created_at, kind)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (channel_type, account, channel_id, message_id) DO NOTHING
    """,
    rank=0,
    otherwise="the message is in the inbox already",
)
FINISH: Final = Statement(
    """
    UPDATE inbox SET state = ?1, error = ?2, message = iif(?1 = 'done', NULL, message)
    WHERE id = ?3 AND state = 'waiting'
    """,
    rank=5,
    otherwise="the message was answered already, or is not in the inbox; drop this turn",
)
REPLY: Final = Statement(
    """
    INSERT INTO outbox (id, inbox_id, session_id, channel_type, account, channel_id, message,
                        created_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    """,
    rank=6,
)
ATTEMPT: Final = """
UPDATE inbox SET attempts = attempts + 1 WHERE id = ? AND state = 'waiting' RETURNING attempts
"""
WAITING: Final = f"""
SELECT {rows.INBOX_COLUMNS} FROM inbox WHERE state <> 'done' AND state = 'waiting' ORDER BY position
"""


class Turns(Messages, dialogs.Dialogs):
    """The inbox, and the commit that answers one of its rows."""

    async def accept(self, row: InboxRow) -> bool:
        """Write a message down; False when this channel, account, chat and id is known already."""
        values = self._inbox_values(row)

        def job(transaction: Transaction) -> bool:
            # In a group a copy shows as a row too few; alone, by the count of this very row.
            if transaction.alone:
                return transaction.run(ACCEPT.sql, values).rowcount == 1
            transaction.later(ACCEPT, values)
            return True

        return await self._write(job)

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

    async def attempt(self, inbox_id: str) -> int:
        """Count one more try at answering, on the disk, and return how many there were."""

        def job(transaction: Transaction) -> int:
            found = transaction.run(ATTEMPT, (inbox_id,)).fetchone()
            if found is None:
                raise StoreError(f"no message waits in the inbox as {inbox_id!r}; accept it first")
            return int(found[0])

        return await self._write(job)

    async def commit(self, turn: Turn) -> tuple[StoredMessage, ...]:
        """Inbox done, messages, variables, outbox: one transaction, if the epoch is current."""
        lines = [to_line(message) for message in turn.messages]
        variables = None
        if turn.variables is not None:
            variables = NewVariables(turn.variables, turn.base)
        replies = _replies(turn, rows.to_text(self._clock()))
        finish = ("done" if turn.error is None else "failed", turn.error, turn.inbox_id)
        dialog = dialogs.prepare(turn)

        def job(transaction: Transaction) -> tuple[Appended, Kept | None]:
            transaction.check_epoch(0, turn.epoch)
            head = transaction.head(turn.session_id)
            kept = None if variables is None else variables.write(transaction, head)
            added = add(transaction, head, lines)
            if turn.done:
                transaction.later(FINISH, finish)
            for statement, row in dialog:
                transaction.later(statement, row)
            for reply in replies:
                transaction.later(REPLY, reply)
            return added, kept

        def keep(value: tuple[Appended, Kept | None]) -> tuple[StoredMessage, ...]:
            added, kept = value
            self._note_journals(turn)
            if kept is not None:
                self._recent.changed(*kept)
            return self._remember(added, lines)

        return await self._write_then(job, keep)

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

    async def waiting(self) -> list[InboxRow]:
        """Messages without an answer, in the order in which they came.

        One that cannot be read, because its text was damaged, is set aside and reported.
        """
        good, bad = await self._read(lambda db: rows.readable(db.execute(WAITING), rows.inbox_row))
        for inbox_id, error in bad:
            log.error("message set aside", extra={"inbox_id": inbox_id, "error": error})
            values = (error, inbox_id)
            await self._write(partial(_set_aside, values=values))
        return good

    async def prune(self, before: datetime) -> int:
        """Forget which messages were answered, and which replies sent, before a moment."""
        moment = rows.to_text(before)
        gone = 0
        for table, over in (("inbox", "done"), ("outbox", "sent")):
            while count := await self._write(partial(_prune, table=table, over=over, at=moment)):
                gone += count
        return gone


def _set_aside(transaction: Transaction, values: tuple[str, str]) -> None:
    transaction.run("UPDATE inbox SET state = 'failed', error = ? WHERE id = ?", values)


def _prune(transaction: Transaction, table: str, over: str, at: str) -> int:
    # Rows lie in the order in which they came, so that what is old is found without an index.
    sql = f"""
    DELETE FROM {table} WHERE position IN (
        SELECT position FROM {table} WHERE state = '{over}' AND position < ifnull(
            (SELECT position FROM {table} WHERE created_at >= ? ORDER BY position LIMIT 1),
            9223372036854775807)
        LIMIT {PRUNED_AT_ONCE})
    """
    return transaction.run(sql, (at,)).rowcount


def _replies(turn: Turn, now: str) -> list[tuple[Any, ...]]:
    values = []
    for reply in turn.replies:
        if reply.id is None:
            raise UsageError(f"a reply of turn {turn.inbox_id} has no id; give each one its own")
        values.append(
            (
                reply.id,
                turn.inbox_id,
                turn.session_id,
                reply.channel_type,
                reply.account,
                reply.channel_id,
                reply.model_dump_json(exclude_none=True),
                now,
            )
        )
    return values
