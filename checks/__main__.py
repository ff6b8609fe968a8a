"""Run every check, say how each went, and end with status 1 when one failed.

    python -m checks                # all of them
    python -m checks floors links   # these

A check is a command that prints what is wrong and ends with a status other than 0. All of them
run, whatever the first one says, so that one look shows everything there is to mend.
"""

import subprocess
import sys
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).parents[1]
PYTHON = sys.executable
LINT_IMPORTS = str(Path(PYTHON).with_name("lint-imports"))

CHECKS: dict[str, list[str]] = {
    "lint": [PYTHON, "-m", "ruff", "check", "--quiet", "."],
    "format": [PYTHON, "-m", "ruff", "format", "--check", "--quiet", "."],
    "types": [PYTHON, "-m", "mypy", "--no-error-summary"],
    "floors": [LINT_IMPORTS, "--no-logo"],
    "environment": [PYTHON, "-m", "checks.environment", "--check"],
    "links": [PYTHON, "-m", "checks.links"],
    "tasks": [PYTHON, "-m", "checks.tasks"],
    "words": [PYTHON, "-m", "checks.words"],
}


def run(name: str) -> bool:
    """Run one check and print how it went."""
    start = perf_counter()
    done = subprocess.run(
        CHECKS[name],
        cwd=ROOT,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    good = done.returncode == 0
    print(f"{'ok  ' if good else 'FAIL'}  {name:<12} {perf_counter() - start:5.1f} s", flush=True)
    if not good:
        said = (done.stdout + done.stderr).strip() or "it said nothing"
        print("\n".join(f"      {line}" for line in said.splitlines()), flush=True)
    return good


def main(names: list[str]) -> int:
    """Run the named checks, or all."""
    unknown = [name for name in names if name not in CHECKS]
    if unknown:
        print(f"there is no check called {', '.join(unknown)}; there are {', '.join(CHECKS)}")
        return 2
    failed = [name for name in names or CHECKS if not run(name)]
    if failed:
        print(
            f"\n{len(failed)} failed: {', '.join(failed)}. `make fix` mends format and environment."
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
