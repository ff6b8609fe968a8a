"""`sessionbot run`: a bot that runs unattended, with its page and its API.

    sessionbot run                             # http://127.0.0.1:8080, as sessionbot.yml wants it
    sessionbot run --bot support=support.yml   # one more bot, at /support
    sessionbot run --dev                       # the session API without a token, on loopback alone

Standard output has one JSON line a turn, standard error the log. SIGTERM and Ctrl-C let running
turns end; a second one ends at once. The exit status is 0 after that, 2 when a setting is wrong,
and 1 for everything else. The one rule to remember: whatever was acknowledged is on the disk.
"""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from sessionbot_kit import logs
from sessionbot_kit.backup import backup, restore
from sessionbot_kit.bot import Bot
from sessionbot_kit.channels.web import WebChannel
from sessionbot_kit.crew import Crew
from sessionbot_kit.errors import UsageError
from sessionbot_kit.events import Failed, Said
from sessionbot_kit.gateway_commands import configured_channels, until_stopped
from sessionbot_kit.library import Library
from sessionbot_kit.links.websocket.upgrade import is_loopback
from sessionbot_kit.load import load
from sessionbot_kit.secrecy import Redactor
from sessionbot_kit.settings import Settings

File = Annotated[
    Path | None,
    typer.Option("--file", "-f", help="The configuration; else sessionbot.yml here or in the home"),
]


def run(
    file: File = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one")] = None,
    listen: Annotated[
        int | None, typer.Option(help="Port for plugin kernels that call, as in gateway.port")
    ] = None,
    bot: Annotated[
        list[str] | None, typer.Option("--bot", help="One more bot: path=configuration")
    ] = None,
    dev: Annotated[
        bool, typer.Option("--dev", help="Open the session API without a token, here alone")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No line for each turn")] = False,
) -> None:
    """Run the bot with its plugins, channels, chat page and API; Ctrl-C stops it."""
    settings = Settings.load(file)
    others = _others(bot or [])
    secrets = settings.secrets().union(*(other.secrets() for other in others.values()))
    logs.configure(settings.log.level, settings.log.format, redact=Redactor(secrets))
    web = settings.web.model_copy(
        update={
            "host": settings.web.host if host is None else host,
            "port": settings.web.port if port is None else port,
        }
    )
    asyncio.run(_run(settings, web, others, listen=listen, dev=dev, quiet=quiet))


async def _run(
    settings: Settings,
    web: Any,
    others: Mapping[str, Settings],
    *,
    listen: int | None,
    dev: bool,
    quiet: bool,
) -> None:
    async with AsyncExitStack() as stack:
        bots = {"/": _bot("bot", settings)}
        bots |= {path: _bot(path.strip("/") or "bot", other) for path, other in others.items()}
        for one in bots.values():
            await stack.enter_async_context(one)
        main = bots["/"]
        if listen is not None:
            token = settings.gateway.token
            if token is None and not is_loopback(settings.gateway.host):
                raise UsageError("kernels from elsewhere must show a token; set gateway.token")
            secret = token.get_secret_value() if token else None
            chosen = await main.gateway.listen(
                host=settings.gateway.host, port=listen, token=secret
            )
            typer.echo(f"Kernels join at ws://{settings.gateway.host}:{chosen}", err=True)
        crew = Crew("turn lines")
        stack.push_async_callback(crew.stop)
        if not quiet:
            for one in bots.values():
                crew.start(_tell_turns(one), one.name)
        door = await stack.enter_async_context(_door(bots, web, dev=dev, drain_s=settings.drain_s))
        for path in bots:
            typer.echo(f"Open {door.url}{path.rstrip('/')}", err=True)
        await until_stopped()
        typer.echo("Stopping: running turns have a moment.", err=True)


def _bot(name: str, settings: Settings) -> Bot:
    return Bot.from_settings(
        settings,
        *Library.from_section(settings.plugins).plugins(),
        name=name,
        channels=[WebChannel(settings.home / "files"), *configured_channels(settings)],
    )


def _door(bots: Mapping[str, Bot], web: Any, *, dev: bool, drain_s: float) -> Any:
    try:
        # Here, because its server is an extra.
        from sessionbot_kit.web import serve
    except ModuleNotFoundError as missing:
        raise UsageError(
            f'the page needs {missing.name}; install it: pip install "sessionbot-kit[web]"'
        ) from missing
    return serve(
        bots,
        host=web.host,
        port=web.port,
        admin_token=web.admin_token.get_secret_value() if web.admin_token else None,
        dev=dev,
        hosts=web.hosts,
        origins=web.origins,
        proxies=web.proxies,
        secure=web.secure,
        max_chats=web.chats,
        drain_s=drain_s,
        asks_per_minute=web.asks_per_minute,
        sessions_per_minute=web.sessions_per_minute,
        failures_per_minute=web.failures_per_minute,
    )


async def _tell_turns(bot: Bot) -> None:
    """One line for each turn, and nothing of what people wrote."""
    async for event in bot.watch():
        line: dict[str, Any] = {"at": datetime.now(UTC).isoformat(), "bot": bot.name}
        match event:
            case Said():
                line |= {"turn": event.turn, "session": event.session, "plugin": event.plugin}
                line |= {"replies": len(event.replies), "ms": round(event.plugin_ms, 3)}
            case Failed():
                # What a plugin's error says may quote a person.
                kind = event.error.partition(":")[0]
                line |= {"turn": event.turn, "session": event.session, "failed": kind[:80]}
            case _:
                continue
        sys.stdout.write(orjson.dumps(line).decode() + "\n")
        sys.stdout.flush()


def _others(named: Sequence[str]) -> dict[str, Settings]:
    others: dict[str, Settings] = {}
    for each in named:
        path, equals, file = each.partition("=")
        if not equals or not path.strip("/"):
            raise UsageError(f"--bot {each} names no bot; write --bot support=support.yml")
        others[path] = Settings.load(file)
    return others


def save(
    target: Annotated[Path, typer.Argument(help="The archive to write, such as bot.tar.gz")],
    file: File = None,
) -> None:
    """Copy the store and the files into one archive, while the bot runs."""
    settings = Settings.load(file)
    size = backup(settings.store_url, settings.home / "files", target)
    typer.echo(f"{target}: {size:,} bytes; put it back with sessionbot restore {target}")


def put_back(
    archive: Annotated[Path, typer.Argument(help="What sessionbot backup has written")],
    force: Annotated[bool, typer.Option("--force", help="In the place of what is there")] = False,
    file: File = None,
) -> None:
    """Put a backup back; the bot must not run meanwhile."""
    settings = Settings.load(file)
    restore(archive, settings.store_url, settings.home / "files", force=force)
    typer.echo(f"{settings.store_url} is as it was in {archive}")


def bench(
    sessions: Annotated[int, typer.Option(min=1, help="How many sessions")] = 1_000,
    messages: Annotated[int, typer.Option(min=1, help="Messages in each")] = 10,
    clients: Annotated[int, typer.Option(min=1, help="How many write at the same time")] = 64,
) -> None:
    """Measure how many messages this machine keeps a second, in a store of its own."""
    figures = asyncio.run(
        load(sessions=sessions, messages=messages, clients=clients, folder=Path())
    )
    typer.echo(
        f"{figures.sessions:,} sessions, {figures.messages:,} messages in {figures.seconds:.1f} s: "
        f"{figures.messages_per_s:,.0f} a second on the disk; "
        f"half within {figures.p50_ms:.1f} ms, 99 % within {figures.p99_ms:.1f} ms"
    )
