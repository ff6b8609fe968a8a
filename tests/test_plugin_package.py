"""A plugin gets a package of its own, which is installed, found and answers."""

import asyncio
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from sessionbot_kit import Bot, promote
from sessionbot_kit.cli import main
from sessionbot_kit.errors import PluginError, UsageError
from sessionbot_kit.live_cell import place
from sessionbot_kit.plugin_package import PluginPackage
from tests.drafts import PIZZA

ROOT = Path(__file__).parents[1]


async def promoted(folder: Path) -> Path:
    """A module that was promoted, in a project of its own."""
    (folder / "pyproject.toml").touch()
    async with Bot() as bot:
        await place(bot, "pizza", PIZZA)
        await bot.hear("!pizza")
        await bot.hear("large")
        await promote("pizza", folder / "plugins", bot=bot)
    return folder / "plugins" / "pizza.py"


def run(*words: str | Path, cwd: Path, **environment: str) -> str:
    """Run a command that must succeed; what it says."""
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def test_a_package_holds_the_module_its_test_and_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = await promoted(tmp_path)
    PluginPackage("pizza").write(tmp_path / "pkg", source)
    assert (tmp_path / "pkg/src/sessionbot_pizza/pizza.py").read_bytes() == PIZZA.encode()
    document = tomllib.loads((tmp_path / "pkg/pyproject.toml").read_text())["project"]
    assert document["description"] == "Order a pizza."
    assert document["entry-points"]["sessionbot_kit.plugins"] == {
        "pizza": "sessionbot_pizza.pizza:pizza"
    }
    assert (tmp_path / "pkg/tests/recordings/pizza.jsonl").exists()


async def test_what_begins_from_nothing_passes_its_own_test(tmp_path: Path) -> None:
    PluginPackage("greet").write(tmp_path / "pkg")
    said = await asyncio.to_thread(
        run,
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
        cwd=tmp_path / "pkg",
        PYTHONPATH=f"{ROOT}:{tmp_path}/pkg/src",
    )
    assert "1 passed" in said


async def test_the_wrong_name_is_refused_with_the_right_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = await promoted(tmp_path)
    with pytest.raises(UsageError, match="holds the plugin pizza; write sessionbot new plugin piz"):
        PluginPackage("pasta").write(tmp_path / "pkg", source)
    assert not (tmp_path / "pkg").exists()


def test_what_no_plugin_can_be_called_makes_no_package() -> None:
    with pytest.raises(PluginError, match="does not name a plugin"):
        PluginPackage("2 pizzas")


def test_the_command_writes_a_package_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "plugin", "greet"]) == 0
    assert "sessionbot-greet/src/sessionbot_greet/greet.py" in capsys.readouterr().out
    assert main(["new", "plugin", "greet"]) == 2
    assert "sessionbot-greet is there already; choose another" in capsys.readouterr().err
    assert main(["new", "plugin", "greet", "--to", "other", "--from", "none.py"]) == 2
    assert "there is no none.py; promote a cell first" in capsys.readouterr().err


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_promoted_plugin_is_installed_found_and_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = await promoted(tmp_path)
    PluginPackage("pizza").write(tmp_path / "pkg", source)
    await asyncio.to_thread(install_and_ask, tmp_path)


def install_and_ask(folder: Path) -> None:
    """In a new environment, from a wheel, without anything of this repository's folder."""
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    # What the toolkit depends on is lent by this environment, so that nothing is downloaded.
    (site,) = (folder / "venv").glob("lib/python*/site-packages")
    lent = next(Path(path) for path in sys.path if path.endswith("site-packages"))
    (site / "lent.pth").write_text(f"{lent}\n")
    pip = (python, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation")
    run(*pip, ROOT, cwd=folder)
    run(*pip, folder / "pkg", cwd=folder)
    elsewhere = folder / "elsewhere"  # where no folder has plugins
    elsewhere.mkdir()
    sessionbot = folder / "venv" / "bin" / "sessionbot"
    assert "sessionbot_pizza.pizza:pizza" in " ".join(
        run(sessionbot, "plugins", cwd=elsewhere).split()
    )
    assert run(sessionbot, "say", "!pizza", cwd=elsewhere) == "Small or large?\n"
    assert run(sessionbot, "say", "large", cwd=elsewhere) == "Large pizza 1 is in oven 1.\n"
    assert "1 passed" in run(python, "-m", "pytest", "-q", cwd=folder / "pkg")
