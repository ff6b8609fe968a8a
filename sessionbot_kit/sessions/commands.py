"""The commands `sessionbot sessions ...`, for `cli.py` to mount.

    sessionbot sessions list --user ada
    sessionbot sessions show 7
    sessionbot sessions export telegram/c1/u1 --form md --out talk.md

They read and write the same store as a running bot. A session is named by its number, its id, or
`interface/chat/user`, with `bot:` before it where a bot has a name.
"""

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from sessionbot_kit.errors import SessionUnknown, UsageError
from sessionbot_kit.sessions.conversation import reference
from sessionbot_kit.sessions.manager import SessionManager
from sessionbot_kit.sessions.policy import SessionPolicy
from sessionbot_kit.sessions.transcript import FORMATS
from sessionbot_kit.settings import Settings
from sessionbot_kit.store import State
from sessionbot_kit.stores import is_there, open_store
from sessionbot_kit.tables import Card

Answer = TypeVar("Answer")

app = typer.Typer(help="Look at conversations, export them, merge them, clean up.")

Where = Annotated[
    str | None, typer.Option("--store", "-s", help="The store; else the one of the configuration")
]
Named = Annotated[str, typer.Argument(metavar="SESSION", help="Number, id or interface/chat/user")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for programs")]


def _with(
    where: str | None,
    use: Callable[[SessionManager], Awaitable[Answer]],
    *,
    makes: bool = False,
) -> Answer:
    settings = Settings.load()
    place = where or settings.store_url

    async def run() -> Answer:
        if not makes and not await asyncio.to_thread(is_there, place):
            raise UsageError(
                f"there is no store at {place}; start a bot that keeps its conversations there, "
                "or name another with --store"
            )
        async with open_store(place) as store:
            return await use(SessionManager(store, SessionPolicy.of(settings.sessions.given())))

    return asyncio.run(run())


def _width() -> int:
    return shutil.get_terminal_size().columns


@app.command("list")
def list_sessions(
    store: Where = None,
    bot: Annotated[str | None, typer.Option(help="Only of this bot")] = None,
    channel: Annotated[str | None, typer.Option(help="Only on this channel")] = None,
    user: Annotated[str | None, typer.Option(help="Only with this user")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many")] = 100,
    ended: Annotated[bool, typer.Option(help="Also those that have ended")] = False,
    as_json: AsJson = False,
) -> None:
    """List conversations, the newest first."""
    states: tuple[State, ...] | None = None if ended else ("new", "active", "idle")

    async def use(sessions: SessionManager) -> str:
        found = await sessions.list(
            bot=bot, interface=channel, user=user, states=states, limit=limit
        )
        if as_json:
            return json.dumps([session.model_dump(mode="json") for session in found])
        return found.table().text(_width())

    typer.echo(_with(store, use))


@app.command()
def show(session: Named, store: Where = None) -> None:
    """Show one conversation: what is known of it, and its newest lines."""

    async def use(sessions: SessionManager) -> str:
        found = await sessions.get_session(reference(session))
        if found is None:
            raise SessionUnknown(f"there is no session {session}; see sessionbot sessions list")
        return f"{found.card().text(_width())}\n\n{found.table().text(_width())}"

    typer.echo(_with(store, use))


@app.command()
def export(
    session: Named,
    form: Annotated[str, typer.Option(help=f"One of {', '.join(FORMATS)}")] = "txt",
    out: Annotated[Path | None, typer.Option(help="A file; else the terminal")] = None,
    store: Where = None,
) -> None:
    """Write a whole conversation down."""
    if out is not None and out.exists():
        raise UsageError(f"{out} exists already; choose another name, or remove it first")

    async def use(sessions: SessionManager) -> str:
        return await sessions.export(reference(session), form)  # type: ignore[arg-type]  # it refuses others

    text = _with(store, use)
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, "utf-8")
        typer.echo(f"{out}: {len(text):,} characters")


@app.command("import")
def import_session(
    file: Annotated[Path, typer.Argument(help="What was exported as json or jsonl")],
    key: Annotated[str | None, typer.Option(help="Another interface/chat/user")] = None,
    store: Where = None,
) -> None:
    """Bring back a conversation that was exported."""
    named = None if key is None else reference(key)
    if named is not None and not isinstance(named, tuple):
        raise UsageError(f"{key!r} is no key; write interface/chat/user")

    async def use(sessions: SessionManager) -> str:
        made = await sessions.import_session(file.read_text("utf-8"), key=named)
        return f"session {made.seq}: {made.message_count} messages"

    typer.echo(_with(store, use, makes=True))


@app.command()
def merge(
    anonymous: Annotated[str, typer.Argument(help="The session that becomes part of the other")],
    user: Annotated[str, typer.Argument(help="The session that stays")],
    store: Where = None,
) -> None:
    """Make one conversation of two."""

    async def use(sessions: SessionManager) -> str:
        report = await sessions.merge(reference(anonymous), reference(user))
        return Card(
            f"Session {anonymous} is part of session {user}",
            {
                "messages": report.messages,
                "variables": ", ".join(report.variables),
                "stayed as they were": ", ".join(report.conflicts),
                "memories": report.memories,
            },
        ).text(_width())

    typer.echo(_with(store, use))


@app.command()
def cleanup(store: Where = None) -> None:
    """Mark idle conversations, end expired ones, remove those that ended long ago."""

    async def use(sessions: SessionManager) -> str:
        done = await sessions.cleanup()
        return (
            f"{done.inactive} idle, {done.expired} expired, {done.removed} removed, "
            f"{done.messages} old messages gone"
        )

    typer.echo(_with(store, use))


@app.command()
def stats(store: Where = None, as_json: AsJson = False) -> None:
    """Say how much there is."""

    async def use(sessions: SessionManager) -> str:
        found = await sessions.get_stats()
        del found["cacheSize"], found["cacheHitRate"]  # of this short process: they say nothing
        if as_json:
            return json.dumps(found)
        by_interface = found.pop("sessions_by_interface")
        found["channels"] = ", ".join(f"{name} {count}" for name, count in by_interface.items())
        facts = {name.replace("_", " "): value for name, value in found.items()}
        return Card("Sessions", facts).text(_width())

    typer.echo(_with(store, use))
