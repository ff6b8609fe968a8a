"""The outbox: replies wait here until their channel took them, or are given up."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson

from sessionbot_kit.store import OutboxRow
from sessionbot_kit.stores.sqlite import rows
from sessionbot_kit.stores.sqlite.engine import Engine
from sessionbot_kit.stores.sqlite.transaction import Statement, Transaction

log = logging.getLogger(__name__)

NO_REPLY: Final = "the outbox has no such reply; commit its turn first"
SENT: Final = Statement(
    """
    UPDATE outbox SET state = 'sent', platform_ids = ?, error = NULL, message = NULL WHERE id = ?
    """,
    rank=7,
    otherwise=NO_REPLY,
)
FAILED: Final = Statement(
    "UPDATE outbox SET attempts = attempts + 1, error = ? WHERE id = ?", 8, NO_REPLY
)
BURY: Final = Statement(
    "UPDATE outbox SET state = 'dead', attempts = attempts + 1, error = ? WHERE id = ?", 9, NO_REPLY
)
NO_LETTER: Final = "there is no such dead letter; ask for dead_letters()"
RETRY: Final = Statement(
    """
    UPDATE outbox SET state = 'waiting', attempts = 0, error = NULL WHERE id = ? AND state = 'dead'
    """,
    rank=10,
    otherwise=NO_LETTER,
)
DROP: Final = Statement("DELETE FROM outbox WHERE id = ? AND state = 'dead'", 11, NO_LETTER)
UNSENT: Final = f"""
SELECT {rows.OUTBOX_COLUMNS} FROM outbox WHERE state <> 'sent' AND state = 'waiting'
ORDER BY position
"""
DEAD: Final = f"""
SELECT {rows.OUTBOX_COLUMNS} FROM outbox WHERE state <> 'sent' AND state = 'dead'
ORDER BY position LIMIT ?
"""
IDS_OF: Final = "SELECT platform_ids FROM outbox WHERE id = ?"


class Outbox(Engine):
    """Replies on their way out, in the order in which they were made."""

    async def unsent(self) -> list[OutboxRow]:
        """Replies that no channel took yet, in the order in which they were made."""
        return await self._replies(UNSENT)

    async def dead_letters(self, *, limit: int = 100) -> list[OutboxRow]:
        """Replies that were given up, oldest first."""
        return await self._replies(DEAD, limit)

    async def sent(self, outbox_id: str, ids: Sequence[str]) -> None:
        """The channel took it, and calls it by these ids."""
        await self._mark(SENT, outbox_id, rows.to_json(list(ids), "the ids"))

    async def ids_of(self, outbox_id: str) -> tuple[str, ...] | None:
        """What its channel calls a reply, nothing while it is not sent; None: no such reply."""
        row = await self._read(lambda db: db.execute(IDS_OF, (outbox_id,)).fetchone())
        return None if row is None else tuple(orjson.loads(row[0] or "[]"))

    def sent_soon(
        self, outbox_id: str, ids: Sequence[str], noted: Callable[[BaseException | None], None]
    ) -> None:
        """Like `sent`, with the next commit; `noted` is called then, with what went wrong."""
        values = rows.to_json(list(ids), "the ids"), outbox_id
        self._write_with_next(lambda transaction: transaction.later(SENT, values), noted)

    async def failed(self, outbox_id: str, error: str) -> None:
        """The channel did not take it this time."""
        await self._mark(FAILED, outbox_id, error)

    async def bury(self, outbox_id: str, error: str) -> None:
        """Give a reply up: it becomes a dead letter."""
        await self._mark(BURY, outbox_id, error)

    async def retry(self, outbox_id: str) -> None:
        """Send a dead letter once more, as if it had never been tried."""
        await self._write(lambda transaction: transaction.later(RETRY, (outbox_id,)))

    async def drop(self, outbox_id: str) -> None:
        """Forget a dead letter."""
        await self._write(lambda transaction: transaction.later(DROP, (outbox_id,)))

    async def _mark(self, statement: Statement, outbox_id: str, value: str) -> None:
        def job(transaction: Transaction) -> None:
            transaction.later(statement, (value, outbox_id))

        await self._write(job)

    async def _replies(self, sql: str, *values: Any) -> list[OutboxRow]:
        """Replies that can be read; another that waits becomes a dead letter, which is reported."""
        good, bad = await self._read(
            lambda db: rows.readable(db.execute(sql, values), rows.outbox_row)
        )
        for outbox_id, error in bad:
            log.error("reply cannot be read", extra={"outbox_id": outbox_id, "error": error})
            await self._mark(BURY, outbox_id, error)
        return good
