"""`sessionbot gateway run` and `sessionbot wire tail`: a gateway as a process of its own.

sessionbot gateway run --console                # in one terminal
sessionbot wire tail                            # in another: every frame as it passes
"""

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import JsonValue

from sessionbot_kit import logs
from sessionbot_kit.channel import Channel, is_channel
from sessionbot_kit.channels.console import Console
from sessionbot_kit.courier import Patience
from sessionbot_kit.edition import release
from sessionbot_kit.errors import LinkClosed, UsageError
from sessionbot_kit.gateway import Gateway
from sessionbot_kit.library import Library
from sessionbot_kit.link import Watch, Watched
from sessionbot_kit.links.websocket import Rules, connect_link
from sessionbot_kit.links.websocket.upgrade import is_loopback
from sessionbot_kit.secrecy import Redactor
from sessionbot_kit.settings import Settings
from sessionbot_kit.stores import open_store

gateway = typer.Typer(help="A gateway as a process of its own.", no_args_is_help=True)
wire = typer.Typer(help="Look at the wire.", no_args_is_help=True)

File = Annotated[
    Path | None,
    typer.Option("--file", "-f", help="The configuration; else sessionbot.yml here or in the home"),
]
HEAD = f"{'link':<24} {'way':<3} {'message':<24} {'position':>10} {'bytes':>8} {'age':>9} state"


@gateway.command()
def run(
    file: File = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one")] = None,
    console: Annotated[
        bool, typer.Option("--console", help="Talk to the bot here, line by line")
    ] = False,
) -> None:
    """Hold the store and the channels, and serve plugin kernels that call; Ctrl-C stops it."""
    settings = Settings.load(file)
    redact = Redactor(settings.secrets())
    logs.configure("WARNING" if console else settings.log.level, settings.log.format, redact=redact)
    asyncio.run(
        _serve(
            settings,
            host=settings.gateway.host if host is None else host,
            port=settings.gateway.port if port is None else port,
            console=console,
        )
    )


@wire.command()
def tail(
    url: Annotated[
        str | None, typer.Argument(help="The gateway; else the one of the settings")
    ] = None,
    file: File = None,
    once: Annotated[
        bool, typer.Option("--once", help="End after the first frames that passed")
    ] = False,
) -> None:
    """Show frames as they pass through a gateway; Ctrl-C ends it, and the gateway goes on."""
    settings = Settings.load(file)
    logs.configure("WARNING", settings.log.format)
    door = settings.gateway
    token = door.token.get_secret_value() if door.token else None
    asyncio.run(_tail(url or f"ws://{door.host}:{door.port}", token, once=once))


async def _serve(settings: Settings, *, host: str, port: int, console: bool) -> None:
    token = settings.gateway.token
    if token is None and not is_loopback(host):
        raise UsageError(
            f"kernels on {host} must show a token; set gateway.token in sessionbot.yml, or "
            "SESSIONBOT_GATEWAY__TOKEN"
        )
    channels: list[Channel] = [Console()] if console else []
    channels += [*configured_channels(settings), *_channels_among_plugins(settings)]
    async with (
        open_store(settings.store_url) as store,
        Gateway(
            store,
            channels=channels,
            window=settings.history_window,
            drain_s=settings.drain_s,
            patience=Patience(**dict(settings.courier)),
            max_message_bytes=settings.max_message_bytes,
            pairing=settings.pairing,
            sections=settings.plugins.sections(),
            bounds=settings.queues.bounds(),
        ) as running,
    ):
        secret = token.get_secret_value() if token else None
        # Large files go to the disk as they come, and stay for the history that names them.
        received = (settings.home / "received").absolute()
        received.mkdir(parents=True, exist_ok=True)
        rules = Rules(spool_folder=received)
        chosen = await running.listen(host=host, port=port, token=secret, rules=rules)
        typer.echo(f"Gateway on ws://{host}:{chosen}, store {settings.store_url}")
        typer.echo(f'Join it: await PluginKernel(...).attach("ws://{host}:{chosen}")')
        if not channels:
            typer.echo("No channel is open here: kernels may join, and nobody can write to them.")
        await until_stopped()
        typer.echo("Stopping: running turns have a moment.")


def configured_channels(settings: Settings) -> list[Channel]:
    """The channels that have a section in the settings."""
    channels: list[Channel] = []
    if section := settings.plugins.section("session_messenger"):
        channels.append(_session_messenger(section, settings.home))
    return channels


def _channels_among_plugins(settings: Settings) -> list[Any]:
    """The channels that stand among the plugins; all other plugins run in kernels."""
    plugins = Library.from_section(settings.plugins).plugins()
    for plugin in plugins:
        if not is_channel(plugin):
            release(plugin)  # it was only looked at
    return [plugin for plugin in plugins if is_channel(plugin)]


def _session_messenger(section: Mapping[str, object], home: Path) -> Channel:
    # Here, because its cryptography is an extra that most bots do without.
    from sessionbot_kit.channels.session_messenger.configured import configured

    return configured(section, home=home, environ=os.environ)


async def until_stopped() -> None:
    """Wait for Ctrl-C or SIGTERM."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        # The second one is not ours any more, and ends the process at once.
        loop.add_signal_handler(sign, stopped.set)
    await stopped.wait()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.remove_signal_handler(sign)


async def _tail(url: str, token: str | None, *, once: bool) -> None:
    typer.echo(f"Calling {url}", err=True)
    async with AsyncExitStack() as stack:
        try:
            link = await stack.enter_async_context(
                connect_link(url, token=token, give_up_after_s=5.0)
            )
            await link.send(Watch("wire"))
        except LinkClosed as error:
            raise UsageError(
                f"no gateway answers at {url}; start one: sessionbot gateway run"
            ) from error
        typer.echo(HEAD)
        async for frame in link:
            if not isinstance(frame, Watched):
                continue
            if frame.error:
                raise UsageError(frame.error)
            if frame.lost:
                typer.echo(f"... {frame.lost:,} more that passed too fast to be told")
            for event in frame.events:
                typer.echo(_line(event))
            if once and frame.events:
                return


def _line(event: Mapping[str, JsonValue]) -> str:
    seen: Any = event
    return (
        f"{seen['link'][:24]:<24} {seen['way']:<3} {seen['id'][:24]:<24} {seen['position']:>10,} "
        f"{seen['bytes']:>8,} {seen['age_s'] * 1000:>6.1f} ms {seen['state']}"
    )
