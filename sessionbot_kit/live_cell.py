"""Puts the plugin of a cell into a bot that runs: live at once, or not at all.

    placed = await place(bot, "greet", source, known=globals())
    placed.plugin                # what serves now
    placed                       # greet 59a93758db07 is live in bot: !greet

Compile, run, start, adopt the state, replace: whatever fails on the way leaves the version before
as it was. The same bytes again change nothing, so that a cell may be run twice.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sessionbot_kit.bot import Bot
from sessionbot_kit.cell import open_cell, read_cell
from sessionbot_kit.edition import SHORT, Edition
from sessionbot_kit.errors import PluginError, UsageError
from sessionbot_kit.extension import Plugin
from sessionbot_kit.proof import play_fresh
from sessionbot_kit.recording import Recording, version_of
from sessionbot_kit.registry import Declared, prefixes_of
from sessionbot_kit.replaying import Replay


@dataclass(frozen=True, slots=True, repr=False)
class Placed:
    """What became of a cell."""

    plugin: Declared
    bot: Bot | None
    before: str | None = None  # the version that it replaced
    handed: bool = False

    def __repr__(self) -> str:
        id, version = self.plugin.meta.id, version_of(self.plugin)[:SHORT]
        if self.bot is None:
            return f"{id} {version} is ready; no bot runs yet: bot = await Bot({id}).start()"
        reach = " ".join(prefixes_of(self.plugin)) or "all that no other plugin takes"
        if self.before == version:
            return f"{id} {version} is live in {self.bot.name}: {reach} (as before)"
        before = f" (before: {self.before}{', its state goes on' * self.handed})"
        return f"{id} {version} is live in {self.bot.name}: {reach}{before * bool(self.before)}"


async def place(
    bot: Bot | None, name: str, text: str, known: Mapping[str, Any] | None = None
) -> Placed:
    """Make a plugin of a cell, and swap it in."""
    cell = read_cell(name, text, known)
    old = bot.kernel.registry.get_plugin(name) if bot is not None else None
    before = version_of(old)[:SHORT] if old is not None else None
    if old is not None and version_of(old) == cell.version:
        return Placed(old, bot, before)
    plugin: Plugin = open_cell(cell)
    if bot is None:
        return Placed(plugin, None)
    try:
        await bot.add(plugin)
    except BaseException:
        cell.release(plugin)
        raise
    return Placed(plugin, bot, before, name in bot.kernel.registry.handed)


async def replayed(bot: Bot, name: str, recording: Recording | None = None) -> Replay:
    """Play what was recorded of a plugin with its code of now, in a fresh interpreter.

    Without a recording it is what was said to the version before, or else to this one.
    """
    edition = edition_of(bot, name)
    recording = recording or _last_talk(bot, name, edition.version)
    with tempfile.TemporaryDirectory() as folder:
        file = _written(edition, folder)
        (replay,) = await play_fresh(file, [recording], sha256=edition.version)
    return replay


def edition_of(bot: Bot, name: str) -> Edition:
    """The code of a plugin that stands in one cell or one file."""
    plugin = bot.kernel.registry.get_plugin(name)
    if plugin is None:
        ids = ", ".join(one.meta.id for one in bot.kernel.registry.all_plugins()) or "none"
        raise UsageError(f"there is no plugin {name} in {bot.name}; it has {ids}")
    edition = getattr(plugin, "edition", None)
    if not isinstance(edition, Edition) or len(edition.pages) != 1:
        raise PluginError(
            f"{name} does not come from one cell or one file; write it below %%plugin {name}"
        )
    return edition


def _last_talk(bot: Bot, name: str, version: str) -> Recording:
    talks = [one for one in bot.recordings(name) if one.takes]
    if not talks:
        raise UsageError(f"nobody has talked to {name} yet; say something first: %say you hello")
    return next((one for one in reversed(talks) if one.version != version), talks[-1])


def _written(edition: Edition, folder: str) -> Path:
    file = Path(folder, f"{edition.name}.py")
    file.write_bytes(edition.pages[""].source)
    return file
