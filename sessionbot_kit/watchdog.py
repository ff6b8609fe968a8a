"""Stops Python code that keeps its thread to itself for too long.

    watchdog = Watchdog(limit_s=10)
    await Guarded(work(), watchdog)        # Runaway is raised in `work` when it blocks the loop

A loop that never awaits stops everybody else, and no timeout can fire. So a thread looks on, and
throws Runaway into the thread that hangs. That works for Python alone: code that hangs in C is
stopped with its process.

One rule to remember: only while guarded code runs may anything be thrown, and nothing may be left
in the air when it has ended; else it would hit whoever comes next.
"""

import asyncio
import ctypes
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

GRACE_S: Final = 1.0  # for what a canceled plugin has to put in order


# What does not end when it is canceled does not end when it is collected either: it is kept.
_abandoned: deque[Coroutine[Any, Any, Any]] = deque(maxlen=1000)


class Runaway(BaseException):
    """Thrown into code that does not come back by itself."""


def throw_into(thread: int, error: type[BaseException] | None) -> None:
    """Have an exception raised in a thread, at its next line of Python; None takes it back."""
    thrown = _NOTHING if error is None else ctypes.py_object(error)
    if not _ALL_THREADS_HEAR:
        _throw(thread, thrown)
        return
    try:
        _throw(thread, thrown)  # no call of Python code from here on: it would not return
        _throw(threading.get_ident(), _HEARD)
        while True:  # for the few instructions until it is raised
            pass
    except _Heard:
        pass


class _Heard(BaseException):
    """Thrown into oneself: that ends the interruption of all threads."""


_throw: Final = ctypes.pythonapi.PyThreadState_SetAsyncExc
_throw.argtypes = (ctypes.c_ulong, ctypes.py_object)
_NOTHING: Final = ctypes.py_object()
_HEARD: Final = ctypes.py_object(_Heard)

# Before Python 3.12 what is thrown into one thread interrupts all, until it is heard; and a thread
# under a debugger or a coverage tracer does not get past its next call meanwhile. The one that is
# meant may hang in C and hear nothing for hours.
_ALL_THREADS_HEAR: Final = sys.version_info < (3, 12)


class Watchdog:
    """Looks on while guarded code runs. It sleeps while none does."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._lock = threading.Lock()
        self._thread = 0
        self._since: float | None = None  # guarded code runs since then
        self._thrown = False
        self._busy = threading.Event()
        self._stopped = False
        self._looker: threading.Thread | None = None

    def enter(self) -> None:
        """Guarded code begins to run in this thread."""
        if self._looker is None:
            self._looker = threading.Thread(target=self._look, name="watchdog", daemon=True)
            self._looker.start()
        self._thread = threading.get_ident()
        self._since = time.monotonic()
        if not self._busy.is_set():
            self._busy.set()

    def leave(self) -> float:
        """Guarded code has ended or waits; what was thrown and has not hit yet is taken back.

        Returns for how many seconds nobody else could run.
        """
        ran_s = time.monotonic() - self._since if self._since is not None else 0.0
        while True:
            try:
                with self._lock:
                    self._since = None
                    if self._thrown:
                        self._thrown = False
                        throw_into(self._thread, None)
                return ran_s
            except Runaway:
                continue  # it came in this very moment: too late to matter

    def stop(self) -> None:
        self._stopped = True
        self._busy.set()

    def _look(self) -> None:
        quiet = 0
        while not self._stopped:
            self._busy.wait()
            time.sleep(self.limit_s / 4)
            with self._lock:
                since = self._since
                if since is not None and time.monotonic() - since > self.limit_s:
                    self._thrown = True
                    throw_into(self._thread, Runaway)
            quiet = quiet + 1 if since is None else 0
            if quiet > 8 and not self._stopped:
                quiet = 0
                self._busy.clear()


class Guarded(Generic[T]):
    """Somebody else's coroutine, watched at each of its steps, and sure to end when canceled."""

    def __init__(
        self,
        work: Coroutine[Any, Any, T],
        watchdog: Watchdog,
        *,
        is_ending: Callable[[], bool] = lambda: False,
    ) -> None:
        self.expired = False
        self.longest_s = 0.0  # that it kept the loop to itself
        self._work = work
        self._watchdog = watchdog
        self._is_ending = is_ending
        self._waits_for: Any = None
        self._deadline: asyncio.TimerHandle | None = None
        self._canceled = False  # as it had expired
        self._outlived = False  # its cancellation, once

    def expire_in(self, seconds: float) -> None:
        """Cancel the work after so long, counted from now; `expired` says that it was so."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(seconds, self._expire)

    def __await__(self) -> Generator[Any, Any, T]:
        enter, leave = self._watchdog.enter, self._watchdog.leave
        value: Any = None
        error: BaseException | None = None
        try:
            while True:
                if self.expired and not self._canceled:
                    self._canceled, error = True, error or asyncio.CancelledError()
                enter()
                try:
                    if error is None:
                        self._waits_for = self._work.send(value)
                    else:
                        self._waits_for = self._work.throw(error)
                except StopIteration as end:
                    result: T = end.value
                    return result
                finally:
                    self.longest_s = max(self.longest_s, leave())
                if isinstance(error, asyncio.CancelledError):
                    self._goes_on_after(error)
                try:
                    value, error = (yield self._waits_for), None
                except GeneratorExit:
                    raise
                except BaseException as thrown:
                    value, error = None, thrown
        finally:
            if self._deadline is not None:
                self._deadline.cancel()
            self._close()

    def _expire(self) -> None:
        self.expired = True
        if self._waits_for is not None:
            self._waits_for.cancel()

    def _goes_on_after(self, error: asyncio.CancelledError) -> None:
        """It was canceled and goes on: for a moment that is its right, and no longer."""
        if self._outlived:
            # It is kept: collected, it would be closed, and would not end then either.
            _abandoned.append(self._work)
            raise error
        if self.expired or self._is_ending():
            self._outlived = True
            self.expire_in(GRACE_S)

    def _close(self) -> None:
        if self._work in _abandoned:
            return
        self._watchdog.enter()
        try:
            self._work.close()
        finally:
            self._watchdog.leave()
