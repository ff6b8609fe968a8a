"""What a cache of sessions shows: four keys a session, as JSON text.

    await cache.keys("session:*")                       # session:<id>:messages, ...
    await cache.get("session:<id>:variables")           # '{"size": "large"}', or None

    session:<id>:messages         the newest lines
    session:<id>:variables        the variables
    session:<id>:context          knowledge bases, tools, language model settings, prompts
    session:<id>:last_activity    when something was said last

A store writes to its cache itself, after it has committed. The one rule to remember: **a cache may
forget anything at any time**; whoever misses a key reads it from the store.
"""

from typing import Final, Protocol

PARTS: Final = ("messages", "variables", "context", "last_activity")


class Cache(Protocol):
    """The contract: look at what is cached, and let go of it."""

    async def keys(self, pattern: str = "*") -> list[str]:
        """The keys that match, where `*` stands for any text and `?` for one character."""
        ...

    async def get(self, key: str) -> str | None:
        """The JSON text under a key, or None if it is not cached."""
        ...

    async def delete(self, key: str) -> bool:
        """Let go of a key, and perhaps of others of its session; False if it was not there."""
        ...


def session_key(session_id: str, part: str) -> str:
    """The name under which a part of a session is cached."""
    return f"session:{session_id}:{part}"


def split_key(key: str) -> tuple[str, str] | None:
    """The session id and the part that a key names; None for any other key."""
    kind, _, rest = key.partition(":")
    session_id, _, part = rest.rpartition(":")
    if kind != "session" or not session_id or part not in PARTS:
        return None
    return session_id, part
