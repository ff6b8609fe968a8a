"""`sessionbot plugins`: what is there, from where, and why something is left out."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sessionbot_kit.plugins_commands import app

SAY = "from sessionbot_kit import plugin\n@plugin('!say', version='2')\ndef say(): ...\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "say.py").write_text(SAY)
    (tmp_path / "plugins" / "bad.py").write_text("1 / 0\n")
    (tmp_path / "sessionbot.yml").write_text("plugins:\n  enabled: [runes]\n")


def output(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("arguments", [[], ["list"]])
def test_each_plugin_is_listed_with_prefixes_and_origin(arguments: list[str]) -> None:
    (line,) = [line for line in output(*arguments).splitlines() if line.startswith("say ")]
    assert [line.split()[n] for n in (0, 1, 3, 4)] == ["say", "2", "!say", "plugins/say.py"]


def test_what_is_skipped_is_listed_with_the_whole_reason() -> None:
    lines = output().splitlines()
    assert (
        "skipped plugins/bad.py: plugins/bad.py:1 cannot be loaded: ZeroDivisionError: "
        "division by zero; mend it there"
    ) in lines
    assert (
        "skipped runes: runes stands in plugins.enabled and is nowhere; check plugins.paths"
        in lines
    )


def test_listing_leaves_no_module_behind() -> None:
    output()
    assert not [name for name in sys.modules if name.startswith("sessionbot_plugin_")]


def test_programs_read_it_as_json() -> None:
    rows = {row["origin"]: row for row in json.loads(output("list", "--json"))}
    assert rows["plugins/say.py"]["prefixes"] == ["!say"]
    assert "ZeroDivisionError" in rows["plugins/bad.py"]["skipped"]
