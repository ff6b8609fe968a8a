"""JupyterLab on the notebooks that come with the toolkit.

    laid = lay(shipped(), Path("sessionbot-notebooks"))
    laid.kept                                   # files that you have changed: they stay yours
    os.execve(sys.executable, *command(folder, first_notebook(folder)))

A folder is yours once it is laid. A newer version of the toolkit brings newer notebooks, and for
that each file is remembered as it was laid. The one rule to remember: **what differs from what was
laid is never written over**.
"""

import importlib.util
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from sessionbot_kit.errors import UsageError

FOLDER = "sessionbot-notebooks"
MEMORY = ".laid.json"
PACKAGE = Path(__file__).parent
QUIET = (
    "--ServerApp.log_level=WARN",
    "--LabApp.log_level=WARN",
    "--LabApp.news_url=",
    "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
)


@dataclass(frozen=True, slots=True)
class Laid:
    """What became of each notebook."""

    written: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()  # changed by their owner, and different from ours


def shipped() -> Path:
    """The notebooks of this version: inside the package, or beside it in a repository."""
    for folder in (PACKAGE / "notebooks", PACKAGE.parent / "notebooks"):
        if _notebooks(folder):
            return folder
    raise UsageError(
        "the notebooks are not in this installation; install it again with "
        'pip install --force-reinstall "sessionbot-kit[notebook]"'
    )


def lay(source: Path, folder: Path) -> Laid:
    """Copy the notebooks into a folder, past everything that its owner has changed."""
    laid = _remembered(folder)
    written, kept = [], []
    for path in _notebooks(source):
        name = path.relative_to(source).as_posix()
        ours, target = path.read_bytes(), folder / name
        theirs = target.read_bytes() if target.exists() else None
        if theirs is not None and theirs != ours and laid.get(name) != _print_of(theirs):
            kept.append(name)
            continue
        if theirs != ours:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(ours)
            written.append(name)
        laid[name] = _print_of(ours)
    (folder / MEMORY).write_text(json.dumps(laid, indent=1, sort_keys=True) + "\n")
    return Laid(tuple(written), tuple(kept))


def first_notebook(folder: Path) -> Path:
    """The notebook to begin with."""
    notebooks = sorted(folder.glob("*.ipynb"))
    if not notebooks:
        raise UsageError(f"there are no notebooks in {folder}; leave out --here to get some")
    return notebooks[0]


def command(notebook: Path, more: Sequence[str] = ()) -> tuple[list[str], dict[str, str]]:
    """What to execute, and in which environment, to open JupyterLab on a notebook."""
    for module in ("jupyterlab", "ipykernel"):
        if importlib.util.find_spec(module) is None:
            raise UsageError(
                f'{module} is not installed; install it with pip install "sessionbot-kit[notebook]"'
            )
    arguments = [sys.executable, "-m", "jupyterlab", *QUIET]
    if os.geteuid() == 0:
        # Refused by default, for good reason; but in a container there is nobody else.
        arguments.append("--allow-root")
    if not has_display(os.environ):
        arguments.append("--no-browser")
    # Defaults of ours lie under the user's own settings: no question about news.
    paths = [str(PACKAGE), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    environment = {**os.environ, "JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, paths))}
    # Not as an argument: the address that is printed would then lead to an empty window.
    arguments.append(f"--LabApp.default_url=/lab/tree/{quote(notebook.as_posix())}")
    return [*arguments, *more], environment


def has_display(environ: Mapping[str, str]) -> bool:
    """Whether a browser could open here."""
    return sys.platform == "darwin" or any(
        environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )


def _notebooks(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.parts[-2:])
    )


def _remembered(folder: Path) -> dict[str, str]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        memory = json.loads((folder / MEMORY).read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        return {}  # an unreadable memory only means that more files are kept
    return {str(name): str(value) for name, value in memory.items()}


def _print_of(data: bytes) -> str:
    return sha256(data).hexdigest()
