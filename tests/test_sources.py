"""Plugins come from files, directories and installed modules."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sessionbot_kit import Bot
from sessionbot_kit.edition import release
from sessionbot_kit.errors import PluginError
from sessionbot_kit.extension import Plugin
from sessionbot_kit.sources import load

SHORT = "from sessionbot_kit import plugin\n@plugin('!draw')\ndef draw():\n    return 'The Fool'\n"
LONG = """
from sessionbot_kit import Plugin, PluginMeta
class Tarot(Plugin):
    meta = PluginMeta(id="tarot", implements={"chat.message": "answer"})
    prefixes = ("!draw",)
    def answer(self): return "The Moon"
"""
FACTORY = f"{LONG}\ndef create_plugin(): return Tarot()\n"


@pytest.fixture(autouse=True)
def _as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(tmp_path))
    modules = set(sys.modules)
    yield
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


async def said_by(*plugins: Plugin) -> list[str]:
    try:
        return await Bot(*plugins).hear("!draw")
    finally:
        for plugin in plugins:
            release(plugin)


@pytest.mark.parametrize("text", [SHORT, LONG, FACTORY, f"{LONG}\nhere = Tarot()\nalso = here\n"])
async def test_a_file_gives_what_it_made(tmp_path: Path, text: str) -> None:
    plugins = load(write(tmp_path / "cards.py", text))
    assert await said_by(*plugins) in (["The Fool"], ["The Moon"])


async def test_a_directory_has_a_plugin_file_that_reaches_its_neighbors(tmp_path: Path) -> None:
    folder = tmp_path / "tarot"
    text = FACTORY.replace('"The Moon"', "CARD")
    write(folder / "plugin.py", f"from .deck.cards import CARD\n{text}")
    write(folder / "deck" / "__init__.py", "")
    write(folder / "deck" / "cards.py", "CARD = 'The Sun'\n")
    assert await said_by(*load(folder)) == ["The Sun"]


async def test_a_package_gives_what_its_init_made(tmp_path: Path) -> None:
    write(tmp_path / "tarot" / "__init__.py", SHORT)
    assert await said_by(*load(tmp_path / "tarot")) == ["The Fool"]


async def test_each_version_of_a_directory_has_neighbors_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "tarot"
    late = "def answer(self):\n        from .cards import CARD\n        return CARD"
    write(folder / "plugin.py", FACTORY.replace('def answer(self): return "The Moon"', late))
    write(folder / "cards.py", "CARD = 'old'\n")
    (old,) = load(folder)
    write(folder / "cards.py", "CARD = 'new'\n")
    (new,) = load(folder)
    assert (await said_by(new), await said_by(old)) == (["new"], ["old"])


async def test_what_is_installed_is_named_by_its_module(tmp_path: Path) -> None:
    write(tmp_path / "inst_a.py", f"{SHORT}\nclass box:\n    inner = draw\n")
    write(tmp_path / "inst_b" / "__init__.py", "")
    write(tmp_path / "inst_b" / "plugin.py", FACTORY)
    assert await said_by(*load("inst_a")) == ["The Fool"]
    assert await said_by(*load("inst_a:box.inner")) == ["The Fool"]
    assert await said_by(*load("inst_b")) == ["The Moon"]
    assert await said_by(*load("inst_b.plugin:Tarot")) == ["The Moon"]


def test_a_plugin_that_was_only_imported_is_not_the_files(tmp_path: Path) -> None:
    text = f"from sessionbot_kit.plugins import echo, help\n{SHORT}"
    plugins = load(write(tmp_path / "cards.py", text))
    assert [plugin.meta.id for plugin in plugins] == ["draw"]
    release(plugins[0])


TWO = f"{LONG}\nclass Other(Tarot): ...\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = 1\n", r"cards\.py: it holds no plugin; write @plugin above a function, or create_"),
        (TWO, r"cards\.py: it holds several plugin classes, Tarot, Other; make one of them in cr"),
        ("def create_plugin(): return 5\n", r"cards\.py: create_plugin\(\) gives int, which is no"),
        ("def create_plugin():\n    return 1 / 0\n", r"cards\.py:2 cannot be loaded: ZeroDivision"),
    ],
)
def test_a_file_without_a_plugin_says_so(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(PluginError, match=sentence):
        load(write(tmp_path / "cards.py", text))
    assert not [name for name in sys.modules if name.startswith("sessionbot_plugin_")]


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("nowhere/at_all.py", r"nowhere/at_all\.py cannot be read: No such file or directory; che"),
        ("no_such_module", r"no_such_module cannot be loaded: ModuleNotFoundError.*; install what"),
        ("json:nothing", r"json has no nothing; look at how it is spelled"),
        ("json", r"it holds no plugin"),
        ("json:dumps", r"json:dumps cannot be loaded: TypeError"),
        ("", r" cannot be loaded: ValueError"),
    ],
)
def test_what_is_not_there_is_one_sentence(what: str, sentence: str) -> None:
    with pytest.raises(PluginError, match=sentence) as refused:
        load(what)
    assert "\n" not in str(refused.value)


def test_a_directory_without_a_plugin_says_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(
        PluginError, match=r"holds no plugin; write a plugin\.py with create_plugin"
    ):
        load(tmp_path)
