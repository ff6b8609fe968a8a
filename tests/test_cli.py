"""The command: what it prints, its exit status, and one sentence for what goes wrong."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import sessionbot_kit
from sessionbot_kit.cli import main
from sessionbot_kit.demo import Demo
from sessionbot_kit.errors import StoreFull

ROOT = Path(sessionbot_kit.__file__).parents[1]

Shell = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def quiet_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty folder, and an environment that says nothing."""
    for variable in list(os.environ):
        if variable.upper().startswith("SESSIONBOT_") or variable == "ROOT_DIR":
            monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Run a line as a person would, with `sessionbot` in a fresh process."""

    def run(line: str) -> subprocess.CompletedProcess[str]:
        line = line.replace("sessionbot ", f"'{sys.executable}' -W error -m sessionbot_kit ")
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            line, shell=True, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=30
        )

    return run


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str, status: int) -> str:
    assert main(arguments) == status
    captured = capsys.readouterr()
    assert captured.err.startswith("sessionbot: ")
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err
    return captured.err


def test_alone_it_shows_help_and_how_to_begin(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    assert "Begin with sessionbot demo" in out
    assert all(command in out for command in ("demo", "lab", "config", "version", "doctor"))


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_it_says_its_version(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith(
        f"sessionbot_kit {sessionbot_kit.__version__}, Python"
    )


def test_config_show_lists_values_with_their_source(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("sessionbot.yml").write_text("courier:\n  tries: 3\n")
    monkeypatch.setenv("SESSIONBOT_GATEWAY__PORT", "9000")
    assert main(["config", "show"]) == 0
    out = capsys.readouterr().out
    assert "courier.tries = 3  (sessionbot.yml line 2)" in out
    assert "gateway.port = 9000  (SESSIONBOT_GATEWAY__PORT)" in out
    assert "home = data\n    Folder for what the bot keeps" in out


def test_config_show_masks_secrets_in_text_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bot.yml").write_text("plugins: {telegram: {bot_token: t0psecret}}")
    assert main(["config", "show", "--file", "bot.yml"]) == 0
    assert main(["config", "show", "-f", "bot.yml", "--json"]) == 0
    out = capsys.readouterr().out
    assert "t0psecret" not in out
    assert "plugins.telegram.bot_token = ***" in out
    assert json.loads(out.splitlines()[-1])[-1]["value"] == "***"


def test_config_check_counts_what_is_set(capsys: pytest.CaptureFixture[str]) -> None:
    Path("sessionbot.yml").write_text("home: here\nturn_timeout_s: 5\n")
    assert main(["config", "check"]) == 0
    assert capsys.readouterr().out == (
        "sessionbot.yml: the settings are fine; 2 are set, the others are defaults.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nope"], "No such command 'nope'"),
        (["demo", "--nope"], "No such option: --nope"),
        (["config"], "Missing command"),
        (["config", "check", "--file", "gone.yml"], "gone.yml cannot be read: No such file"),
        (["lab", "--here"], "there are no notebooks in"),
    ],
)
def test_a_wrong_call_is_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sentence in complaint(capsys, *arguments, status=2)


def test_a_wrong_setting_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    Path("sessionbot.yml").write_text("turn_timeout: 5\n")
    assert "did you mean turn_timeout_s?" in complaint(capsys, "config", "check", status=2)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (StoreFull("the disk is full; make room"), "the disk is full; make room"),
        (PermissionError(13, "Permission denied", "x.db"), "x.db: Permission denied; check"),
        (ZeroDivisionError("two\nlines"), "an error of ours, ZeroDivisionError: two lines; call"),
    ],
)
def test_whatever_fails_is_one_sentence(
    error: Exception,
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Demo, "run", fail)
    assert sentence in complaint(capsys, "demo", status=1)


def test_ctrl_c_is_no_failure_to_talk_about(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Demo, "run", interrupted)
    assert main(["demo"]) == 130
    assert capsys.readouterr().err == ""


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check", "--file", "gone.yml", "--debug"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert err.splitlines()[-1].startswith("sessionbot: gone.yml cannot be read")


def test_the_demo_succeeds_in_a_fresh_process(shell: Shell, tmp_path: Path) -> None:
    done = shell("sessionbot demo")
    assert (done.returncode, done.stderr) == (0, "")
    assert "5 of 5 replies were right" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_without_unicode_is_no_failure(shell: Shell) -> None:
    done = shell("PYTHONIOENCODING=ascii sessionbot demo")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_who_leaves_early_is_no_failure_to_talk_about(shell: Shell) -> None:
    done = shell("sessionbot config show | head -1")
    assert (done.stdout, done.stderr) == ("home = data\n", "")


def test_the_door_opens_without_the_extras(shell: Shell) -> None:
    extras = "jupyterlab ipywidgets ipykernel IPython fastapi uvicorn nest_asyncio nacl psycopg"
    code = f"import sys, sessionbot_kit.cli; print(*(set('{extras}'.split()) & set(sys.modules)))"
    done = shell(f"'{sys.executable}' -c \"{code}\"")
    assert (done.stdout, done.stderr) == ("\n", "")


def test_schema_writes_what_is_checked_in(tmp_path: Path) -> None:
    assert main(["schema", "--folder", "out"]) == 0
    for path in (ROOT / "docs" / "schema").iterdir():
        assert (tmp_path / "out" / path.name).read_text("utf-8") == path.read_text("utf-8")


def test_sessions_can_be_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sessions", "list"]) == 2
    assert "there is no store at sqlite:///data/sessionbot.db; start a bot" in (
        capsys.readouterr().err
    )


def test_an_identity_is_made_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["identity", "new"]) == 0
    made = capsys.readouterr().out.splitlines()[0]
    assert main(["identity", "show"]) == 0
    assert capsys.readouterr().out.strip() == made
    assert len(made) == 66


def test_an_identity_without_its_extra_names_the_extra(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [name for name in sys.modules if "session_messenger" in name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "nacl", None)
    said = complaint(capsys, "identity", "show", status=2)
    assert "the Session messenger needs nacl" in said
    assert "sessionbot-kit[session]" in said
