"""How `.venv` is made ready, and what is said when it cannot be."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = ["sh", "dirname", "cksum", "cat", "grep", "head", "tail", "rm", "mkdir", "cp"]

# Stands in for a Python on PATH, and for the one that it puts into .venv. FAKE says what is wrong
# with it.
FAKE_PYTHON = """#!/bin/sh
case "$*" in
    -V) echo "Python 3.9.2" ;;
    *version_info*) [ "$FAKE" != old ] ;;
    *ensurepip*) [ "$FAKE" != bare ] ;;
    "-m venv --clear .venv")
        if [ "$FAKE" = readonly ]; then echo "Error: [Errno 13] Permission denied"; exit 1; fi
        echo venv >> calls
        rm -rf .venv && mkdir -p .venv/bin && cp "$0" .venv/bin/python
        echo "VIRTUAL_ENV='$(pwd -P)/.venv'" > .venv/bin/activate ;;
    "-m pip --version") ;;
    "-m pip install"*)
        for spec; do :; done
        echo "install $spec" >> calls
        if [ "$FAKE" = killed ]; then kill -9 0; fi
        if [ "$FAKE" = full ]; then echo "ERROR: [Errno 28] No space left on device"; exit 1; fi
        if [ "$FAKE" = broken ]; then echo "error: metadata-generation-failed"; exit 1; fi
        if [ "$FAKE" = offline ]; then
            echo "ERROR: No matching distribution found for pydantic>=2.11"; exit 1
        fi
        case "$FAKE $spec" in "rare "*test-binaries*) echo "ERROR: no build"; exit 1 ;; esac
        echo "Collecting pydantic>=2.11"
        echo "Installing collected packages: pydantic" ;;
esac
"""


class House:
    """A fresh clone on a machine that has nothing but a shell, and perhaps a Python."""

    def __init__(self, folder: Path, python: str | None = "python3") -> None:
        self.folder = folder / "a clone"
        (self.folder / ".ci").mkdir(parents=True)
        shutil.copy(ROOT / ".ci" / "prepare", self.folder / ".ci")
        (self.folder / "pyproject.toml").write_text("[project]\n")
        self.bin = folder / "bin"
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(str(shutil.which(tool)))
        if python:
            (self.bin / python).write_text(FAKE_PYTHON)
            (self.bin / python).chmod(0o755)

    def prepare(self, level: str = "test", fake: str = "", **env: str) -> tuple[int, str]:
        """Run the script and return its status and all that it said."""
        done = subprocess.run(
            [self.folder / ".ci" / "prepare", level],
            env={"PATH": str(self.bin), "FAKE": fake, "VERB": "test", **env},
            capture_output=True,
            text=True,
            start_new_session=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def calls(self) -> list[str]:
        """List what was asked of the Python since the last time, then forget it."""
        path = self.folder / "calls"
        said = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return said


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


ALL = ["venv", "install .[all,test,test-binaries]"]


def test_a_fresh_clone_is_made_ready_and_a_second_run_does_nothing(house: House) -> None:
    status, said = house.prepare()
    assert (status, house.calls()) == (0, ALL)
    assert "installing 1 packages" in said
    assert house.prepare() == (0, "")
    assert house.calls() == []


def test_what_is_ready_for_the_tests_is_ready_for_the_demo_but_not_for_the_checks(
    house: House,
) -> None:
    house.prepare("test")
    house.calls()
    house.prepare("core")
    assert house.calls() == []
    house.prepare("dev")
    assert house.calls() == ["install .[all,test,test-binaries,dev]"]


def test_a_changed_pyproject_is_installed_again(house: House) -> None:
    house.prepare()
    house.calls()
    (house.folder / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    assert house.prepare()[0] == 0
    assert house.calls() == ["install .[all,test,test-binaries]"]


def test_an_install_that_was_killed_begins_from_nothing(house: House) -> None:
    assert house.prepare(fake="killed")[0] != 0
    house.calls()
    assert house.prepare()[0] == 0
    assert house.calls() == ALL


def test_a_clone_that_was_moved_gets_a_new_venv(house: House) -> None:
    house.prepare()
    house.calls()
    house.folder = house.folder.rename(house.folder.with_name("elsewhere"))
    assert house.prepare()[0] == 0
    assert house.calls() == ALL


def test_a_failed_download_is_one_sentence_and_is_tried_again(house: House) -> None:
    status, said = house.prepare(fake="offline")
    assert status == 1
    assert said.endswith(
        "\nsessionbot_kit: installing failed (ERROR: No matching distribution found for "
        "pydantic>=2.11); check the network, or point PIP_INDEX_URL at a package index that can be "
        "reached, and run make test again.\n"
    )
    house.calls()
    assert house.prepare()[0] == 0
    assert house.calls() == ALL[1:]


@pytest.mark.parametrize(
    ("fake", "advice"),
    [
        ("full", "make room on the disk and"),
        ("broken", "see .venv/install.log, mend what it names"),
    ],
)
def test_an_install_that_fails_for_another_reason_gets_other_advice(
    house: House, fake: str, advice: str
) -> None:
    status, said = house.prepare(fake=fake)
    assert status == 1
    assert f"); {advice}" in said


def test_a_package_without_a_build_for_this_machine_is_left_out_aloud(house: House) -> None:
    status, said = house.prepare(fake="rare")
    assert (status, house.calls()) == (0, [*ALL, "install .[all,test]"])
    assert "without test-binaries" in said


def test_an_old_python_is_named(house: House) -> None:
    assert house.prepare(fake="old") == (
        1,
        "\nsessionbot_kit: Python 3.11 or newer is needed and python3 here is Python 3.9.2; "
        "install one from https://www.python.org/downloads, or name it: "
        "make PYTHON=/path/to/python3.12 test.\n",
    )


def test_no_python_at_all_is_said(tmp_path: Path) -> None:
    status, said = House(tmp_path, python=None).prepare()
    assert status == 1
    assert "Python 3.11 or newer is needed and none was found; install one" in said


def test_a_newer_python_is_found_behind_an_old_one(tmp_path: Path) -> None:
    house = House(tmp_path, python="python3.13")
    old = house.bin / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    assert house.prepare()[0] == 0


def test_a_python_without_venv_names_the_package_that_brings_it(house: House) -> None:
    status, said = house.prepare(fake="bare")
    assert status == 1
    assert said.endswith("install it with: sudo apt-get install python3-venv\n")
    assert said.count("\n") == 2


def test_a_folder_that_cannot_be_written_is_said(house: House) -> None:
    status, said = house.prepare(fake="readonly")
    assert status == 1
    assert "making .venv failed (Error: [Errno 13] Permission denied); is this folder wr" in said


def test_the_python_that_was_asked_for_is_the_one_that_is_used(house: House) -> None:
    status, said = house.prepare(PYTHON=os.fspath(house.bin / "absent"))
    assert status == 1
    assert "none was found" in said
