"""Where conversations are kept; each store fulfils the contract in `sessionbot_kit.store`."""

from pathlib import Path

from sessionbot_kit.errors import UsageError
from sessionbot_kit.store import Store
from sessionbot_kit.stores.sqlite import SqliteStore


def open_store(place: str | Path) -> Store:
    """The store at a path or URL: `bot.db`, `sqlite:///bot.db`. It opens on `async with`."""
    if isinstance(place, Path):
        return SqliteStore(place)
    scheme, separator, rest = place.partition("://")
    if not separator:
        return SqliteStore(Path(place))
    if scheme != "sqlite" or not rest.startswith("/") or rest == "/":
        raise UsageError(
            f"{place!r} names no store; write sqlite:///bot.db (here) or sqlite:////data/bot.db"
        )
    return SqliteStore(Path(rest[1:]))
