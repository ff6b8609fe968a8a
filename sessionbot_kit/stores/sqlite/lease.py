"""Who serves the store: a lock on a file beside the database, and an epoch inside it.

The operating system drops the lock when its process dies, however it dies, so a gateway that was
killed never has to be waited for, and one that merely sleeps keeps its place. The epoch in the
`leases` table fences what a former holder still wants to write.
"""

import fcntl
import os
import socket
from datetime import datetime
from pathlib import Path
from typing import IO
from weakref import WeakSet

from sessionbot_kit.errors import StoreError, StoreHeld


class FileLock:
    """An exclusive lock that dies with its process and names its holder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None

    def acquire(self, holder: str, now: datetime) -> None:
        """Take the lock, or say who has it."""
        if self._file is not None:
            raise StoreHeld(self._refusal(holder))
        try:
            file = os.fdopen(
                os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8"
            )
        except OSError as error:
            raise StoreError(
                f"{self.path} cannot be written: {error.strerror}; "
                "change the permissions of its folder"
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            raise StoreHeld(self._refusal(holder)) from error
        file.truncate(0)
        file.write(
            f"{holder} (process {os.getpid()} on {socket.gethostname()}, "
            f"since {now:%Y-%m-%d %H:%M:%S} UTC)"
        )
        file.flush()
        self._file = file
        _held.add(self)

    def _refusal(self, holder: str) -> str:
        other = self.path.read_text("utf-8").strip() or "another process"
        if f"(process {os.getpid()} on " in other:
            first = other.partition(" (process ")[0]
            return (
                f"{self.path.with_suffix('')} is open in this process already, for {first}: "
                "another Bot or Gateway; await its stop() first, or give this one a file of its own"
            )
        return (
            f"{holder} cannot serve {self.path.with_suffix('')}: {other} does; "
            "stop that gateway first, or give this one a file of its own"
        )

    def release(self) -> None:
        if self._file is not None:
            self._file.truncate(0)
            self._file.close()
            self._file = None
            _held.discard(self)

    def _leave_to_parent(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


# A forked child shares the lock, and would keep it after its parent was killed.
_held: WeakSet[FileLock] = WeakSet()


def _in_child() -> None:
    for lock in list(_held):
        lock._leave_to_parent()
    _held.clear()


os.register_at_fork(after_in_child=_in_child)
