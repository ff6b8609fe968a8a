"""`sessionbot identity new | show | restore`."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from sessionbot_kit.channels.session_messenger.commands import identity
from sessionbot_kit.channels.session_messenger.identity import is_session_id
from sessionbot_kit.channels.session_messenger.phrase_file import PHRASE_FILE
from sessionbot_kit.errors import SettingsError

from .vectors import KEYS

PHRASE, ADA = KEYS[0]["mnemonic"], KEYS[0]["session_id"]

app = typer.Typer()
app.add_typer(identity, name="identity")


def run(*words: str, stdin: str = "", folder: Path | None = None, **environ: str) -> list[str]:
    """The lines that a command prints."""
    where = ["--folder", str(folder)] if folder else []
    result = CliRunner().invoke(app, ["identity", *words, *where], input=stdin, env=environ)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output.splitlines()


def test_a_new_identity_is_kept_and_shown_again(tmp_path: Path) -> None:
    id, where = run("new", folder=tmp_path)
    assert is_session_id(id)
    assert str(tmp_path / PHRASE_FILE) in where
    assert run("show", folder=tmp_path) == [id]


def test_an_identity_is_restored_from_its_phrase(tmp_path: Path) -> None:
    assert run("restore", folder=tmp_path, stdin=PHRASE)[0] == ADA
    assert run("show", folder=tmp_path) == [ADA]


def test_an_identity_in_the_environment_is_shown(tmp_path: Path) -> None:
    assert run("show", folder=tmp_path, SESSION_BOT_MNEMONIC=PHRASE) == [ADA]


def test_no_command_ever_shows_the_phrase(tmp_path: Path) -> None:
    shown = [
        *run("restore", folder=tmp_path, stdin=PHRASE),
        *run("show", folder=tmp_path),
        *run("--help"),
    ]
    assert not [word for word in PHRASE.split() if word in " ".join(shown)]


def test_a_second_identity_in_one_folder_is_refused(tmp_path: Path) -> None:
    run("new", folder=tmp_path)
    with pytest.raises(SettingsError, match="move it away first"):
        run("new", folder=tmp_path)


def test_where_there_is_no_identity_the_command_that_makes_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="sessionbot identity new"):
        run("show", folder=tmp_path)


def test_a_wrong_phrase_is_refused_and_not_quoted(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="word 1 of the recovery phrase") as caught:
        run("restore", folder=tmp_path, stdin=PHRASE.replace("puffin", "pufin"))
    assert "pufin" not in str(caught.value)
    assert not (tmp_path / PHRASE_FILE).exists()


def test_without_a_folder_the_home_of_the_settings_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SESSIONBOT_HOME", str(tmp_path / "home"))
    run("new")
    assert (tmp_path / "home" / PHRASE_FILE).exists()
