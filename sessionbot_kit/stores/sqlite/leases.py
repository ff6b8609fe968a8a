"""Who may serve the store: one gateway at a time."""

import os
import socket

from sessionbot_kit.errors import UsageError
from sessionbot_kit.store import Lease
from sessionbot_kit.stores.sqlite import rows
from sessionbot_kit.stores.sqlite.engine import Engine
from sessionbot_kit.stores.sqlite.transaction import Transaction

ACQUIRE = """
INSERT INTO leases (partition, epoch, holder, pid, host, since) VALUES (?1, 1, ?2, ?3, ?4, ?5)
ON CONFLICT (partition) DO UPDATE SET
    epoch = epoch + 1, holder = ?2, pid = ?3, host = ?4, since = ?5
RETURNING epoch
"""
HOLDER = "SELECT holder FROM leases WHERE partition = ?"
RELEASE = "UPDATE leases SET holder = NULL WHERE partition = ? AND epoch = ?"


class Leases(Engine):
    """SQLite has one partition, so a second gateway on the same file is refused."""

    async def acquire(self, holder: str, *, partition: int = 0) -> Lease:
        """Take the store for one gateway; StoreHeld names the living one that refuses it."""
        if partition != 0:
            raise UsageError(f"a SQLite store has one partition, 0; there is no {partition}")
        now = self._clock()
        self._lock.acquire(holder, now)

        def job(transaction: Transaction) -> tuple[int, bool]:
            transaction.forget_epoch(partition)
            before = transaction.run(HOLDER, (partition,)).fetchone()
            values = (partition, holder, os.getpid(), socket.gethostname(), rows.to_text(now))
            (epoch,) = transaction.run(ACQUIRE, values).fetchone()
            return int(epoch), before is not None and before[0] is not None

        try:
            epoch, crashed = await self._write(job)
            return Lease(partition, holder, epoch, crashed)
        except BaseException:
            self._lock.release()
            raise

    async def release(self, lease: Lease) -> None:
        """Give the lease back; a commit with its epoch is refused from now on."""

        def job(transaction: Transaction) -> bool:
            transaction.forget_epoch(lease.partition)
            changed = transaction.run(RELEASE, (lease.partition, lease.epoch)).rowcount
            return changed == 1

        if await self._write(job):
            self._lock.release()
