"""Makes a module of a cell, which provably does what the cell did.

    promoted = await promote("greet")                      # -> plugins/greet.py
    promoted = await promote("greet", "src/my_bot")        # -> src/my_bot/greet.py, an entry point

The file is the cell, byte for byte. Before it takes its place, it plays all that was recorded of
this very version in a fresh interpreter; when a single turn comes out differently, nothing is
written. The recording, with other names for people, becomes the regression test. The one rule to
remember: **promotion is a copy**: from then on the file is yours to edit, and what you edited is
never written over.
"""

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sessionbot_kit.bot import Bot, roster
from sessionbot_kit.cell import Cell
from sessionbot_kit.edition import SHORT
from sessionbot_kit.entry_point import with_entry
from sessionbot_kit.errors import PluginError, UsageError
from sessionbot_kit.extension import Plugin
from sessionbot_kit.live_cell import edition_of
from sessionbot_kit.project import FOLDER, Place
from sessionbot_kit.proof import play_fresh
from sessionbot_kit.recording import Recording
from sessionbot_kit.renaming import pseudonyms, renamed, timeless, told_back
from sessionbot_kit.replaying import Replay, difference
from sessionbot_kit.sources import plugin_name
from sessionbot_kit.tables import Card

TEST = '''"""{id} says what it said in the conversation from which it was promoted."""

from pathlib import Path

from sessionbot_kit.testing import plays

HERE = Path(__file__).parent


def test_{name}_says_what_it_said() -> None:
    plays(HERE / "{module}", HERE / "recordings" / "{name}.jsonl")
'''


@dataclass(frozen=True, slots=True, repr=False)
class Promoted:
    """What became of a cell."""

    plugin: str
    version: str
    place: Place
    turns: int
    entry_point: str = ""
    again: bool = False
    note: str = ""

    def card(self) -> Card:
        place = self.place
        done = f"{self.turns} turn{'s' * (self.turns != 1)} in a fresh interpreter, all the same"
        facts = {
            "module": place.shown(place.module),
            "version": self.version[:SHORT],
            "proof": done,
            "test": place.shown(place.test),
            "recording": place.shown(place.recording),
        }
        if self.entry_point:
            facts["entry point"] = self.entry_point
        if self.again:
            return Card(f"{self.plugin} was promoted already, and nothing has changed", facts)
        return Card(f"{self.plugin} is promoted", facts, self.note)

    def __repr__(self) -> str:
        return self.card().text()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self.card().html()}


async def promote(
    plugin: str | Plugin,
    to: str | Path | None = None,
    *,
    bot: Bot | None = None,
    force: bool = False,
    include_real: bool = False,
) -> Promoted:
    """Write a cell's plugin as a module, with a test of what it has said.

    `to` is a folder or a file of the project; by default the folder `plugins`, which is looked
    into by itself. `force` writes over a file that was edited by hand; `include_real` lets what
    people of real channels wrote go into the test.
    """
    bot = bot or roster.current()
    id = plugin if isinstance(plugin, str) else plugin.meta.id
    edition = edition_of(bot, id)
    if not isinstance(edition, Cell):
        raise UsageError(f"{id} is a file already; what is promoted is a cell, %%plugin {id}")
    recordings = _recordings(bot, id, edition, include_real)
    place = Place.of(to, id, _here())
    if _stands(place, edition, force):
        return Promoted(id, edition.version, place, _turns(recordings), again=True)
    kept = await _prove(id, edition, recordings, place)
    files = {
        place.module: edition.source,
        place.recording: kept.text().encode(),
    }
    if not place.test.exists():  # one that is there may have tests of its owner
        files[place.test] = _test(id, place).encode()
    served = bot.kernel.registry.get_plugin(id)
    entry_point, note = _entry(plugin_name(served, edition.open()), id, place, files)
    place.write(files)
    return Promoted(id, edition.version, place, _turns(recordings), entry_point, note=note)


def _recordings(bot: Bot, id: str, edition: Cell, include_real: bool) -> tuple[Recording, ...]:
    """What was recorded of this very version."""
    found = tuple(one for one in bot.recordings(id) if one.version == edition.version and one.takes)
    if not found:
        raise UsageError(
            f"nobody has talked to this version of {id} yet, so nothing could be proven; "
            f"say something to it first: %say you {_greeting(bot, id)}"
        )
    strangers = sorted({channel for one in found for channel in one.strangers})
    if strangers and not include_real:
        raise UsageError(
            f"the recording of {id} has what real people wrote on {', '.join(strangers)}; "
            "say something to it yourself, or give include_real=True"
        )
    return found


def _stands(place: Place, edition: Cell, force: bool) -> bool:
    """Whether the very same was promoted before; a UsageError when the file is somebody's own."""
    if not place.module.exists():
        return False
    there = hashlib.sha256(_read(place.module)).hexdigest()
    if there == edition.version:
        return place.recording.exists() and place.test.exists()
    if force:
        return False
    shown = place.shown(place.module)
    if not place.recording.exists():
        raise UsageError(f"{shown} is there, and no cell made it; choose another place, or force")
    if Recording.load(place.recording).version != there:
        raise UsageError(
            f"{shown} was edited by hand since it was promoted; take the edit into the cell, or "
            "promote with force to lose it"
        )
    return False


async def _prove(
    id: str, edition: Cell, recordings: Sequence[Recording], place: Place
) -> Recording:
    """Play everything in a fresh interpreter; the recording for the test comes out of it."""
    names = pseudonyms(recordings)
    anonymous = [renamed(one, names) for one in recordings]
    roots = () if place.import_root is None else (str(place.import_root),)
    with tempfile.TemporaryDirectory() as folder:
        file = _drafted(edition, folder, place)
        try:
            replays = await play_fresh(
                file, [*recordings, *anonymous], sha256=edition.version, paths=roots
            )
        except PluginError as error:
            raise PluginError(str(error).replace(str(file), place.shown(place.module))) from error
    for replay in replays[: len(recordings)]:
        if not replay.same:
            raise PluginError(
                f"{id} does not do as a file what it did in the cell: {replay.differences[0]}. "
                "Chance belongs to chat.random, time to chat.now, and the world into chat.once"
            )
    longest = max(range(len(recordings)), key=lambda n: len(recordings[n].takes))
    return _for_the_test(recordings[longest], replays[len(recordings) + longest], names)


def _for_the_test(real: Recording, played: Replay, names: dict[str, str]) -> Recording:
    """The talk among people of other names, if they were told the same."""
    same = all(
        not difference(before, told_back(after, names))
        for before, after in zip(real.takes, played.played, strict=True)
    )
    if same:
        return replace(played.recording, takes=tuple(map(timeless, played.played)))
    if real.strangers:
        raise UsageError(
            f"{real.plugin} answers by who people are, so their names would stand in its test; "
            "say something to it yourself, and promote that"
        )
    return replace(real, takes=tuple(map(timeless, real.takes)))


def _entry(attribute: str, id: str, place: Place, files: dict[Path, bytes]) -> tuple[str, str]:
    """The entry point, written when the module is part of a package of the project."""
    project = place.root / "pyproject.toml"
    if place.package is None:
        folder = place.shown(place.module.parent)
        if folder == FOLDER:
            return "", f"A bot finds it in {folder}/ by itself."
        return "", f"For bots to find it, add {folder} to plugins.paths in sessionbot.yml."
    entry = f"{place.package}:{attribute}"
    if not project.is_file():
        return "", f"A pyproject.toml of yours needs the entry point {id} = {entry}"
    files[project] = with_entry(_read(project).decode(), id, entry).encode()
    return f"{id} = {entry}", "Install the project again: pip install -e . lets bots find it."


def _test(id: str, place: Place) -> str:
    up = "../" * len(place.test.parent.relative_to(place.root).parts)
    return TEST.format(id=id, name=place.name, module=f"{up}{place.shown(place.module)}")


def _greeting(bot: Bot, id: str) -> str:
    prefixes = getattr(bot.kernel.registry.get_plugin(id), "prefixes", ())
    return prefixes[0] if prefixes else "hello"


def _turns(recordings: Sequence[Recording]) -> int:
    return sum(len(one.takes) for one in recordings)


def _drafted(edition: Cell, folder: str, place: Place) -> Path:
    file = Path(folder, place.module.name)
    file.write_bytes(edition.source)
    return file


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; choose another place") from (
            error
        )


def _here() -> Path:
    return Path.cwd()
