"""`sessionbot token`: who may come in, for how long, and how far.

sessionbot token new shadow --label "Ada's notebook" --days 7
sessionbot token list
sessionbot token revoke 3f9c
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import orjson
import typer

from sessionbot_kit.errors import UsageError
from sessionbot_kit.settings import Settings
from sessionbot_kit.stores import open_store
from sessionbot_kit.tables import Table
from sessionbot_kit.tokens import SCOPES, TokenInfo, Tokens

Answer = TypeVar("Answer")

app = typer.Typer(help="Make, list and revoke the tokens that open this bot.", no_args_is_help=True)

File = Annotated[
    Path | None,
    typer.Option("--file", "-f", help="The configuration; else sessionbot.yml here or in the home"),
]
Where = Annotated[
    str | None, typer.Option("--store", "-s", help="The store; else the one of the configuration")
]


def _with(
    file: Path | None, where: str | None, use: Callable[[Tokens], Awaitable[Answer]]
) -> Answer:
    async def run() -> Answer:
        async with open_store(where or Settings.load(file).store_url) as store:
            return await use(Tokens(store))

    return asyncio.run(run())


@app.command()
def new(
    scope: Annotated[str, typer.Argument(help=f"How far it opens: {', '.join(SCOPES)}")],
    label: Annotated[str, typer.Option(help="Whose it is, for the list")] = "",
    days: Annotated[float | None, typer.Option(help="How long it is good; else for ever")] = None,
    file: File = None,
    store: Where = None,
) -> None:
    """Make a token and show it, this once: only its hash is kept."""
    wanted = next((one for one in SCOPES if one == scope), None)
    if wanted is None:
        raise UsageError(f"{scope!r} is no scope of a token; choose one of {', '.join(SCOPES)}")
    typer.echo(_with(file, store, lambda tokens: tokens.issue(wanted, label, days)))


@app.command("list")
def list_tokens(
    file: File = None,
    store: Where = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs")] = False,
) -> None:
    """List the tokens that are out: never the tokens themselves."""
    found = _with(file, store, lambda tokens: tokens.list())
    if as_json:
        typer.echo(orjson.dumps(found))
        return
    table = Table(
        "Tokens",
        ("id", "scope", "label", "since", "until"),
        [_row(info) for info in found],
        note=f"{len(found)} tokens",
    )
    typer.echo(table.text(shutil.get_terminal_size().columns))


@app.command()
def revoke(
    id: Annotated[str, typer.Argument(help="Its id, or the beginning of it")],
    file: File = None,
    store: Where = None,
) -> None:
    """Close the door to a token; whoever came in with it has to leave within seconds."""
    info = _with(file, store, lambda tokens: tokens.revoke(id))
    typer.echo(f"Revoked {info.id}, {info.scope}{f', {info.label}' if info.label else ''}.")


def _row(info: TokenInfo) -> tuple[str, ...]:
    until = f"{info.expires_at:%Y-%m-%d %H:%M}" if info.expires_at else "revoked"
    return info.id, info.scope, info.label, f"{info.created_at:%Y-%m-%d %H:%M}", until
