"""Break the pure modules on purpose, one small change at a time, and count what the tests notice.

    python -m checks.mutants                                   # all of floor 1 that has tests
    python -m checks.mutants sessionbot_kit/chunker.py         # one module
    python -m checks.mutants sessionbot_kit/chunker.py --show  # and the changes nobody noticed

Each module is judged by the tests of its own name alone (`chunker.py` by `tests/test_chunker*.py`),
in a copy of the project, with the same examples of hypothesis each time. A change that survives
is a line that could be wrong without anybody knowing.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from checks.contracts import lowest_floors
from checks.files import ROOT

NOTICED = ("killed", "timeout", "segfault", "caught by type check")
CONFIG = """
[tool.mutmut]
source_paths = ["sessionbot_kit"]
only_mutate = ["{module}"]
also_copy = ["README.md", "docs"]
pytest_add_cli_args = ["-p", "no:randomly", "-p", "no:cacheprovider", "--no-header"]
pytest_add_cli_args_test_selection = {tests}
"""


@dataclass(frozen=True)
class Score:
    """How many changes were made in a module, and which of them nobody noticed."""

    module: str
    made: int
    noticed: int
    survivors: tuple[str, ...] = ()

    def __str__(self) -> str:
        share = f"{100 * self.noticed / self.made:5.1f} %" if self.made else "nothing to change"
        return f"{self.module:<32} {self.noticed:>5} of {self.made:>5} noticed  {share}"


def path_of(name: str) -> Path:
    """Take a path as it is, and a bare name for a module of the package."""
    return Path(name) if name.endswith(".py") else Path("sessionbot_kit", f"{name}.py")


def files_of_tests(module: str) -> list[str]:
    """List the test files of a module's name."""
    found = (ROOT / "tests").glob(f"test_{Path(module).stem}*.py")
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def measure(module: str, show: bool) -> Score:
    """Break one module in a copy of the project and run its tests against every change."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in ("sessionbot_kit", "tests", "checks", "docs"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        config = CONFIG.format(module=module, tests=json.dumps(files_of_tests(module)))
        pyproject = (ROOT / "pyproject.toml").read_text("utf-8")
        (copy / "pyproject.toml").write_text(pyproject + config, "utf-8")
        done = _mutmut(copy, "run", "--max-children", str(os.cpu_count() or 1))
        results = _results(copy)
        if done.returncode or not results:
            sys.exit(f"mutmut failed on {module}:\n{(done.stdout + done.stderr)[-4000:]}")
        survivors = [name for name, status in results.items() if status not in NOTICED]
        shown = (_mutmut(copy, "show", name).stdout if show else name for name in survivors)
        return Score(module, len(results), len(results) - len(survivors), tuple(shown))


def _mutmut(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mutmut", *arguments],
        cwd=folder,
        env={**os.environ, "HYPOTHESIS_PROFILE": "ci", "PYTHONPATH": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def _results(folder: Path) -> dict[str, str]:
    lines = _mutmut(folder, "results", "--all", "true").stdout.splitlines()
    pairs = (line.strip().rsplit(": ", 1) for line in lines if ": " in line)
    return dict((name, status) for name, status in pairs)


def main() -> int:
    """Measure the modules that were asked for, or all of floor 1 that has tests."""
    parser = argparse.ArgumentParser(description="Count the changes that the tests notice.")
    parser.add_argument(
        "modules", nargs="*", help="sessionbot_kit/chunker.py, or chunker for short"
    )
    parser.add_argument("--show", action="store_true", help="print the changes nobody noticed")
    asked = parser.parse_args()
    pure = lowest_floors(ROOT / "pyproject.toml", 2)
    there = sorted(name for name in pure if path_of(name).exists())
    scores = []
    for module in (path_of(name).as_posix() for name in asked.modules or there):
        if not files_of_tests(module):
            print(f"{module:<32} has no test file of its name", flush=True)
            continue
        scores.append(score := measure(module, asked.show))
        print(score, flush=True)
        print("".join(f"    {line}\n" for one in score.survivors for line in one.splitlines()))
    made, noticed = sum(one.made for one in scores), sum(one.noticed for one in scores)
    print(Score("all", made, noticed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
