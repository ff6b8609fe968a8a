"""A store in which something else happens just before a change is written."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

from sessionbot_kit.store import Store

Happens = Callable[[], Awaitable[object]]


class Meanwhile:
    """Passes everything on to a real store; the first changes come a moment too late."""

    def __init__(self, store: Store, happens: Happens, times: int) -> None:
        self.store = store
        self.happens = happens
        self.times = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    async def change(self, *changes: Any, **more: Any) -> object:
        if self.times > 0:
            self.times -= 1
            await self.happens()
        return await self.store.change(*changes, **more)


def meanwhile(store: Store, happens: Happens, *, times: int = 1) -> Store:
    """A store in which this happens before each of the first changes."""
    return cast("Store", Meanwhile(store, happens, times))
