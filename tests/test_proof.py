"""Recordings are played in a fresh interpreter, which knows nothing of this one."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from sessionbot_kit.cli import main
from sessionbot_kit.errors import PluginError
from sessionbot_kit.plugins import echo
from sessionbot_kit.proof import play_fresh
from tests.drafts import PIZZA, made_of, recorded


async def test_a_file_plays_what_its_cell_did(tmp_path: Path) -> None:
    (tmp_path / "pizza.py").write_text(PIZZA)
    recording = await recorded(made_of(PIZZA), "!pizza", "large")
    (replay,) = await play_fresh(tmp_path / "pizza.py", [recording], sha256=recording.version)
    assert replay.same
    assert replay.version == recording.version


async def test_an_installed_module_plays_too() -> None:
    recording = await recorded(echo, "!echo hello")
    (replay,) = await play_fresh("sessionbot_kit.plugins.echo:echo", [recording])
    assert replay.same


async def test_other_bytes_play_nothing(tmp_path: Path) -> None:
    (tmp_path / "pizza.py").write_text(PIZZA + "# more\n")
    recording = await recorded(made_of(PIZZA), "!pizza")
    with pytest.raises(
        PluginError, match=r"pizza\.py holds other bytes \(.*\) than those that ran"
    ):
        await play_fresh(tmp_path / "pizza.py", [recording], sha256=recording.version)


async def test_what_lies_in_the_current_folder_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "beside.py").write_text("x = 1\n")
    (tmp_path / "pizza.py").write_text(f"import beside\n{PIZZA}")
    recording = await recorded(made_of(PIZZA), "!pizza")
    with pytest.raises(PluginError, match="No module named 'beside'"):
        await play_fresh(tmp_path / "pizza.py", [recording])


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("import os; os._exit(3)", "ended its interpreter: it said nothing"),
        ("raise SystemExit(3)", "cannot be loaded: SystemExit: 3"),
        ("print('noise'); import os; os.write(1, b'noise')", ""),
        ("while True: pass", r"did not play its recordings within 5 s"),
    ],
)
async def test_a_module_that_misbehaves_is_told_of(tmp_path: Path, line: str, says: str) -> None:
    (tmp_path / "pizza.py").write_text(f"{line}\n{PIZZA}")
    recording = await recorded(made_of(PIZZA), "!pizza")
    if not says:
        (replay,) = await play_fresh(tmp_path / "pizza.py", [recording])
        assert replay.same
        return
    with pytest.raises(PluginError, match=says):
        await play_fresh(
            tmp_path / "pizza.py", [recording], time_limit_s=5 if "5 s" in says else 60
        )


async def test_the_command_shows_the_difference_and_its_status_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (await recorded(made_of(PIZZA), "!pizza", "large")).save(tmp_path / "pizza.jsonl")
    (tmp_path / "same.py").write_text(PIZZA)
    (tmp_path / "other.py").write_text(PIZZA.replace("is in", "waits in"))
    words = ["replay", str(tmp_path / "pizza.jsonl")]
    assert await asyncio.to_thread(main, [*words, str(tmp_path / "same.py")]) == 0
    assert "2 turns, all of them the same" in capsys.readouterr().out
    assert await asyncio.to_thread(main, [*words, str(tmp_path / "other.py")]) == 1
    assert "turn 2 (large): said" in capsys.readouterr().out


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    words = ("-m", "sessionbot_kit", "replay", str(tmp_path / "none.jsonl"), "x.py")
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        f"sessionbot: there is no recording {tmp_path}/none.jsonl; "
        "write one with recording.save()\n"
    )
