"""The verbs: each is explained, and what they call exists."""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
VERBS = re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE)


def make(*arguments: str) -> str:
    # Inside `make test` these would make the inner make print what it enters.
    env = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    done = subprocess.run(
        ["make", *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_help_explains_every_verb_in_a_line() -> None:
    explained = [line.split()[1] for line in make("help").splitlines()]
    assert explained == VERBS
    assert all(len(line.split()) > 3 for line in make("help").splitlines())


def test_make_alone_is_help() -> None:
    assert make() == make("help")


def test_no_verb_is_taken_for_a_file_of_its_name() -> None:
    phony = re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    assert phony is not None
    assert phony[1].split() == VERBS


def test_the_contributing_guide_names_every_verb() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert [verb for verb in VERBS if f"`make {verb}`" not in guide] == []


def test_what_the_verbs_call_exists() -> None:
    for module in re.findall(r"-m ((?:checks|benchmarks)[.\w]*)", MAKEFILE):
        folder = ROOT / module.replace(".", "/")
        assert folder.with_suffix(".py").exists() or (folder / "__main__.py").exists(), module
    for script in re.findall(r"\.ci/\w+", MAKEFILE):
        assert os.access(ROOT / script, os.X_OK), script
