"""What stands on the page of one chat, kept in the store beside the conversation.

    page = Page(store, "visitor-1")
    row = await page.put({"id": "m1", "who": "user", "content": "Hello!"})
    row["n"]                                   # higher than that of every row before
    await page.newer(than=0)                   # all rows, the oldest first

The one rule to remember: a change is written before it is returned, one after the other, so that
whoever has seen the number n has seen everything below n.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from sessionbot_kit.store import Memory, Store

SCOPE: Final = "page"
KEPT_ROWS: Final = 200

Row = dict[str, Any]


def milliseconds() -> int:
    return time.time_ns() // 1_000_000


class Page:
    """The rows of one chat. In memory are only their ids; the rest is in the store."""

    def __init__(
        self,
        store: Store,
        chat: str,
        *,
        kept: int = KEPT_ROWS,
        clock: Callable[[], int] = milliseconds,
    ) -> None:
        self.chat = chat
        self._store = store
        self._kept = kept
        self._clock = clock
        self._number = 0
        self._born: dict[str, int] | None = None  # by id, the oldest first
        self._one_at_a_time = asyncio.Lock()

    @property
    def busy(self) -> bool:
        return self._one_at_a_time.locked()

    async def put(self, row: Row) -> Row:
        """Write a row down; one whose id stands there already is left as it is."""
        async with self._one_at_a_time:
            born = await self._index()
            if row["id"] in born:
                known = (await self._rows()).get(row["id"])
                if known is not None:
                    return known
            number = self._next()
            written = {"born": number, **row, "n": number}
            gone = [Memory(SCOPE, self.chat, id, None) for id in self._surplus(born)]
            await self._store.remember(Memory(SCOPE, self.chat, row["id"], written), *gone)
            born[row["id"]] = number
            for memory in gone:
                born.pop(memory.name, None)
            return written

    async def place_of(self, id: str) -> int | None:
        """Where a message belongs that was answered before it stood here: above its answer."""
        answers = [
            row["born"] for row in (await self._rows()).values() if row.get("reply_to") == id
        ]
        return min(answers) - 1 if answers else None

    async def change(self, id: str, change: Callable[[Row], Row]) -> Row | None:
        """Make a row a newer one; None when there is no such row on the page."""
        async with self._one_at_a_time:
            await self._index()
            row = (await self._rows()).get(id)
            if row is None:
                return None
            written = {**change(row), "id": id, "n": self._next(), "born": row["born"]}
            await self._store.remember(Memory(SCOPE, self.chat, id, written))
            return written

    async def row(self, id: str) -> Row | None:
        return (await self._rows()).get(id)

    async def newer(self, *, than: int = 0) -> list[Row]:
        """The rows that changed after a number, in the order in which they were first written."""
        async with self._one_at_a_time:  # else a row of a lower number may still be on its way
            rows = [row for row in (await self._rows()).values() if row["n"] > than]
        return sorted(rows, key=lambda row: (row["born"], row["n"]))

    def _next(self) -> int:
        # Not below the time, so that a number is never given twice, whatever was removed.
        self._number = max(self._number + 1, self._clock())
        return self._number

    def _surplus(self, born: dict[str, int]) -> list[str]:
        return list(born)[: max(0, len(born) + 1 - self._kept)]

    async def _index(self) -> dict[str, int]:
        if self._born is None:
            rows = sorted((await self._rows()).values(), key=lambda row: row["born"])
            self._born = {row["id"]: row["born"] for row in rows}
            self._number = max((row["n"] for row in rows), default=0)
        return self._born

    async def _rows(self) -> dict[str, Row]:
        found: dict[str, Any] = await self._store.memories(SCOPE, self.chat)
        return found
