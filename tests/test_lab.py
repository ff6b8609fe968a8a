"""Notebooks are laid once and belong to their owner from then on."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

import sessionbot_kit
from sessionbot_kit import lab
from sessionbot_kit.cli import main
from sessionbot_kit.errors import UsageError
from sessionbot_kit.lab import command, first_notebook, has_display, lay, shipped

ROOT = Path(sessionbot_kit.__file__).parents[1]
EMPTY = json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """What a version of the toolkit ships."""
    folder = tmp_path / "package" / "notebooks"
    (folder / "cookbook").mkdir(parents=True)
    (folder / "02_second.ipynb").write_text("two")
    (folder / "01_first.ipynb").write_text("one")
    (folder / "cookbook" / "tea.ipynb").write_text("tea")
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "01_first.ipynb").write_text("old")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "mine" / "notebooks"


def test_all_notebooks_are_laid_and_no_checkpoints(source: Path, folder: Path) -> None:
    laid = lay(source, folder)
    assert laid.written == ("01_first.ipynb", "02_second.ipynb", "cookbook/tea.ipynb")
    assert (folder / "cookbook" / "tea.ipynb").read_text() == "tea"
    assert not (folder / ".ipynb_checkpoints").exists()


def test_laying_again_changes_nothing(source: Path, folder: Path) -> None:
    lay(source, folder)
    laid = lay(source, folder)
    assert (laid.written, laid.kept) == ((), ())


def test_what_the_owner_changed_is_kept(source: Path, folder: Path) -> None:
    lay(source, folder)
    (folder / "01_first.ipynb").write_text("mine")
    (source / "01_first.ipynb").write_text("newer")
    assert lay(source, folder).kept == ("01_first.ipynb",)
    assert (folder / "01_first.ipynb").read_text() == "mine"


def test_what_was_there_before_is_kept(source: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "01_first.ipynb").write_text("mine")
    assert lay(source, folder).kept == ("01_first.ipynb",)


def test_what_the_owner_did_not_change_becomes_newer(source: Path, folder: Path) -> None:
    lay(source, folder)
    (source / "01_first.ipynb").write_text("newer")
    assert lay(source, folder).written == ("01_first.ipynb",)
    assert (folder / "01_first.ipynb").read_text() == "newer"


def test_what_the_owner_removed_comes_back(source: Path, folder: Path) -> None:
    lay(source, folder)
    (folder / "01_first.ipynb").unlink()
    assert lay(source, folder).written == ("01_first.ipynb",)


def test_without_its_memory_every_difference_is_kept(source: Path, folder: Path) -> None:
    lay(source, folder)
    (folder / ".laid.json").write_text("{")
    (source / "01_first.ipynb").write_text("newer")
    assert lay(source, folder).kept == ("01_first.ipynb",)


def test_the_first_notebook_is_the_first_by_name(source: Path) -> None:
    assert first_notebook(source).name == "01_first.ipynb"


def test_a_folder_without_notebooks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there are no notebooks in"):
        first_notebook(tmp_path)


def test_notebooks_come_from_the_package_or_from_beside_it(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in (source.parent, source.parent / "sessionbot_kit"):
        monkeypatch.setattr(lab, "PACKAGE", package)
        assert shipped() == source
    monkeypatch.setattr(lab, "PACKAGE", tmp_path / "a" / "b")
    with pytest.raises(UsageError, match="pip install"):
        shipped()


def test_the_command_lays_the_notebooks_and_becomes_jupyterlab_there(
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    executed: list[list[str]] = []
    monkeypatch.setattr(lab, "PACKAGE", source.parent)
    monkeypatch.setattr(
        os, "execve", lambda program, arguments, environ: executed.append(arguments)
    )
    monkeypatch.chdir(tmp_path)
    assert main(["lab", "--folder", "mine", "--port", "9000"]) == 0
    assert Path.cwd() == tmp_path / "mine"
    assert Path("cookbook/tea.ipynb").read_text() == "tea"
    assert executed[0][-3:] == ["--LabApp.default_url=/lab/tree/01_first.ipynb", "--port", "9000"]
    assert "mine: 3 new files from sessionbot_kit" in capsys.readouterr().out


def test_the_command_names_what_the_owner_changed(
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "01_first.ipynb").write_text("mine")
    monkeypatch.setattr(lab, "PACKAGE", source.parent)
    monkeypatch.setattr(os, "execve", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    assert main(["lab", "--folder", "mine"]) == 0
    assert "mine/01_first.ipynb has changes of yours and stays" in capsys.readouterr().out


def test_without_a_display_no_browser_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    assert ("--no-browser" in command(Path("a.ipynb"))[0]) == (sys.platform != "darwin")
    monkeypatch.setenv("DISPLAY", ":0")
    assert "--no-browser" not in command(Path("a.ipynb"))[0]
    assert has_display(os.environ)


def test_options_are_passed_on_and_the_address_leads_to_the_notebook() -> None:
    arguments, _ = command(Path("a b/ä.ipynb"), ["--port", "9000"])
    assert arguments[-3:] == ["--LabApp.default_url=/lab/tree/a%20b/%C3%A4.ipynb", "--port", "9000"]


def test_root_is_allowed_because_a_container_has_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for user, allowed in ((0, True), (1000, False)):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        assert ("--allow-root" in command(Path("a.ipynb"))[0]) == allowed


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jupyterlab", None)
    with pytest.raises(UsageError) as caught:
        command(Path("a.ipynb"))
    assert 'pip install "sessionbot-kit[notebook]"' in str(caught.value)


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start `sessionbot lab` in a folder of its own, and end it afterwards."""
    running = []

    def start(*options: str) -> subprocess.Popen[str]:
        places = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
        environ = {**os.environ, **{f"JUPYTER_{p}": str(tmp_path / p) for p in places}}
        process = subprocess.Popen(
            [sys.executable, "-m", "sessionbot_kit", "lab", *options],
            cwd=tmp_path,
            env={
                **environ,
                "PYTHONPATH": str(ROOT),
                "JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "s"),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_jupyterlab_starts_and_prints_an_address_that_serves_the_notebook(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01_first.ipynb").write_text(EMPTY)
    process = start("--here", "--no-browser", "--ServerApp.port=0")
    assert process.stdout is not None
    address = next(line.strip() for line in process.stdout if "http://127.0.0.1" in line)
    url = httpx.URL(address)
    assert url.path.endswith("/lab/tree/notebooks/01_first.ipynb")
    with httpx.Client(base_url=f"http://127.0.0.1:{url.port}", trust_env=False) as client:
        token = {"token": url.params["token"]}
        found = client.get("/api/contents/notebooks/01_first.ipynb", params=token, timeout=20)
        notices = "/lab/api/settings/@jupyterlab/apputils-extension:notification"
        asks = client.get(notices, params=token, timeout=20).json()
    assert found.status_code == 200
    assert asks["schema"]["properties"]["fetchNews"]["default"] == "false"
