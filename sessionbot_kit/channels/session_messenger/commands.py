"""The commands `sessionbot identity new | show | restore`, to be hung into the command line.

    app.add_typer(identity, name="identity")

They speak of the Session ID, which people need, and never show the recovery phrase: it is in a
file that only its owner may read.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from sessionbot_kit.channels.session_messenger.identity import Identity
from sessionbot_kit.channels.session_messenger.phrase_file import (
    PHRASE_FILE,
    PHRASE_VARIABLE,
    load,
    save,
)
from sessionbot_kit.errors import SettingsError
from sessionbot_kit.settings import Settings

identity = typer.Typer(
    help="The bot's own account on the Session network.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Folder = Annotated[
    Path | None,
    typer.Option("--folder", help="Where the phrase is kept; else the home of sessionbot.yml"),
]


@identity.command()
def new(folder: Folder = None) -> None:
    """Make an account and keep its recovery phrase."""
    path = _path(folder)
    made = Identity.new()
    save(made, path)
    typer.echo(made.session_id)
    _say_where(path)


@identity.command()
def show(folder: Folder = None) -> None:
    """Say the Session ID, which people write to."""
    if phrase := os.environ.get(PHRASE_VARIABLE):
        typer.echo(Identity.from_phrase(phrase).session_id)
        return
    path = _path(folder)
    try:
        typer.echo(load(path).session_id)
    except FileNotFoundError:
        raise SettingsError(
            f"there is no identity in {path.parent}; make one: sessionbot identity new"
        ) from None


@identity.command()
def restore(folder: Folder = None) -> None:
    """Keep the recovery phrase of an account that exists; it is asked for, or read from a pipe."""
    path = _path(folder)
    if sys.stdin.isatty():
        phrase = typer.prompt("The 13 words (they are not shown)", hide_input=True)
    else:
        phrase = sys.stdin.read(4_096)
    restored = Identity.from_phrase(phrase)
    save(restored, path)
    typer.echo(restored.session_id)
    _say_where(path)


def _path(folder: Path | None) -> Path:
    return (folder if folder is not None else Settings.load().home) / PHRASE_FILE


def _say_where(path: Path) -> None:
    typer.echo(
        f"The recovery phrase is in {path}. Copy that file to a safe place: "
        "whoever has it is this bot, and without it nobody is.",
        err=True,
    )
