"""Where a bot runs: in the loop that starts it, or in a thread of its own.

    bot = Bot(echo, host="thread")
    await bot.hear("!echo hello")            # from any loop; the bot has one of its own
    bot.sync.hear("!echo hello")             # and from none, for people who do not want to await

A bot in the loop of a notebook stands still while a cell computes. In a thread it goes on, and a
cell that blocks for seconds delays nobody. The one rule to remember: **what belongs to a loop is
touched in that loop alone**; so whatever is asked of a bot elsewhere is carried over, and only
plain values come back.
"""

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import Future
from functools import wraps
from typing import Any, Concatenate, Final, Literal, ParamSpec, Protocol, TypeVar

from sessionbot_kit.errors import UsageError

T = TypeVar("T")
P = ParamSpec("P")

Where = Literal["loop", "thread"]
HOSTS: Final = ("loop", "thread")


class Host(Protocol):
    """Where something runs."""

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Have it done there, and wait for it here."""
        ...


class OwnLoop:
    """The loop of whoever asks."""

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        return await work


class OwnThread:
    """A loop in a thread, from the first thing that is to be done there until it ends."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        if asyncio.get_running_loop() is self._loop:
            return await work
        return await asyncio.wrap_future(self._submit(work))

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Have it done there, and block until it is; Ctrl-C cancels it there, too."""
        if threading.current_thread().name == self._name:
            work.close()
            raise UsageError(
                f"{self._name} was asked to wait for itself; inside a plugin write await, not .sync"
            )
        done = self._submit(work)
        try:
            return done.result()
        except BaseException:
            done.cancel()
            raise

    def end(self) -> None:
        """End the thread, once nothing runs there any more."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)

    def _submit(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                # A daemon: a program that ends without stop() is not kept from ending.
                threading.Thread(
                    target=_serve, args=(self._loop,), name=self._name, daemon=True
                ).start()
            return asyncio.run_coroutine_threadsafe(work, self._loop)


class Hosted(Protocol):
    """Something that runs somewhere."""

    @property
    def host(self) -> Host: ...


S = TypeVar("S", bound=Hosted)


def hosted(
    method: Callable[Concatenate[S, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """A method that is done where its object runs, whoever calls it."""

    @wraps(method)
    async def there(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.host.run(method(self, *args, **kwargs))

    return there


async def carried(host: Host, items: AsyncIterator[T]) -> AsyncIterator[T]:
    """What is iterated over there, one by one here."""
    try:
        while True:
            try:
                yield await host.run(_next(items))
            except StopAsyncIteration:
                return
    finally:
        if inspect.isasyncgen(items):
            await host.run(_close(items))


class Sync:
    """The same verbs without `await`: `bot.sync.hear("!echo hello")`."""

    def __init__(self, target: Any, thread: OwnThread) -> None:
        self._target = target
        self._thread = thread

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._target, name)
        if not inspect.iscoroutinefunction(method):
            raise UsageError(f".sync.{name} is no verb that waits; use .{name} as it is")

        @wraps(method)
        def blocking(*args: Any, **kwargs: Any) -> Any:
            return self._thread.call(method(*args, **kwargs))

        return blocking


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


async def _next(items: AsyncIterator[T]) -> T:
    # StopAsyncIteration may pass through a task, StopIteration may not.
    return await anext(items)


async def _close(items: Any) -> None:
    await items.aclose()
