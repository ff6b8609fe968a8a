"""A library finds plugins in folders, modules and entry points, and follows what is saved."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sessionbot_kit import Bot
from sessionbot_kit.edition import release
from sessionbot_kit.errors import PluginError
from sessionbot_kit.library import Library
from sessionbot_kit.plugins import echo
from sessionbot_kit.sections import Plugins
from sessionbot_kit.settings import Settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder for plugins, in the place where a bot looks by itself."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "plugins").mkdir()
    modules = set(sys.modules)
    yield tmp_path / "plugins"
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def says(words: str, prefix: str = "!say", id: str = "say") -> str:
    return (
        f"from sessionbot_kit import plugin\n\n@plugin({prefix!r}, id={id!r})\n"
        f"def say():\n    return {words!r}\n"
    )


def origins(library: Library) -> dict[str, str]:
    return {find.id or find.origin: find.skipped or find.origin for find in library.find()}


def test_what_is_installed_is_found_by_its_entry_point(tmp_path: Path) -> None:
    info = tmp_path / "tarot_bot-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tarot-bot\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sessionbot_kit.plugins]\nsay = tarot_bot:say\n")
    (tmp_path / "tarot_bot.py").write_text(says("hello"))
    assert origins(Library())["say"] == "entry point tarot_bot:say"


def test_a_folder_is_scanned_and_private_names_are_left_alone(folder: Path) -> None:
    (folder / "one.py").write_text(says("1", "!one", "one"))
    (folder / "_two.py").write_text("1/0")
    (folder / "notes.txt").write_text("no plugin")
    (folder / "__pycache__").mkdir()
    (folder / "three").mkdir()
    (folder / "three" / "plugin.py").write_text(says("3", "!three", "three"))
    found = origins(Library(entries=False))
    assert found == {"one": "plugins/one.py", "three": "plugins/three"}


def test_a_folder_comes_before_a_module_and_a_module_before_an_entry_point(
    folder: Path, tmp_path: Path
) -> None:
    (folder / "echo.py").write_text(says("mine", "!echo", "echo"))
    (tmp_path / "outside.py").write_text(says("theirs", "!echo", "echo"))
    finds = [find for find in Library(external=["outside"]).find() if find.id == "echo"]
    assert [find.origin for find in finds][:2] == ["plugins/echo.py", "outside"]
    assert finds[0].skipped == ""
    assert all(
        find.skipped == "plugins/echo.py has a echo too, and comes first" for find in finds[1:]
    )


async def test_one_broken_file_keeps_no_other_from_running(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "bad.py").write_text("def (:\n")
    (folder / "good.py").write_text(says("hello"))
    plugins = Library(entries=False).plugins()
    assert await Bot(*plugins).hear("!say") == ["hello"]
    (record,) = [record for record in caplog.records if record.message == "plugin skipped"]
    noted: Any = record
    assert noted.reason.startswith("plugins/bad.py:1 cannot be loaded: SyntaxError")


def test_a_folder_that_is_named_and_not_there_is_told() -> None:
    assert origins(Library(["nowhere"], entries=False)) == {
        "nowhere": "there is no folder nowhere; check plugins.paths"
    }
    os.rmdir("plugins")
    assert origins(Library(entries=False)) == {}


def test_the_settings_choose(folder: Path) -> None:
    (folder / "one.py").write_text(says("1", "!one", "one"))
    (folder / "two.py").write_text(says("2", "!two", "two"))
    Path("sessionbot.yml").write_text("plugins:\n  policy: disable\n  enabled: [two]\n")
    section: Plugins = Settings.load().plugins
    (chosen,) = Library.from_section(section).plugins()
    assert chosen.meta.id == "two"
    release(chosen)


@asynccontextmanager
async def watching(
    bot: Bot, library: Library, folder: Path
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """A watch whose time passes when the test says so."""
    looked, again = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def sleep(seconds: float) -> None:
        assert seconds == 0.5
        looked.release()
        await again.acquire()

    async def look() -> None:
        again.release()
        await looked.acquire()

    async with asyncio.TaskGroup() as group:
        watch = group.create_task(library.watch(folder, bot, sleep=sleep))
        await looked.acquire()
        yield look
        watch.cancel()


async def test_what_is_saved_is_swapped_in(folder: Path) -> None:
    file = folder / "say.py"
    file.write_text(says("one"))
    async with Bot() as bot, watching(bot, Library(), folder) as look:
        assert await bot.hear("!say") == ["one"]
        file.write_text(says("another"))
        await look()
        assert await bot.hear("!say") == ["another"]
        (folder / "new.py").write_text(says("new", "!new", "new"))
        await look()
        assert await bot.hear("!new") == ["new"]


async def test_a_broken_save_keeps_the_old_version_and_is_logged_once(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = folder / "say.py"
    file.write_text(says("one"))
    async with Bot() as bot, watching(bot, Library(), folder) as look:
        file.write_text("from sessionbot_kit import plugin\n\n@plugin(\n")
        await look()
        await look()
        assert await bot.hear("!say") == ["one"]
        errors: list[Any] = [record for record in caplog.records if record.levelname == "ERROR"]
        assert [record.message for record in errors] == ["plugin not swapped"]
        assert errors[0].error.startswith(f"{file}:3 cannot be loaded: SyntaxError")
        file.write_text(says("mended"))
        await look()
        assert await bot.hear("!say") == ["mended"]


async def test_a_version_that_does_not_start_is_logged_and_leaves_no_module(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = folder / "say.py"
    file.write_text(says("one"))
    async with Bot(echo) as bot, watching(bot, Library(), folder) as look:
        file.write_text(says("two", "!echo"))
        await look()
        assert await bot.hear("!say") == ["one"]
        (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
        noted: Any = record
        assert noted.error == "say and echo both want !echo; change one of them"
        assert len([name for name in sys.modules if name.startswith("sessionbot_plugin_say")]) == 1


async def test_a_file_that_was_only_touched_is_not_swapped(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    file = folder / "say.py"
    file.write_text(says("one"))
    async with Bot() as bot, watching(bot, Library(), folder) as look:
        os.utime(file, (1, 1))
        await look()
    assert caplog.messages.count("plugins swapped in") == 1


async def test_a_neighbor_that_changes_changes_its_directory(folder: Path) -> None:
    (folder / "say").mkdir()
    (folder / "say" / "plugin.py").write_text(
        f"from .words import WORDS\n{says('')}".replace("''", "WORDS")
    )
    words = folder / "say" / "words.py"
    words.write_text("WORDS = 'a'\n")
    async with Bot() as bot, watching(bot, Library(), folder) as look:
        assert await bot.hear("!say") == ["a"]
        words.write_text("WORDS = 'b'\n")
        os.utime(words, (1, 1))
        await look()
        assert await bot.hear("!say") == ["b"]


async def test_a_plugin_that_left_its_file_leaves_the_bot(folder: Path) -> None:
    file = folder / "say.py"
    other = says("two", "!two", "two").replace("def say", "def two")
    file.write_text(says("one") + other)
    async with Bot() as bot, watching(bot, Library(), folder) as look:
        assert await bot.hear("!two") == ["two"]
        file.write_text(says("one"))
        await look()
        assert await bot.hear("!two") == []
        assert await bot.hear("!say") == ["one"]


async def test_a_file_that_has_gone_leaves_its_plugin_and_is_told_once(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = folder / "say.py"
    file.write_text(says("one"))
    async with Bot() as bot, watching(bot, Library(), folder) as look:
        file.unlink()
        await look()
        await look()
        assert await bot.hear("!say") == ["one"]
        assert caplog.messages.count("plugin file gone, its plugin goes on") == 1
        file.write_text(says("back"))
        await look()
        assert await bot.hear("!say") == ["back"]


async def test_what_is_disabled_is_not_put_in(folder: Path) -> None:
    (folder / "say.py").write_text(says("one"))
    async with Bot() as bot, watching(bot, Library(disabled=["say"]), folder):
        assert await bot.hear("!say") == []
    assert not [name for name in sys.modules if name.startswith("sessionbot_plugin_say")]


async def test_a_hundred_saves_leave_one_module(folder: Path) -> None:
    file = folder / "say.py"
    async with Bot() as bot, watching(bot, Library(), folder) as look:
        for number in range(100):
            file.write_text(says(f"number {number}"))
            os.utime(file, (number, number))
            await look()
        assert await bot.hear("!say") == ["number 99"]
        await bot.kernel._retiring.drain(10)
        names = [name for name in sys.modules if name.startswith("sessionbot_plugin_say")]
        assert len(names) == 1


def test_a_circle_of_needs_is_one_sentence(folder: Path) -> None:
    text = says("x").replace("return 'x'", "return 'x'\nsay.meta = say.meta.model_copy(update=")
    for id, needs in (("a", "b"), ("b", "a")):
        body = text.replace("'!say'", f"'!{id}'").replace("'say'", f"{id!r}")
        (folder / f"{id}.py").write_text(f"{body.rstrip()}{{'dependencies': ({needs!r},)}})\n")
    with pytest.raises(PluginError, match="plugins need each other in a circle: a -> b -> a"):
        Library(entries=False).plugins()
