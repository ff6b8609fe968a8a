"""The store, put together."""

from typing import Self

from sessionbot_kit.stores.sqlite.changes import Changes
from sessionbot_kit.stores.sqlite.leases import Leases
from sessionbot_kit.stores.sqlite.outbox import Outbox
from sessionbot_kit.stores.sqlite.people import People
from sessionbot_kit.stores.sqlite.turns import Turns


class SqliteStore(Leases, Turns, Outbox, Changes, People):
    """A store in one SQLite file.

    `durability="power"` means that what was acknowledged survives a power cut; with "process" it
    survives kill -9, and commits are much cheaper.
    """

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._close()
