"""Turns: a message is written down, tried, and answered in one transaction."""

import sqlite3
from typing import Any, Final

from sessionbot_kit.errors import StoreError, UsageError
from sessionbot_kit.models import StoredMessage
from sessionbot_kit.store import InboxRow, Timer, Turn
from sessionbot_kit.stores.sqlite import dialogs, rows
from sessionbot_kit.stores.sqlite.messages import Messages, add
from sessionbot_kit.stores.sqlite.recent import Appended
from sessionbot_kit.stores.sqlite.sessions import Kept, NewVariables
from sessionbot_kit.stores.sqlite.transaction import Statement, Transaction

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
        lines = [rows.to_line(message) for message in turn.messages]
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
        """Messages without an answer, in the order in which they came."""

        def query(db: sqlite3.Connection) -> list[InboxRow]:
            return [rows.inbox_row(row) for row in db.execute(WAITING)]

        return await self._read(query)


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
