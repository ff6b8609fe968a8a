"""Make the two conda environment files out of pyproject.toml.

    python -m checks.environment            # writes them
    python -m checks.environment --check    # ends with status 1 when one differs

pyproject.toml is the only place where a dependency is written. Binder reads nothing outside
`binder/`, so that a copy must stand there; it installs the package itself in `binder/postBuild`.
"""

import difflib
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet

from checks.files import ROOT

EXTRA = "notebook"
BINDER_PYTHON = "3.12"
HEAD = "# Made from pyproject.toml by `make fix`; do not edit by hand.\n"


def environment_files(pyproject: str) -> dict[str, str]:
    """Write both files, by their path."""
    project = tomllib.loads(pyproject)["project"]
    if BINDER_PYTHON not in SpecifierSet(project["requires-python"]):
        raise SystemExit(
            f"Binder is given Python {BINDER_PYTHON}, which requires-python "
            f"({project['requires-python']}) refuses; change BINDER_PYTHON in checks/environment.py"
        )
    needed = requirements(project, EXTRA)
    name = project["name"]
    return {
        "environment.yml": _file(name, f"python{project['requires-python']}", [*needed, "-e ."]),
        "binder/environment.yml": _file(name, f"python={BINDER_PYTHON}", needed),
    }


def requirements(project: dict[str, Any], extra: str) -> list[str]:
    """List what the package needs with an extra, an extra of its own resolved."""
    found: list[str] = []
    for line in [*project["dependencies"], *project["optional-dependencies"][extra]]:
        own = re.fullmatch(rf"{re.escape(project['name'])}\[([\w-]+)\]", line)
        found += requirements({**project, "dependencies": []}, own[1]) if own else [line]
    return list(dict.fromkeys(found))


def _file(name: str, python: str, needed: list[str]) -> str:
    # A requirement may hold characters that mean something in YAML; all of them are quoted.
    pip = "".join(f'      - "{line}"\n' for line in needed)
    return (
        f"{HEAD}name: {name}\nchannels:\n  - conda-forge\n"
        f'dependencies:\n  - "{python}"\n  - pip\n  - pip:\n{pip}'
    )


def main(root: Path, check: bool) -> int:
    """Write the files, or show how they differ from what they should be."""
    drifted = False
    for name, wanted in environment_files((root / "pyproject.toml").read_text("utf-8")).items():
        path = root / name
        current = path.read_text("utf-8") if path.exists() else ""
        if current == wanted:
            continue
        drifted = True
        if check:
            lines = (current.splitlines(), wanted.splitlines(), name, "from pyproject.toml")
            print("\n".join(difflib.unified_diff(*lines, lineterm="")))
        else:
            path.write_text(wanted, "utf-8")
            print(f"wrote {name}")
    if check and drifted:
        print("run `make fix` to write them again")
    return 1 if check and drifted else 0


if __name__ == "__main__":
    sys.exit(main(ROOT, "--check" in sys.argv[1:]))
