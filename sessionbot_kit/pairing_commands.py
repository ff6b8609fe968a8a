"""The commands `sessionbot pairing`, for `cli.py` to mount: strangers, and who lets them in.

    sessionbot pairing list
    sessionbot pairing approve K7M2-9QTX      # or reject
    sessionbot pairing revoke telegram/7      # a stranger again

A running bot knows at the person's next message.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from sessionbot_kit.pairing import Pair, Pairing
from sessionbot_kit.settings import Settings
from sessionbot_kit.stores import open_store
from sessionbot_kit.tables import Table

Answer = TypeVar("Answer")

app = typer.Typer(help="Say who may talk to the bot, where strangers must ask.")

Where = Annotated[
    str | None, typer.Option("--store", "-s", help="The store; else the one of the configuration")
]
OfBot = Annotated[str, typer.Option("--bot", help="The name of the bot")]
Code = Annotated[str, typer.Argument(help="What the stranger was told")]


@app.command("list")
def list_pairs(store: Where = None, bot: OfBot = "bot") -> None:
    """List strangers who wait, and what was decided about others."""
    pairs = _with(store, bot, Pairing.list)
    rows = [(pair.code, pair.state, pair.key, pair.name, pair.since[:16]) for pair in pairs]
    table = Table("Pairing", ("code", "state", "who", "name", "since"), rows)
    typer.echo(table.text(shutil.get_terminal_size().columns))


@app.command()
def approve(code: Code, store: Where = None, bot: OfBot = "bot") -> None:
    """Let a person talk to the bot."""
    _tell(_with(store, bot, lambda pairing: pairing.approve(code)), "may talk to the bot now")


@app.command()
def reject(code: Code, store: Where = None, bot: OfBot = "bot") -> None:
    """Never answer a person; nothing is said about it."""
    _tell(_with(store, bot, lambda pairing: pairing.reject(code)), "is not answered any more")


@app.command()
def revoke(
    who: Annotated[str, typer.Argument(help="A code, or channel/user")],
    store: Where = None,
    bot: OfBot = "bot",
) -> None:
    """Make a stranger of somebody again."""
    _tell(_with(store, bot, lambda pairing: pairing.revoke(who)), "is a stranger again")


def _with(where: str | None, bot: str, use: Callable[[Pairing], Awaitable[Answer]]) -> Answer:
    async def run() -> Answer:
        async with open_store(where or Settings.load().store_url) as store:
            return await use(Pairing(store, bot))

    return asyncio.run(run())


def _tell(pair: Pair, what: str) -> None:
    typer.echo(f"{pair.name} ({pair.key}) {what}.")
