"""The cache that every store has: what it holds in memory, seen under the documented keys.

    cache = MemoryCache(store)
    await cache.get(session_key(session.id, "variables"))

It is a view, not a second copy, so it can never be older than what the store itself believes.
"""

import json
from fnmatch import fnmatchcase

from sessionbot_kit.cache import PARTS, session_key, split_key
from sessionbot_kit.store import Loaded, Store


class MemoryCache:
    """The sessions that a store has in memory."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def keys(self, pattern: str = "*") -> list[str]:
        """The keys that match, in the order of ids."""
        # A bracket is a plain character here, as it is in an id.
        plain = pattern.replace("[", "[[]")
        names = (session_key(found, part) for found in self._store.loaded() for part in PARTS)
        return sorted(name for name in names if fnmatchcase(name, plain))

    async def get(self, key: str) -> str | None:
        """The JSON text under a key, or None if the session is not in memory."""
        named = split_key(key)
        loaded = self._store.loaded().get(named[0]) if named else None
        return _written(loaded, named[1]) if loaded is not None and named else None

    async def delete(self, key: str) -> bool:
        """Let go of the session that a key belongs to; the next read comes from the disk."""
        named = split_key(key)
        if named is None or named[0] not in self._store.loaded():
            return False
        self._store.unload(named[0])
        return True


def _written(loaded: Loaded, part: str) -> str:
    session = loaded.session
    match part:
        case "messages":
            lines = [line.model_dump(mode="json", exclude_defaults=True) for line in loaded.tail]
            return json.dumps(lines, ensure_ascii=False)
        case "variables":
            return json.dumps(dict(session.variables), ensure_ascii=False)
        case "context":
            return json.dumps(dict(session.context), ensure_ascii=False)
    return json.dumps(session.last_activity.isoformat())
