"""`sessionbot say` and `sessionbot chat`: a bot in this folder, and somebody at a terminal."""

import asyncio
import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from sessionbot_kit.cli import main
from sessionbot_kit.stores.sqlite import SqliteStore

COMMAND = [sys.executable, "-m", "sessionbot_kit"]
ENVIRON = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "TERM": "xterm"}

Printed = pytest.CaptureFixture[str]

COUNT = '''
from sessionbot_kit import plugin

@plugin("!count")
async def count(chat):
    """Count."""
    chat.vars["n"] = chat.vars.get("n", 0) + 1
    return f"{chat.user} {chat.vars['n']}"

@plugin("!echo")
async def echo(message):
    """Say it again."""
    return message.content
'''


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a plugin of one's own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "count.py").write_text(COUNT)
    return tmp_path


def said(capsys: Printed, *arguments: str) -> list[str]:
    assert main(["say", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_one_thing_is_said_and_the_answer_printed(capsys: Printed) -> None:
    assert said(capsys, "!echo hello") == ["hello"]


def test_the_bot_remembers_from_call_to_call_unless_it_is_to_forget(capsys: Printed) -> None:
    assert said(capsys, "!count") == ["you 1"]
    assert said(capsys, "!count") == ["you 2"]
    assert said(capsys, "!count", "--forget") == ["you 1"]
    assert said(capsys, "!count", "--user", "ada") == ["ada 1"]


def test_what_nobody_answers_is_a_failure(capsys: Printed, folder: Path) -> None:
    (folder / "sessionbot.yml").write_text("plugins: {disabled: [assistant]}")
    assert main(["say", "nothing that anybody knows"]) == 1
    assert capsys.readouterr().err.endswith("(no answer)\n")


def test_what_to_say_is_read_from_the_input(
    capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("!echo two\nlines\n"))
    assert said(capsys, "-") == ["two", "lines"]


def test_a_chat_can_be_piped(capsys: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("!count\n!count\n"))
    assert main(["chat"]) == 0
    assert capsys.readouterr().out.splitlines() == ["you 1", "you 2"]


async def test_a_store_that_serves_another_bot_is_named_with_what_to_do(folder: Path) -> None:
    (folder / "data").mkdir()
    async with SqliteStore(folder / "data" / "sessionbot.db") as store:
        await store.acquire("somebody")
        done = await asyncio.to_thread(run, "say", "hello")
    assert done.returncode == 2
    assert "another bot runs on sqlite:///data/sessionbot.db" in done.stderr
    assert "--forget" in done.stderr


def test_a_folder_without_plugins_says_what_to_write(folder: Path, capsys: Printed) -> None:
    (folder / "plugins" / "count.py").unlink()
    (folder / "sessionbot.yml").write_text("plugins:\n  policy: disable\n")
    assert main(["say", "hello"]) == 2
    assert "write one into the folder plugins" in capsys.readouterr().err


def test_at_a_terminal_answers_come_above_the_prompt() -> None:
    keyboard, terminal = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "chat"], stdin=terminal, stdout=terminal, stderr=terminal, env=ENVIRON
    ) as process:
        os.close(terminal)
        seen = read_until(keyboard, b"> ")
        assert b"/help says what it can" in seen
        os.write(keyboard, b"!echo hullo\x7f\x7f\x7fllo\n")  # rubbed out, and written again
        seen = read_until(keyboard, b"\r\x1b[Khullo\r\n> ")
        os.write(keyboard, b"\x04")
        assert process.wait() == 0
    os.close(keyboard)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, in a process of its own."""
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, env=ENVIRON, check=False
    )


def read_until(file: int, end: bytes) -> bytes:
    """What appears on a terminal until it ends in `end`; what never comes is a time-out."""
    seen = b""
    while end not in seen:
        seen += os.read(file, 1_024)
    return seen
