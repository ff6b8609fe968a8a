"""The command `sessionbot`: the door for people at a terminal.

    sessionbot demo                    # a bot at work, in a second
    sessionbot lab                     # the notebooks, in JupyterLab
    sessionbot chat                    # talk to the bot of this folder
    sessionbot config show             # all that can be set, and who set it

Commands are thin: they read settings, call one room, and print. The one rule to remember: **what
goes wrong is one sentence** on standard error, with exit status 2 when the call or a setting was
wrong and 1 for everything else; `--debug` shows the traceback.
"""

import asyncio
import io
import os
import platform
import sqlite3
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.text import Text

from sessionbot_kit import __version__, lab, logs
from sessionbot_kit.chat_commands import chat, say
from sessionbot_kit.demo import Demo
from sessionbot_kit.doctor import examine
from sessionbot_kit.errors import KitError, UsageError
from sessionbot_kit.frame_schema import schema_files
from sessionbot_kit.gateway_commands import gateway, wire
from sessionbot_kit.knowledge.commands import app as knowledge
from sessionbot_kit.new_commands import app as new
from sessionbot_kit.outbox_commands import app as outbox
from sessionbot_kit.pairing_commands import app as pairing
from sessionbot_kit.plugins_commands import app as plugins
from sessionbot_kit.recording_commands import replay
from sessionbot_kit.selftest import selftest as check_all
from sessionbot_kit.sessions.commands import app as sessions
from sessionbot_kit.settings import Settings
from sessionbot_kit.token_commands import app as token
from sessionbot_kit.web_commands import bench, put_back, run, save

BEGIN = "Begin with [bold]sessionbot demo[/]; then [bold]sessionbot lab[/] opens the notebooks."

app = typer.Typer(
    help="Chat bots from notebook cells: a gateway, durable sessions and live plugins.",
    epilog=BEGIN,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
config = typer.Typer(help="Look at the settings.")
app.add_typer(config, name="config")
app.add_typer(sessions, name="sessions")
app.add_typer(plugins, name="plugins")
app.add_typer(new, name="new")
app.add_typer(knowledge, name="kb")
app.add_typer(gateway, name="gateway")
app.add_typer(outbox, name="outbox")
app.add_typer(token, name="token")
app.add_typer(pairing, name="pairing")
app.command()(say)
app.command()(chat)
app.add_typer(wire, name="wire")
app.command()(run)
app.command("backup")(save)
app.command("restore")(put_back)
app.command()(bench)
app.command()(replay)

File = Annotated[
    Path | None,
    typer.Option("--file", "-f", help="The configuration; else sessionbot.yml here or in the home"),
]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a bar that cannot be drawn is no failure
    try:
        status = app(
            [argument for argument in arguments if argument != "--debug"],
            prog_name="sessionbot",
            standalone_mode=False,
        )
        sys.stdout.flush()
    except BrokenPipeError:
        # `sessionbot ... | head` has read enough; Python must not complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if debug:
            traceback.print_exception(error)
        return _complain(error)
    return status if isinstance(status, int) else 0


def _complain(error: Exception) -> int:
    match error:
        case typer.TyperException():
            sentence, status = f"{error.format_message().rstrip('.')}; see sessionbot --help", 2
        case UsageError():
            sentence, status = str(error), 2
        case KitError():
            sentence, status = str(error), 1
        case typer.Abort():
            sentence, status = "stopped", 1
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            sentence, status = f"{where}{error.strerror or error}; check the path and its rights", 1
        case _:
            sentence = (
                f"an error of ours, {type(error).__name__}: {error}; "
                "call it again with --debug and report what it shows"
            )
            status = 1
    typer.echo(f"sessionbot: {' '.join(sentence.split())}", err=True)
    return status


def _versions() -> str:
    return f"sessionbot_kit {__version__}, Python {platform.python_version()}, SQLite " + (
        sqlite3.sqlite_version
    )


def _answer_version(wanted: bool) -> None:
    if wanted:
        typer.echo(_versions())
        raise typer.Exit


@app.callback(invoke_without_command=True)
def sessionbot(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_answer_version, is_eager=True, help="Say it")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error")] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def demo() -> int:
    """Hold a short conversation with a bot, and show each message's way through the house."""
    logs.configure("WARNING")
    console = _console()
    pace_s = 0.7 if console.is_terminal else 0.0
    return 0 if asyncio.run(Demo(console, pace_s=pace_s).run()) else 1


@app.command("lab", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def open_lab(
    context: typer.Context,
    folder: Annotated[Path, typer.Option(help="Where to lay the notebooks")] = Path(lab.FOLDER),
    here: Annotated[
        bool, typer.Option("--here", help="Open ./notebooks as they are, and lay none")
    ] = False,
) -> None:
    """Lay the notebooks into a folder and open JupyterLab there; it gets all other options."""
    if here:
        folder, notebook = Path(), lab.first_notebook(Path("notebooks"))
    else:
        laid = lab.lay(lab.shipped(), folder)
        notebook = lab.first_notebook(folder).relative_to(folder)
        typer.echo(f"{folder}: {len(laid.written)} new files from sessionbot_kit {__version__}")
        for name in laid.kept:
            typer.echo(f"{folder}/{name} has changes of yours and stays as it is")
    arguments, environment = lab.command(notebook, context.args)
    if "--no-browser" in arguments:
        typer.echo("Open the address below in a browser; Ctrl-C stops it.")
    sys.stdout.flush()
    os.chdir(folder)
    os.execve(sys.executable, arguments, environment)


@app.command()
def doctor(
    file: File = None,
    token: Annotated[
        str, typer.Option(help="A session's token: what it opens, or why it does not")
    ] = "",
    selftest: Annotated[
        bool, typer.Option("--selftest", help="Run a whole bot here, and talk to it")
    ] = False,
) -> int:
    """Look at what a bot needs here, and say what to do about what is missing."""

    async def look() -> int:
        status = 0
        findings = check_all() if selftest else examine(Settings.load(file), token)
        async for finding in findings:
            sign, color = ("ok", "green") if finding.fine else ("no", "red")
            if not finding.fine and not finding.needed:
                sign, color = "--", "yellow"
            status |= finding.needed and not finding.fine
            line = Text.assemble((f"{sign} ", color), (f"{finding.what:<11}", "bold"), finding.says)
            _console().print(line, soft_wrap=True)
        return status

    return asyncio.run(look())


@app.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],
    }
)
def identity(context: typer.Context) -> None:
    """Make, show or restore the bot's own account on the Session network."""
    try:
        # Here, because its cryptography is an extra that most bots do without.
        from sessionbot_kit.channels.session_messenger.commands import identity as commands
    except ModuleNotFoundError as missing:
        raise UsageError(
            f"the Session messenger needs {missing.name}; "
            'install it: pip install "sessionbot-kit[session]"'
        ) from missing
    commands(context.args, prog_name="sessionbot identity", standalone_mode=False)


@app.command()
def schema(
    folder: Annotated[Path, typer.Option(help="Where to write them")] = Path("schema"),
) -> None:
    """Write what travels over a link as JSON Schemas and as TypeScript types."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in schema_files().items():
        (folder / name).write_text(text, "utf-8")
        typer.echo(str(folder / name))


@app.command()
def version() -> None:
    """Say which versions are at work."""
    typer.echo(_versions())


@config.command()
def show(
    file: File = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs")] = False,
) -> None:
    """List every setting, its value and who set it; secrets are masked."""
    settings = Settings.load(file)
    if as_json:
        typer.echo(orjson.dumps([row._asdict() for row in settings.rows()]))
        return
    console = _console()
    for name, value, source, description in settings.rows():
        head = Text.assemble((name, "bold"), " = ", (value, "cyan"))
        if source != "default":
            head.append(f"  ({source})", "green")
        console.print(head, soft_wrap=True)
        console.print(Text(f"    {description}", "dim"), soft_wrap=True)
    console.print(f"\nFile: {settings.file_name or 'none'}", soft_wrap=True)


@config.command()
def check(file: File = None) -> None:
    """Say whether the settings can be read, and where they come from."""
    settings = Settings.load(file)
    given = [row for row in settings.rows() if row.source != "default"]
    typer.echo(
        f"{settings.file_name or 'No file'}: the settings are fine; {len(given)} are set, "
        "the others are defaults."
    )


def _console() -> Console:
    return Console(highlight=False)
