"""The list of the original plugin manager is read as it is."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sessionbot_kit import Bot
from sessionbot_kit.errors import PluginError
from sessionbot_kit.library import Library
from sessionbot_kit.original_manifest import from_manifest

SHOUT = Path(__file__).parent / "data" / "original_plugins" / "shout"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A data folder as the original manager has it, with one plugin."""
    shutil.copytree(SHOUT, tmp_path / "shout")
    paths, modules = sys.path[:], set(sys.modules)
    yield tmp_path
    sys.path[:] = paths
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def listed(folder: Path, text: str) -> Path:
    path = folder / "plugins.yaml"
    path.write_text(f"plugins:\n{text}")
    return path


async def test_what_is_enabled_answers_and_what_it_wants_to_know_is_set(folder: Path) -> None:
    path = listed(
        folder,
        "- {name: shout, package: shout, url: ./shout, keep: true, default: true,\n"
        "   env: [{VOICE: loud}, {TONE: low}]}\n"
        "- {name: away, url: ./nowhere, enabled: false}\n",
    )
    environ = {"TONE": "high"}
    (plugin,) = from_manifest(path, environ)
    assert (plugin.meta.id, plugin.default) == ("shout", True)
    assert environ == {"TONE": "high", "VOICE": "loud"}
    assert await Bot(plugin).hear("!shout hello") == ["one moment", "HELLO"]


def test_the_library_takes_the_list_for_an_external_plugin(folder: Path) -> None:
    path = listed(folder, "- {name: shout}\n")
    library = Library((), external=[str(path)], entries=False)
    assert [plugin.meta.id for plugin in library.plugins()] == ["shout"]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("- {name: a, url: 'https://example.org/a.git'}", "clone it yourself, look at it"),
        ("- {name: a, url: 'git@example.org:a.git'}", "clone it yourself"),
        ("- {name: a, url: ./nowhere}", "there is no folder ./nowhere for a"),
        ("- {url: ./shout}", "a plugin has no name"),
        ("- {name: shout, branch: main}", "shout has branch; there are default, enabled"),
        ("- {name: shout, env: [{PYTHONPATH: /x}]}", "shout sets PYTHONPATH, which concerns"),
        ("- {name: shout, env: [{LD_PRELOAD: x}]}", "shout sets LD_PRELOAD"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_a_sentence(
    folder: Path, row: str, sentence: str
) -> None:
    with pytest.raises(PluginError, match=sentence):
        from_manifest(listed(folder, row), {})


@pytest.mark.parametrize("text", ["- a\n- b\n", "plugins: {}\n", "", "plugins: [\n"])
def test_a_file_that_is_no_such_list_says_so(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plugins.yaml"
    path.write_text(text)
    with pytest.raises(PluginError, match=r"plugins.yaml (has no list of plugins|cannot be read)"):
        from_manifest(path, {})
