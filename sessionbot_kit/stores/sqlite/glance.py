"""Short reads in the loop itself, as long as they are short.

    found = glance.at(query)            # NOT_NOW: ask the reader's thread

To read a session with its last lines takes a tenth of a millisecond while the file is in the
memory of the machine; a hop to a thread and back takes as long again. So it is tried here first. A
read that had to wait for the disk is noticed, and the next ones go to the thread, where waiting
harms nobody. The one rule to remember: **nothing but what one session needs is read here.**
"""

import sqlite3
import time
from collections.abc import Callable
from enum import Enum
from typing import Final, TypeVar

SLOW_S: Final = 0.003
REST: Final = 200  # reads that go to the thread after a slow one


class NotNow(Enum):
    """Says that the thread is to be asked."""

    NOT_NOW = "not now"


NOT_NOW: Final = NotNow.NOT_NOW

T = TypeVar("T")


class Glance:
    """Owns a connection that only the loop uses."""

    def __init__(
        self, db: sqlite3.Connection, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._db = db
        self._clock = clock
        self._rest = 0

    def at(self, query: Callable[[sqlite3.Connection], T]) -> T | NotNow:
        """Run a query now, or say NOT_NOW."""
        if self._rest:
            self._rest -= 1
            return NOT_NOW
        begin = self._clock()
        try:
            found = query(self._db)
        except sqlite3.Error:
            return NOT_NOW  # the reader has more patience, and says what is wrong
        if self._clock() - begin > SLOW_S:
            self._rest = REST
        return found

    def close(self) -> None:
        self._db.close()
