"""The commands `sessionbot say` and `sessionbot chat`, for `cli.py` to mount: talk to your bot.

    sessionbot say '!echo hello'           # one message, and what comes back
    sessionbot chat                        # line by line, until the end of the input
    printf '!pizza\nlarge\n' | sessionbot chat

The bot is that of the settings, with the plugins that `sessionbot plugins` lists. It remembers
what was said, unless it is told to `--forget`. One rule to remember: a store serves one bot at a
time, so beside a bot that runs on the same store only one that forgets can be talked to.
"""

import asyncio
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from sessionbot_kit import logs
from sessionbot_kit.bot import Bot
from sessionbot_kit.channel import Channel
from sessionbot_kit.channels.console import Console
from sessionbot_kit.errors import StoreHeld, UsageError
from sessionbot_kit.library import Library
from sessionbot_kit.models import OutgoingMessage, SendResult
from sessionbot_kit.secrecy import Redactor
from sessionbot_kit.settings import Settings

PROMPT: Final = "> "
CLEAR_LINE: Final = "\r\x1b[K"

File = Annotated[
    Path | None,
    typer.Option("--file", "-f", help="The configuration; else sessionbot.yml here or in the home"),
]
User = Annotated[str, typer.Option(help="Who you are to the bot")]
Forget = Annotated[bool, typer.Option("--forget", help="Keep nothing of what is said")]


def say(
    text: Annotated[str, typer.Argument(help="What to say; - reads it from the input")],
    user: User = "you",
    forget: Forget = False,
    file: File = None,
) -> int:
    """Say one thing to the bot of this folder, and print what it answers."""
    settings = _settings(file)
    words = sys.stdin.read().strip() if text == "-" else text
    answers = asyncio.run(_say(settings, words, user=user, forget=forget))
    for answer in answers:
        typer.echo(answer)
    if not answers:
        typer.echo("(no answer)", err=True)
    return 0 if answers else 1


def chat(user: User = "you", forget: Forget = False, file: File = None) -> None:
    """Talk to the bot of this folder, line by line; Ctrl-D ends it."""
    settings = _settings(file)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        asyncio.run(_chat(settings, Console(user=user), forget=forget))
        return
    with _line_editing() as readline:
        typer.echo("You talk to the bot of this folder. /help says what it can; Ctrl-D ends it.")
        try:
            asyncio.run(_chat(settings, Terminal(user, readline), forget=forget))
        except KeyboardInterrupt:
            typer.echo()


class Terminal(Console):
    """A console where lines can be edited and called back, and answers come above the prompt."""

    def __init__(self, user: str, readline: Any) -> None:
        super().__init__(user=user, read_line=_ask)
        self._readline = readline

    async def send(self, message: OutgoingMessage) -> SendResult:
        self._screen.write(CLEAR_LINE)
        result = await super().send(message)
        self._screen.write(PROMPT + (self._readline.get_line_buffer() if self._readline else ""))
        self._screen.flush()
        return result


async def _say(settings: Settings, text: str, *, user: str, forget: bool) -> list[str]:
    bot = _bot(settings, (), forget)
    with _one_at_a_time(settings):
        return await bot.hear(text, user=user)


async def _chat(settings: Settings, console: Console, *, forget: bool) -> None:
    with _one_at_a_time(settings):
        async with _bot(settings, (console,), forget) as bot:
            await console.ended.wait()
            await bot.settle()


def _settings(file: Path | None) -> Settings:
    settings = Settings.load(file)
    logs.configure("WARNING", settings.log.format, redact=Redactor(settings.secrets()))
    return settings


def _bot(settings: Settings, channels: Iterable[Channel], forget: bool) -> Bot:
    plugins = Library.from_section(settings.plugins).plugins()
    if not plugins:
        raise UsageError(
            "no plugin is here to answer; write one into the folder plugins, and look at "
            "sessionbot plugins"
        )
    more: dict[str, Any] = {"store": None} if forget else {}
    return Bot.from_settings(settings, *plugins, channels=channels, **more)


@contextmanager
def _one_at_a_time(settings: Settings) -> Iterator[None]:
    try:
        yield
    except StoreHeld as error:
        raise UsageError(
            f"another bot runs on {settings.store_url} ({error}); stop it, or talk to one that "
            "forgets: --forget"
        ) from error


def _ask() -> str:
    try:
        return input(PROMPT) + "\n"
    except EOFError:
        return ""


@contextmanager
def _line_editing() -> Iterator[Any]:
    """Arrows, history and Emacs keys, where Python has them; the terminal is as before after it."""
    try:
        import readline
        import termios
    except ImportError:  # not on every platform
        yield None
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        yield readline
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
