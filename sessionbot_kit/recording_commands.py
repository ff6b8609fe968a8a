"""The command `sessionbot replay`, for `cli.py` to mount.

    sessionbot replay pizza.jsonl plugins/pizza.py      # a file, a directory
    sessionbot replay pizza.jsonl pizza_bot:pizza       # or what is installed

The plugin plays in a fresh interpreter. The exit status is 0 when every turn came out as it was,
and 1 when one did not.
"""

import asyncio
import shutil
from pathlib import Path
from typing import Annotated

import typer

from sessionbot_kit.errors import UsageError
from sessionbot_kit.proof import play_fresh
from sessionbot_kit.recording import Recording


def replay(
    file: Annotated[Path, typer.Argument(help="A recording, as `recording.save()` wrote it")],
    plugin: Annotated[str, typer.Argument(help="A file, a directory, or module:name")],
) -> None:
    """Play a recorded conversation with a plugin, and show where it comes out differently."""
    if not file.is_file():
        raise UsageError(f"there is no recording {file}; write one with recording.save()")
    path = Path(plugin)
    found = asyncio.run(play_fresh(path if path.exists() else plugin, [Recording.load(file)]))
    typer.echo(found[0].table().text(shutil.get_terminal_size().columns))
    if not found[0].same:
        raise typer.Exit(1)
