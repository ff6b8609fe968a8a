"""Where the parts of a promoted plugin go in somebody's project.

    place = Place.of("plugins", "greet", Path.cwd())
    place.module        # plugins/greet.py
    place.test          # tests/test_greet.py
    place.recording     # tests/recordings/greet.jsonl
    place.package       # the dotted name of the module, when it is part of a package

A project is the nearest folder upwards with a pyproject.toml or a .git, or else the one we are in.
The one rule to remember: nothing outside the project is written.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sessionbot_kit.errors import UsageError

FOLDER = "plugins"


@dataclass(frozen=True, slots=True)
class Place:
    """The files of one plugin."""

    root: Path
    module: Path

    @classmethod
    def of(cls, to: str | Path | None, id: str, here: Path) -> "Place":
        """The place of a plugin; `to` is a folder or a file, and by default `plugins`."""
        root = root_of(here)
        target = here / (root / FOLDER if to is None else Path(to))
        if target.suffix != ".py":
            target /= (
                f"{re.sub(r'[^0-9A-Za-z_]', lambda c: c[0] if c[0].isalnum() else '_', id)}.py"
            )
        target = Path(os.path.abspath(target))
        if not target.resolve().is_relative_to(root.resolve()):
            raise UsageError(
                f"{target} is outside the project {root}; give a path inside it, or change into "
                "the other project"
            )
        return cls(root, target)

    @property
    def name(self) -> str:
        return self.module.stem

    @property
    def test(self) -> Path:
        return self.root / "tests" / f"test_{self.name}.py"

    @property
    def recording(self) -> Path:
        return self.root / "tests" / "recordings" / f"{self.name}.jsonl"

    @property
    def package(self) -> str | None:
        """The dotted name by which the module is imported when the project is installed."""
        parts, folder = [self.name], self.module.parent
        while (folder / "__init__.py").is_file() and folder != self.root:
            parts.insert(0, folder.name)
            folder = folder.parent
        return ".".join(parts) if len(parts) > 1 else None

    @property
    def import_root(self) -> Path | None:
        """The folder in which the package is found."""
        if self.package is None:
            return None
        return self.module.parents[self.package.count(".")]

    def shown(self, path: Path) -> str:
        """A path as it reads from the project."""
        return path.relative_to(self.root).as_posix()

    def write(self, files: Mapping[Path, bytes]) -> None:
        """Write all of them or none: each beside its place, and then all renamed."""
        drafts: dict[Path, Path] = {}
        try:
            for path, data in files.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                if path.exists() and not path.stat().st_mode & 0o222:
                    raise UsageError(f"{path} is read-only; make it writable, or choose another")
                drafts[path] = path.with_name(f".{path.name}.new")
                drafts[path].write_bytes(data)
            for path, draft in drafts.items():
                draft.replace(path)
        except OSError as error:
            raise UsageError(
                f"{error.filename} cannot be written: {error.strerror}; choose another place"
            ) from error
        finally:
            for draft in drafts.values():
                draft.unlink(missing_ok=True)


def root_of(here: Path) -> Path:
    """The project that a folder is in."""
    for folder in (here, *here.parents):
        if (folder / "pyproject.toml").is_file() or (folder / ".git").exists():
            return folder
    return here
