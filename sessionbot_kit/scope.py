"""What one version of a plugin has open: tasks, files, ports. It ends when the version does.

    class Radio(Plugin):
        def start(self):
            self.log = self.scope.keep(open("radio.log", "a"))
            self.scope.start(self.play(), "player")
            self.scope.at_end(self.tuner.release)

A plugin is given its scope before it starts. One rule to remember: what is in the scope needs no
`stop()`; it is closed after that, last opened first, whatever went wrong.
"""

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack
from typing import Any, TypeVar

from sessionbot_kit.crew import Crew

T = TypeVar("T")


class Scope:
    """Closes everything that was put into it."""

    def __init__(self, name: str) -> None:
        self._crew = Crew(f"plugin {name}")
        self._stack = AsyncExitStack()
        self.closed = False

    def start(self, work: Coroutine[Any, Any, Any], what: str = "task") -> "asyncio.Task[Any]":
        """Run a task in the background, until the version ends."""
        return self._crew.start(work, what)

    def keep(self, thing: AbstractContextManager[T]) -> T:
        """Open something that `with` closes: a file, a lock, a connection."""
        return self._stack.enter_context(thing)

    async def open(self, thing: AbstractAsyncContextManager[T]) -> T:
        """Open something that `async with` closes: a server, a client."""
        return await self._stack.enter_async_context(thing)

    def at_end(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Call a function then, sync or async."""

        async def call() -> None:
            outcome = function(*arguments)
            if inspect.isawaitable(outcome):
                await outcome

        self._stack.push_async_callback(call)

    async def close(self) -> None:
        """End the tasks, then close the rest."""
        self.closed = True
        await self._crew.stop()
        await self._stack.aclose()
