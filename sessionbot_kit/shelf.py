"""The plugins of one folder in one bot: what is saved there is swapped in.

    shelf = Shelf(bot)
    await shelf.look(Path("plugins"))        # and again, whenever it may have changed

Files are looked at, and read only when their time or size has changed. The one rule to remember:
**a broken save changes nothing**: the version before goes on, and the log has one entry that says
why, with file and line, until the file changes again.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from sessionbot_kit.edition import SHORT
from sessionbot_kit.errors import KitError
from sessionbot_kit.extension import Plugin, PluginMeta
from sessionbot_kit.sources import open_edition, python_files, read_edition

log = logging.getLogger(__name__)

Signature = tuple[tuple[str, int, int, int], ...]


class Home(Protocol):
    """Where plugins are put: a bot, or a plugin kernel."""

    async def add(self, plugin: Plugin) -> None: ...

    async def remove(self, id: str) -> None: ...


class Shelf:
    """The plugins of one folder in one bot, as far as they have been put there."""

    def __init__(self, home: Home, refusal: Callable[[PluginMeta], str]) -> None:
        self._refusal = refusal
        self._home = home
        self._seen: dict[Path, Signature] = {}
        self._editions: dict[Path, str] = {}
        self._ids: dict[Path, set[str]] = {}

    async def look(self, folder: Path) -> None:
        """Swap in what has changed since the last look."""
        now = await asyncio.to_thread(signatures, folder)
        for path in self._seen.keys() - now.keys():
            log.warning("plugin file gone, its plugin goes on", extra={"file": str(path)})
        for path, signature in now.items():
            if self._seen.get(path) != signature:
                try:
                    await self._renew(path)
                except KitError as error:
                    log.error("plugin not swapped", extra={"file": str(path), "error": str(error)})
        self._seen = now

    async def _renew(self, path: Path) -> None:
        edition = await asyncio.to_thread(read_edition, path)
        if self._editions.get(path) == edition.version:
            return  # touched, and the same
        plugins = await asyncio.to_thread(open_edition, edition)
        before = self._ids.get(path, set())
        ids = set()
        try:
            for plugin in plugins:
                if not self._refusal(plugin.meta):
                    await self._home.add(plugin)
                    ids.add(plugin.meta.id)
        finally:
            for plugin in plugins:
                if plugin.meta.id not in ids:
                    edition.release(plugin)
            self._ids[path] = before | ids
        self._editions[path] = edition.version
        for id in sorted(before - ids):
            await self._home.remove(id)
        self._ids[path] = ids
        log.info(
            "plugins swapped in",
            extra={"file": str(path), "version": edition.version[:SHORT], "plugins": sorted(ids)},
        )


def plugin_paths(folder: Path) -> list[Path]:
    """The files and directories of a folder that are plugins; names with `_` or `.` are not."""
    if not folder.is_dir():
        return []
    return [
        path
        for path in sorted(folder.iterdir())
        if not path.name.startswith(("_", ".")) and (path.suffix == ".py" or _is_package(path))
    ]


def signatures(folder: Path) -> dict[Path, Signature]:
    """What the disk says of each plugin of a folder without being read."""
    found: dict[Path, Signature] = {}
    for path in plugin_paths(folder):
        try:
            files = python_files(path) if path.is_dir() else [path]
            stats = [(str(file), file.stat()) for file in files]
        except FileNotFoundError:
            continue  # it went as we looked
        found[path] = tuple((name, s.st_mtime_ns, s.st_size, s.st_ino) for name, s in stats)
    return found


def _is_package(path: Path) -> bool:
    return (path / "plugin.py").is_file() or (path / "__init__.py").is_file()
