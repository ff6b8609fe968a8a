"""What an import brings along: the light dependencies, and nothing of the extras."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import sessionbot_kit

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
OURS = f"from sessionbot_kit import {', '.join(sessionbot_kit.__all__)}"


def name_of(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def brought_by(statement: str) -> set[str]:
    """Name the distributions from which a fresh process loads something for a statement."""
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    owners = packages_distributions()
    loaded = (owner for module in done.stdout.split() for owner in owners.get(module, ()))
    return {owner.lower().replace("_", "-") for owner in loaded}


def of_the_extras() -> set[str]:
    needed = {name_of(line) for line in PROJECT["dependencies"]} | {PROJECT["name"]}
    extras = PROJECT["optional-dependencies"].values()
    # Coverage measures the fresh process too, where it is asked for.
    return {name_of(line) for extra in extras for line in extra} - needed - {"pytest-cov"}


def test_importing_the_package_imports_no_extra() -> None:
    assert brought_by(OURS) & of_the_extras() == set()


@pytest.mark.parametrize("extra", ["ipykernel", "hypothesis"])
def test_an_extra_that_is_imported_is_noticed(extra: str) -> None:
    assert extra in brought_by(f"{OURS}\nimport {extra}") & of_the_extras()


def test_importing_the_package_patches_no_event_loop() -> None:
    loaded = brought_by(OURS)
    assert {"nest-asyncio", "nest-asyncio2", "uvloop"} & loaded == set()


def test_importing_the_package_leaves_the_command_line_alone() -> None:
    assert {"typer", "click"} & brought_by(OURS) == set()
