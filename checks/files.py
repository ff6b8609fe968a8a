"""Which files belong to the project: those that git knows or would add.

for path in project_files(ROOT, ".md", ".py"): ...
"""

import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
NOT_OURS = {"build", "dist", "mutants", "node_modules"}


def project_files(root: Path, *suffixes: str) -> list[Path]:
    """List the files of the project with one of these suffixes, sorted."""
    asked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=False,
    )
    # An unpacked source archive has no git; there, whatever is not hidden is ours.
    names: Iterable[Path]
    if asked.returncode == 0 and (root / ".git").exists():
        names = (root / os.fsdecode(name) for name in asked.stdout.split(b"\0") if name)
    else:
        names = _walk(root)
    return sorted(path for path in names if path.suffix in suffixes and path.is_file())


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name[0] != "." and name not in NOT_OURS]
        yield from (Path(folder, name) for name in files)
