"""What one storage node keeps, in the order in which it came there.

The name of a record is a hash of who it is for and what is in it, so the same record twice is one
record. Order is a node's own: another node of the swarm may have the same records in another.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pybase64

MAX_ANSWER_BYTES = 7_800_000
_OVERHEAD = 100


@dataclass(frozen=True, slots=True)
class Kept:
    hash: str
    pubkey: str
    namespace: int
    data: bytes = field(repr=False)
    timestamp: int
    expiry: int


def hash_of(pubkey: str, namespace: int, data: bytes) -> str:
    """BLAKE2b-256 over key, namespace (nothing for 0) and data: 43 characters of base64."""
    place = str(namespace).encode() if namespace else b""
    digest = hashlib.blake2b(bytes.fromhex(pubkey) + place + data, digest_size=32).digest()
    return pybase64.b64encode(digest).decode("ascii").rstrip("=")


def is_outbox(namespace: int) -> bool:
    """Public outboxes (-1, -21, -41, ...) are signed to write, open to read, and hold one."""
    return namespace < 0 and namespace % 20 == 19


class Mailbox:
    """Records by hash, for many people."""

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Kept]:
        return iter(list(self._kept.values()))

    def add(self, record: Kept) -> tuple[Kept, bool]:
        """Keep a record; one that is known only lives longer. True: it was known."""
        if (known := self._kept.get(record.hash)) is not None:
            known = replace(known, expiry=max(known.expiry, record.expiry))
            self._kept[record.hash] = known
            return known, True
        if is_outbox(record.namespace):
            for old in self.of(record.pubkey, record.namespace):
                del self._kept[old.hash]
        self._kept[record.hash] = record
        return record, False

    def of(self, pubkey: str, namespace: int | None = None) -> list[Kept]:
        return [
            kept
            for kept in self._kept.values()
            if kept.pubkey == pubkey and namespace in (None, kept.namespace)
        ]

    def page(
        self, pubkey: str, namespace: int, *, after: str, max_size: int, max_count: int
    ) -> tuple[list[Kept], bool]:
        """What follows a hash, or everything if it is not here; cut to a size, or not."""
        found = self.of(pubkey, namespace)
        for place, kept in enumerate(found):
            if kept.hash == after:
                found = found[place + 1 :]
                break
        room = _room(max_size, max_count)
        page: list[Kept] = []
        for kept in found:
            room -= _OVERHEAD + len(kept.hash) + len(kept.data) * 4 // 3
            if page and (room < 0 or len(page) == max_count):
                break
            page.append(kept)
        return page, len(page) < len(found)

    def remove(self, pubkey: str, hashes: list[str]) -> list[str]:
        """Delete, in every namespace; what was there, sorted."""
        gone = [hash for hash in set(hashes) if self._is_of(hash, pubkey)]
        for hash in gone:
            del self._kept[hash]
        return sorted(gone)

    def expire(self, now: int) -> None:
        """What a node does every ten seconds."""
        self._kept = {hash: kept for hash, kept in self._kept.items() if kept.expiry > now}

    def reorder(self, order: list[str]) -> None:
        """Make it so that these records came in this order, after all others."""
        for hash in order:
            self._kept[hash] = self._kept.pop(hash)

    def _is_of(self, hash: str, pubkey: str) -> bool:
        return hash in self._kept and self._kept[hash].pubkey == pubkey


def _room(max_size: int, max_count: int) -> int:
    if max_size < 0:
        return MAX_ANSWER_BYTES // -max_size
    if max_size == 0:
        return MAX_ANSWER_BYTES if max_count else MAX_ANSWER_BYTES // 5
    return min(max_size, MAX_ANSWER_BYTES)
