"""A store of one's own for a manager, for the length of a block or until it is closed.

    async with SessionManager.open("sqlite:///memory.db") as sessions: ...

    sessions = await SessionManager.open("sqlite:///memory.db")       # in a notebook
    await sessions.close()

The one rule to remember: who opens closes; a manager on a store that somebody else opened leaves
the store open.
"""

from collections.abc import Generator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from sessionbot_kit.errors import UsageError
from sessionbot_kit.sessions.janitor import Janitor
from sessionbot_kit.sessions.policy import SessionPolicy
from sessionbot_kit.store import Store
from sessionbot_kit.stores import open_store


class Closable(Protocol):
    """What remembers what has to be closed after it."""

    opened: AsyncExitStack | None

    def __init__(self, store: Store, policy: SessionPolicy | None = None) -> None: ...


Manager = TypeVar("Manager", bound=Closable)


class Opening(Generic[Manager]):
    """Opens a store, begins to sweep it, and makes a manager on it."""

    def __init__(
        self,
        kind: type[Manager],
        url: str | Path | None,
        policy: SessionPolicy | None,
        settings: dict[str, Any],
    ) -> None:
        if policy is not None and settings:
            raise UsageError("give a policy or plain settings, not both; use dataclasses.replace")
        self._kind = kind
        self._policy = policy or SessionPolicy.of(settings)
        self._store = open_store(
            url, cached_sessions=self._policy.limits.loaded, clock=self._policy.clock
        )
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Manager:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._store)
            await stack.enter_async_context(Janitor(self._store, self._policy))
            manager = self._kind(self._store, self._policy)
            self._stack = manager.opened = stack.pop_all()
        return manager

    async def __aexit__(self, *exc_info: Any) -> None:
        await self._stack.aclose()

    def __await__(self) -> Generator[Any, None, Manager]:
        return self.__aenter__().__await__()
