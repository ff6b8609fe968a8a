"""Finds the plugins that a bot may have, chooses among them, and follows their files.

    library = Library(["plugins"], disabled=["tarot"])
    bot = Bot(*library.plugins())
    await library.watch("plugins", bot)            # saved is swapped in; ends when it is canceled

Words: a *find* is a plugin with its origin, or the reason why it is left out; an *edition* is one
version of its code; to *swap* is to put a version in the place of the one before it.
Found first wins: folders, then external modules, then what is installed with an entry point in the
group `sessionbot_kit.plugins`. So a file in your folder replaces a plugin that came with a package.

The one rule to remember: **a broken save changes nothing**. The version before goes on, and the
log has one entry that says why, with file and line.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

from sessionbot_kit.catalog import Find, Policy, Wishes, choose
from sessionbot_kit.edition import release
from sessionbot_kit.errors import PluginError
from sessionbot_kit.extension import Plugin, start_order
from sessionbot_kit.registry import check_plugin
from sessionbot_kit.sections import Plugins
from sessionbot_kit.shelf import Home, Shelf, plugin_paths
from sessionbot_kit.sources import from_module, load

log = logging.getLogger(__name__)

GROUP: Final = "sessionbot_kit.plugins"
FOLDER: Final = "plugins"

Sleep = Callable[[float], Awaitable[None]]


class Library:
    """Looks for plugins in folders, modules and entry points."""

    def __init__(
        self,
        folders: Iterable[str | Path] = (FOLDER,),
        *,
        external: Iterable[str] = (),
        enabled: Iterable[str] = (),
        disabled: Iterable[str] = (),
        policy: Policy = "enable",
        entries: bool = True,
    ) -> None:
        self.folders = tuple(map(Path, folders))
        self.external = tuple(external)
        self.wishes = Wishes(frozenset(enabled), frozenset(disabled), policy)
        self.entries = entries

    @classmethod
    def from_section(cls, plugins: Plugins) -> "Library":
        """As `plugins:` in the settings wants it; without `paths`, the folder `plugins`."""
        return cls(
            plugins.paths or (FOLDER,),
            external=plugins.external,
            enabled=plugins.enabled,
            disabled=plugins.disabled,
            policy=plugins.policy,
        )

    def plugins(self) -> list[Plugin]:
        """Those that are to run, dependencies first; the others are logged with the reason."""
        finds = self.find()
        for find in finds:
            if find.skipped:
                log.warning(
                    "plugin skipped",
                    extra={"plugin": find.id, "origin": find.origin, "reason": find.skipped},
                )
                release(find.plugin)
        chosen = {find.id: find.plugin for find in finds if find.plugin and not find.skipped}
        order = start_order(plugin.meta for plugin in chosen.values())
        return [chosen[meta.id] for meta in order]

    def find(self) -> list[Find]:
        """All that is there, chosen or skipped with a reason. This runs the plugins' modules."""
        return choose(self._look(), self.wishes)

    async def watch(
        self,
        folder: str | Path,
        home: Home,
        *,
        every_s: float = 0.5,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Put the plugins of a folder into a bot, and swap in what is saved, until canceled.

        Files are looked at, not read, until their size or time changes. A file that has gone
        leaves its plugin where it is, since editors replace files; `bot.remove` takes it out.
        """
        shelf = Shelf(home, self.wishes.refusal)
        while True:
            await shelf.look(Path(folder))
            await sleep(every_s)

    def _look(self) -> Iterator[Find]:
        for folder in self.folders:
            if not folder.is_dir() and folder != Path(FOLDER):
                yield Find(str(folder), skipped=f"there is no folder {folder}; check plugins.paths")
            for path in plugin_paths(folder):
                yield from _opened(str(path), partial(load, path))
        for module in self.external:
            yield from _opened(module, partial(load, module))
        found = entry_points(group=GROUP) if self.entries else ()
        for entry in sorted(found, key=lambda entry: (entry.name, entry.value)):
            named = f"{entry.module}:{entry.attr}".rstrip(":")
            yield from _opened(f"entry point {named}", partial(from_module, named))


def _opened(origin: str, take: Callable[[], tuple[Plugin, ...]]) -> Iterator[Find]:
    try:
        for plugin in take():
            check_plugin(plugin)
            yield Find(origin, plugin)
    except PluginError as error:
        yield Find(origin, skipped=str(error))
