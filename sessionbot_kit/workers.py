"""Threads for plugins that are not async: one call at a time, and none that hangs for ever.

    workers = Workers()
    await workers.call("tarot", begins, function, message=message)
    workers.stop()

When a call is canceled, Runaway is thrown into its thread. A thread that does not hear it, because
it hangs in C, is left behind and another one takes its place; up to a limit.
"""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, Final

from sessionbot_kit.errors import PluginError
from sessionbot_kit.watchdog import Runaway, throw_into

HALT_S: Final = 1.0
MAX_LOST: Final = 8


class Workers:
    """A thread for each plugin that needs one."""

    def __init__(self) -> None:
        self._workers: dict[str, Worker] = {}

    async def call(
        self,
        plugin: str,
        begins: Callable[[], None],
        function: Callable[..., Any],
        **wanted: Any,
    ) -> Any:
        """Call a function in its plugin's thread, after the calls that wait there.

        `begins` is called, here, when its turn has come.
        """
        if (worker := self._workers.get(plugin)) is None:
            worker = self._workers[plugin] = Worker(plugin)
        return await worker.call(begins, partial(function, **wanted))

    def part_with(self, plugin: str) -> Callable[[], None]:
        """Leave a plugin's thread to the calls it has; the next call gets a new one.

        What is returned ends the thread that was left.
        """
        worker = self._workers.pop(plugin, None)
        return worker.stop if worker is not None else _nothing

    def stop(self) -> None:
        """End the threads that are idle; the others do not keep the process alive."""
        for worker in self._workers.values():
            worker.stop()
        self._workers.clear()


class Worker:
    """One call after the other."""

    def __init__(self, plugin: str) -> None:
        self._plugin = plugin
        self._turn = asyncio.Lock()
        self._thread: Thread | None = None
        self.lost = 0

    async def call(self, begins: Callable[[], None], function: Callable[[], Any]) -> Any:
        async with self._turn:
            begins()
            thread = self._thread
            if thread is None or not thread.alive:
                thread = self._new_thread()
            # In the context of its turn: what it prints goes where the turn's own prints go.
            done = thread.begin(partial(contextvars.copy_context().run, function))
            try:
                return await asyncio.shield(done)
            except asyncio.CancelledError:
                if not await thread.halt(done):
                    self._thread = None
                    self.lost += 1
                raise

    def stop(self) -> None:
        if self._thread is not None:
            self._thread.end()

    def _new_thread(self) -> "Thread":
        if self.lost >= MAX_LOST:
            raise PluginError(
                f"{self._plugin} hangs in {self.lost} calls that cannot be stopped; "
                "give what it waits for a time-out, then restart the kernel"
            )
        self._thread = Thread(self._plugin)
        return self._thread


class Thread:
    """A thread that waits for work, and can be halted while it does it."""

    def __init__(self, plugin: str) -> None:
        self._work: SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None] = (
            SimpleQueue()
        )
        self._lock = threading.Lock()
        self._runs: asyncio.Future[Any] | None = None  # what the running function comes to
        self._thrown = False
        # A daemon: a plugin that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=f"plugin {plugin}", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def begin(self, function: Callable[[], Any]) -> "asyncio.Future[Any]":
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._work.put((function, done))
        return done

    def end(self) -> None:
        self._work.put(None)

    async def halt(self, done: "asyncio.Future[Any]") -> bool:
        """Stop what runs; False when it cannot be stopped."""
        if not done.done():
            self._throw(done)
            await asyncio.wait([done], timeout=HALT_S)
        done.add_done_callback(_forget)
        if not done.done():
            self.end()  # should it ever come back
        return done.done()

    def _throw(self, done: "asyncio.Future[Any]") -> None:
        assert self._thread.ident is not None
        with self._lock:
            if self._runs is not done:
                done.cancel()  # it has not begun, and must not; or it has just ended
            elif not self._thrown:
                self._thrown = True
                throw_into(self._thread.ident, Runaway)

    def _run(self) -> None:
        while (item := self._work.get()) is not None:
            function, done = item
            value, error = None, None
            try:
                if self._enter(done):
                    value = function()
            except BaseException as fault:
                error = fault
            try:
                self._leave()
            except Runaway:  # in the first line of it, where its own `try` has not begun
                self._leave()
            with contextlib.suppress(RuntimeError):  # its loop is closed: nobody waits for it
                done.get_loop().call_soon_threadsafe(_answer, done, value, error)

    def _enter(self, done: "asyncio.Future[Any]") -> bool:
        """From here on something may be thrown."""
        with self._lock:
            self._runs = done
            return not done.cancelled()

    def _leave(self) -> None:
        """Nothing is thrown any more; what was, and has not hit yet, is taken back."""
        while True:
            try:
                with self._lock:
                    self._runs = None
                    if self._thrown:
                        throw_into(threading.get_ident(), None)
                        self._thrown = False
                return
            except Runaway:
                continue  # it came in this very moment: too late to matter


def _nothing() -> None:
    pass


def _forget(done: "asyncio.Future[Any]") -> None:
    """Nobody else asks how it ended."""
    if not done.cancelled():
        done.exception()


def _answer(done: "asyncio.Future[Any]", value: Any, error: BaseException | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(value)
    elif isinstance(error, StopIteration):
        done.set_exception(RuntimeError(f"StopIteration: {error}"))
    else:
        done.set_exception(error)
