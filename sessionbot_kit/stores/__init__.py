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
    if place is None or isinstance(place, Path):
        return SqliteStore(place, **options)
    scheme, separator, rest = place.partition("://")
    if not separator:
        return SqliteStore(Path(place), **options)
    if scheme != "sqlite" or not rest.startswith("/") or rest == "/":
        raise UsageError(
            f"{place!r} names no store; write sqlite:///bot.db (here) or sqlite:////data/bot.db"
        )
    return SqliteStore(Path(rest[1:]), **options)
