"""The toolkits that we compare with, in virtual environments of their own.

    python = peers_python()            # makes .venv-bench the first time: a minute, and 400 MB
    python = peers_python(MEMORIES)    # .venv-bench-memories, for those that keep conversations

Our package is installed beside them, so that all cases of a table share an interpreter and the
versions of what they have in common.
"""

import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
BOTS = ("nonebot2", "aiogram", "chainlit", "langgraph", "langgraph-checkpoint-sqlite")
# Apart from the bots, since these want an older websockets.
MEMORIES = (
    "openai-agents",
    "google-adk",
    "langgraph",
    "langgraph-checkpoint-sqlite",
    "langchain-community",
)
FOLDERS: dict[tuple[str, ...], Path] = {
    BOTS: ROOT / ".venv-bench",
    MEMORIES: ROOT / ".venv-bench-memories",
}
VERSIONS = (
    "from importlib.metadata import version; print(', '.join(f'{n} {version(n)}' for n in %r))"
)


def peers_python(peers: tuple[str, ...] = BOTS) -> str:
    """Return the Python that can import all peers."""
    folder = FOLDERS[peers]
    python = folder / "bin" / "python"
    ready = folder / "ready"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = repr((peers, project["dependencies"]))
    if not ready.exists() or ready.read_text("utf-8") != wanted:
        print(f"Installing {', '.join(peers)} into {folder.name}", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run([*pip, "-e", str(ROOT), *peers], check=False)
        if done.returncode:
            sys.exit("installing the peers failed; check the network and run `make bench` again")
        ready.write_text(wanted, "utf-8")
    return str(python)


def peers_versions() -> str:
    """Name the peers with their versions."""
    names = (*BOTS, "pydantic", "websockets", "httpx")
    command = [peers_python(), "-c", VERSIONS % (names,)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
