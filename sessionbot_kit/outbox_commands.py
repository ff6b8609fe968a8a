"""The commands `sessionbot outbox`, for `cli.py` to mount: what could not be sent, and its fate.

    sessionbot outbox list                 # what waits, and what was given up, and why
    sessionbot outbox retry ID             # or --all: as if it had never been tried
    sessionbot outbox drop ID              # or --all: it is never sent

They work beside a running bot: it takes up within half a minute what is to be tried again.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import orjson
import typer

from sessionbot_kit.errors import UsageError
from sessionbot_kit.settings import Settings
from sessionbot_kit.store import OutboxRow, Store
from sessionbot_kit.stores import open_store
from sessionbot_kit.tables import Table

Answer = TypeVar("Answer")

MOST = 10_000

app = typer.Typer(help="Look at what could not be sent; try it again, or drop it.")

Where = Annotated[
    str | None, typer.Option("--store", "-s", help="The store; else the one of the configuration")
]
Named = Annotated[str | None, typer.Argument(metavar="[ID]", help="As the list names it")]
All = Annotated[bool, typer.Option("--all", help="Every dead letter")]


@app.command("list")
def list_outbox(
    store: Where = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs")] = False,
) -> None:
    """List replies that wait for their channel, and those that were given up."""

    async def use(store: Store) -> list[tuple[str, OutboxRow]]:
        waiting = [("waiting", row) for row in await store.unsent()]
        return waiting + [("dead", row) for row in await store.dead_letters(limit=MOST)]

    found = _with(store, use)
    if as_json:
        typer.echo(orjson.dumps([_row(state, row) for state, row in found]))
        return
    table = Table(
        "Outbox",
        ("id", "state", "to", "tries", "why"),
        [(row.id, state, _address(row), row.attempts, row.error or "") for state, row in found],
        note=f"{len(found)} replies",
    )
    typer.echo(table.text(shutil.get_terminal_size().columns))


@app.command()
def retry(id: Named = None, everything: All = False, store: Where = None) -> None:
    """Send a dead letter once more, as if it had never been tried."""
    ids = _each(id, everything, store, lambda store, id: store.retry(id))
    typer.echo(f"{_count(ids)} to be sent again; a running bot takes up what it finds here.")


@app.command()
def drop(id: Named = None, everything: All = False, store: Where = None) -> None:
    """Forget a dead letter; it is never sent."""
    ids = _each(id, everything, store, lambda store, id: store.drop(id))
    typer.echo(f"{_count(ids)} dropped.")


def _each(
    id: str | None,
    everything: bool,
    where: str | None,
    do: Callable[[Store, str], Awaitable[None]],
) -> list[str]:
    if (id is None) != everything:
        raise UsageError("name one reply, or all of them; see sessionbot outbox list")

    async def use(store: Store) -> list[str]:
        dead = [row.id for row in await store.dead_letters(limit=MOST)] if everything else [str(id)]
        for one in dead:
            await do(store, one)
        return dead

    return _with(where, use)


def _with(where: str | None, use: Callable[[Store], Awaitable[Answer]]) -> Answer:
    async def run() -> Answer:
        async with open_store(where or Settings.load().store_url) as store:
            return await use(store)

    return asyncio.run(run())


def _address(row: OutboxRow) -> str:
    return f"{row.message.channel_type}/{row.message.channel_id}"


def _row(state: str, row: OutboxRow) -> dict[str, object]:
    # Not its words: a list is looked at by more people than a chat.
    return {
        "id": row.id,
        "state": state,
        "channel": row.message.channel_type,
        "chat": row.message.channel_id,
        "tries": row.attempts,
        "error": row.error,
    }


def _count(ids: list[str]) -> str:
    return "1 reply" if len(ids) == 1 else f"{len(ids):,} replies"
