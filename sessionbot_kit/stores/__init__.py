"""Where conversations are kept; each store fulfils the contract in `sessionbot_kit.store`.

    async with open_store("sqlite:///data/bot.db") as store: ...
    async with open_store() as store: ...           # a temporary file, removed on exit

As in other tools, three slashes lead to a relative path and four to an absolute one.
"""

from pathlib import Path
from typing import Any

from sessionbot_kit.errors import UsageError
from sessionbot_kit.store import Store
from sessionbot_kit.stores.sqlite import SqliteStore


def open_store(place: str | Path | None = None, **options: Any) -> Store:
    """The store at a path or URL: `bot.db`, `sqlite:///bot.db`. It opens on `async with`."""
    return SqliteStore(None if place is None else _path(place), **options)


def is_there(place: str | Path) -> bool:
    """Whether a store has been made at a path or URL; opening one makes it."""
    return _path(place).exists()


def _path(place: str | Path) -> Path:
    if isinstance(place, Path):
        return place
    scheme, separator, rest = place.partition("://")
    if not separator:
        return Path(place)
    if scheme != "sqlite" or not rest.startswith("/") or rest == "/":
        raise UsageError(
            f"{place!r} names no store; write sqlite:///bot.db (here) or sqlite:////data/bot.db"
        )
    return Path(rest[1:])
