"""The command `sessionbot plugins`, for `cli.py` to mount: what is there, and what is left out.

    sessionbot plugins                 # each plugin: version, prefixes, origin, why it was skipped
    sessionbot plugins list --json     # the same, for programs

Listing runs the plugins' modules, as starting a bot does; it starts none of them.
"""

import shutil
from pathlib import Path
from typing import Annotated

import orjson
import typer

from sessionbot_kit.catalog import Find
from sessionbot_kit.edition import release
from sessionbot_kit.library import Library
from sessionbot_kit.settings import Settings
from sessionbot_kit.tables import Table

app = typer.Typer(help="Look at plugins: where they come from, and why one is left out.")

File = Annotated[
    Path | None,
    typer.Option("--file", "-f", help="The configuration; else sessionbot.yml here or in the home"),
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for programs")]


@app.callback(invoke_without_command=True)
def plugins(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_plugins()


@app.command("list")
def list_plugins(file: File = None, as_json: AsJson = False) -> None:
    """List every plugin that is found, and why one is skipped."""
    finds = Library.from_section(Settings.load(file).plugins).find()
    for find in finds:
        if find.plugin is not None:
            release(find.plugin)  # it was only looked at
    if as_json:
        typer.echo(orjson.dumps([_row(find) for find in finds]))
        return
    runs = [find for find in finds if not find.skipped]
    table = Table(
        "Plugins",
        ("plugin", "version", "answers to", "from"),
        [(find.id, find.version, _reach(find), find.origin) for find in runs],
        note=f"{len(runs)} of {len(finds)} would run",
    )
    typer.echo(table.text(shutil.get_terminal_size().columns))
    for find in finds:
        if find.skipped:
            # In full, and not in a cell: a reason that is cut says nothing.
            name = f"{find.id} from {find.origin}" if find.id else find.origin
            typer.echo(f"skipped {name}: {find.skipped}")


def _reach(find: Find) -> str:
    if find.plugin is None or "chat.message" not in find.plugin.meta.implements:
        return ""
    everything = "anything else" if getattr(find.plugin, "default", False) else ""
    return " ".join((*getattr(find.plugin, "prefixes", ()), everything)).strip()


def _row(find: Find) -> dict[str, object]:
    return {
        "plugin": find.id,
        "version": find.version,
        "prefixes": list(getattr(find.plugin, "prefixes", ())),
        "origin": find.origin,
        "skipped": find.skipped,
    }
