"""Where conversations are kept; each store fulfils the contract in `sessionbot_kit.store`.

    async with open_store("sqlite:///data/bot.db") as store: ...
    async with open_store() as store: ...           # a temporary file, removed on exit

As in other tools, three slashes lead to a relative path and four to an absolute one.
"""

from pathlib import Path
from typing import Any

from sessionbot_kit.errors import SettingsError
from sessionbot_kit.store import Store
from sessionbot_kit.stores.sqlite import SqliteStore

SQLITE = "sqlite:///"


def open_store(url: str | Path | None = None, **options: Any) -> Store:
    """Make the store of this address, to be entered with `async with`."""
    if url is None:
        return SqliteStore(None, **options)
    if isinstance(url, Path):
        return SqliteStore(url, **options)
    if url.startswith(SQLITE) and len(url) > len(SQLITE):
        return SqliteStore(url.removeprefix(SQLITE), **options)
    raise SettingsError(f'{url!r} is no store; write "sqlite:///data/bot.db"')
