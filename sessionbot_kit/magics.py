"""What `%load_ext sessionbot_kit` brings into a notebook, or into plain IPython.

    %%plugin greet               a plugin in a cell, live at once
    %say ada hello               say something to the bot
    %sessions                    who talks; %session 1 is one of them
    %replay greet                the recorded conversation, with the code as it is now
    %promote greet               the cell becomes a file, a test and an entry point
    %bridge start                start, stop, look at the bot

Each answers `--help`. They are awaited, so the bot goes on while they work, and what they come to
can be kept: `answers = %say ada hello`. The one rule to remember: **what goes wrong is one line**
that says what to do; the cell ends there, and everything is as it was before.
"""

import argparse
import shlex
from collections.abc import Callable, Coroutine
from functools import wraps
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NoReturn, TypeVar

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class

from sessionbot_kit.bot import Bot, roster
from sessionbot_kit.errors import KitError, UsageError
from sessionbot_kit.live_cell import Placed, place, replayed
from sessionbot_kit.magic_lines import LINE_MAGICS, hang_in, take_out
from sessionbot_kit.promotion import Promoted, promote
from sessionbot_kit.recording import Recording
from sessionbot_kit.replaying import Replay
from sessionbot_kit.tables import Card

T = TypeVar("T")
Magic = Callable[..., Coroutine[Any, Any, T]]


def load(shell: InteractiveShell) -> None:
    """Called by `%load_ext sessionbot_kit`."""
    shell.register_magics(KitMagics)
    hang_in(shell.input_transformers_cleanup, shell.input_transformers_post)
    for name in LINE_MAGICS:
        shell.set_hook("complete_command", _complete, str_key=f"%{name}")  # type: ignore[no-untyped-call]  # of IPython
    if find_spec("ipywidgets") is not None:
        import_module("sessionbot_kit.views").register(shell)


def unload(shell: InteractiveShell) -> None:
    """Called by `%unload_ext sessionbot_kit`."""
    take_out(shell.input_transformers_cleanup, shell.input_transformers_post)
    for name in (*LINE_MAGICS, "plugin", "basic"):
        for kind in ("line", "cell"):
            shell.magics_manager.magics[kind].pop(name, None)
    if find_spec("ipywidgets") is not None:
        import_module("sessionbot_kit.views").withdraw(shell)


class Words(argparse.ArgumentParser):
    """The options of a magic."""

    def __init__(self, magic: str, says: str) -> None:
        super().__init__(prog=magic, description=says, add_help=False, allow_abbrev=False)

    def bot(self) -> "Words":
        self.add_argument("--bot", help="which bot, when several run; else the newest")
        return self

    def read(self, line: str) -> argparse.Namespace:
        try:
            return self.parse_args(shlex.split(line))
        except ValueError as error:
            raise UsageError(f"{self.prog} {line}: {error}; close what you opened") from error

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}; see {self.prog} --help")


def _one_line(words: Words) -> Callable[[Magic[T]], Magic[T | None]]:
    """Answer `--help`, and show an error of ours as the one line that it is."""

    def wrap(magic: Magic[T]) -> Magic[T | None]:
        @wraps(magic)
        async def run(self: "KitMagics", line: str, *body: str) -> T | None:
            if "--help" in line.split() or "-h" in line.split():
                print(words.format_help().strip())  # noqa: T201 - it was asked for
                return None
            try:
                return await magic(self, line, *body)
            except KitError as error:
                raise in_one_line(error) from None

        run.__doc__ = words.format_help()
        return run

    return wrap


def in_one_line(error: KitError) -> KitError:
    """The same error, which IPython shows without the way that it took."""
    sentence = " ".join(str(error).split())
    error._render_traceback_ = lambda: [f"{type(error).__name__}: {sentence}"]  # type: ignore[attr-defined]  # IPython asks for it
    return error


PLUGIN = Words("%%plugin", "Make a plugin of this cell; it is live when the cell is done.").bot()
PLUGIN.add_argument("name", help="what the plugin is called, in the cell too")
BASIC = Words("%%basic", "Reserved for dialogs in BASIC.")
SAY = Words("%say", "Say something to the bot, and return what it answers.").bot()
SAY.add_argument("user", help="who speaks")
SAY.add_argument("text", nargs=argparse.REMAINDER, help="what they say")
SESSIONS = Words("%sessions", "Show who talks to the bot.").bot()
SESSION = Words("%session", "Show one conversation; without an id that of the newest line.").bot()
SESSION.add_argument("id", nargs="?", help="its number or its id")
BRIDGE = Words("%bridge", "Start, stop or look at the bot of this notebook.").bot()
BRIDGE.add_argument("verb", choices=["start", "stop", "status"], nargs="?", default="status")
BRIDGE.add_argument("--listen", type=int, metavar="PORT", help="open a port; 0 takes a free one")
PROMOTE = Words("%promote", "Make a module of a cell, a test and an entry point.").bot()
PROMOTE.add_argument("name", help="the plugin")
PROMOTE.add_argument("--to", metavar="PATH", help="a folder or a file; else the folder plugins")
PROMOTE.add_argument("--force", action="store_true", help="write over what was edited by hand")
PROMOTE.add_argument(
    "--include-real", action="store_true", help="let what real people wrote go into the test"
)
REPLAY = Words("%replay", "Play what was recorded of a plugin with its code of now.").bot()
REPLAY.add_argument("name", help="the plugin")
REPLAY.add_argument("file", nargs="?", help="a recording that was saved; else what the bot has")


@magics_class
class KitMagics(Magics):
    """The magics of the toolkit."""

    shell: InteractiveShell

    @cell_magic
    @_one_line(PLUGIN)
    async def plugin(self, line: str, body: str) -> Placed:
        asked = PLUGIN.read(line)
        bot = roster.current(asked.bot) if asked.bot or roster.running() else None
        placed = await place(bot, asked.name, body, self.shell.user_ns)
        if asked.name.isidentifier():
            self.shell.user_ns[asked.name] = placed.plugin
        return placed

    @cell_magic
    @_one_line(BASIC)
    async def basic(self, line: str, body: str) -> None:
        raise UsageError(
            "%%basic is reserved for dialogs in BASIC, which this version does not have; "
            "write the dialog in Python below %%plugin"
        )

    @line_magic
    @_one_line(SAY)
    async def say(self, line: str) -> list[str]:
        # What people say is not split: it may hold an apostrophe.
        head, text = _first_words(line)
        asked = SAY.read(head)
        if not text:
            raise UsageError("%say needs somebody and something, such as %say ada hello")
        return await roster.current(asked.bot).hear(text, user=asked.user)

    @line_magic
    @_one_line(SESSIONS)
    async def sessions(self, line: str) -> Any:
        return await roster.current(SESSIONS.read(line).bot).sessions.list()

    @line_magic
    @_one_line(SESSION)
    async def session(self, line: str) -> Any:
        asked = SESSION.read(line)
        sessions = roster.current(asked.bot).sessions
        id = asked.id
        if id is None:
            known = await sessions.store.sessions()
            if not known:
                raise UsageError("nobody has talked yet; say something: %say ada hello")
            id = max(known, key=lambda one: (one.last_activity, one.seq)).id
        found = await sessions.get_session(int(id) if id.isdecimal() else id)
        if found is None:
            raise UsageError(f"there is no session {id}; %sessions lists them")
        return found

    @line_magic
    @_one_line(BRIDGE)
    async def bridge(self, line: str) -> Card:
        asked = BRIDGE.read(line)
        if asked.verb == "start":
            bot = roster.current(asked.bot) if roster.running() else Bot(name=asked.bot or "bot")
            bot = await bot.start(listen=asked.listen)
            self.shell.user_ns.setdefault("bot", bot)
        else:
            bot = roster.current(asked.bot)
        card = card_of(bot)
        if asked.verb == "stop":
            await bot.stop()
            return card_of(bot)
        return card

    @line_magic
    @_one_line(PROMOTE)
    async def promote(self, line: str) -> Promoted:
        asked = PROMOTE.read(line)
        return await promote(
            asked.name,
            asked.to,
            bot=roster.current(asked.bot),
            force=asked.force,
            include_real=asked.include_real,
        )

    @line_magic
    @_one_line(REPLAY)
    async def replay(self, line: str) -> Replay:
        asked = REPLAY.read(line)
        recording = Recording.load(asked.file) if asked.file else None
        return await replayed(roster.current(asked.bot), asked.name, recording)


def _first_words(line: str) -> tuple[str, str]:
    """The options and the first name, then the rest as it stands."""
    words = line.split(maxsplit=1)
    head: list[str] = []
    while words and words[0] == "--bot":
        option, rest = words[0], (words[1] if len(words) > 1 else "").split(maxsplit=1)
        head += [option, *rest[:1]]
        words = rest[1].split(maxsplit=1) if len(rest) > 1 else []
    return shlex.join([*head, *words[:1]]), words[1].strip() if len(words) > 1 else ""


def card_of(bot: Bot) -> Card:
    """What a bot is doing, in a few lines."""
    facts: dict[str, object] = {"state": "running" if bot.running else "stopped"}
    if bot.running:
        port = bot.gateway.reception.port
        facts["port"] = "none, this notebook only" if port is None else port
        facts["kernels"] = len(bot.gateway.switchboard)
    facts["plugins"] = ", ".join(plugin.meta.id for plugin in bot.kernel.registry.all_plugins())
    facts["channels"] = ", ".join(channel.meta.id for channel in bot.channels)
    return Card(f"Bridge of {bot.name}", facts)


def _complete(shell: InteractiveShell, event: Any) -> list[str]:
    """What may follow: options, verbs, plugins, people. It asks no store: Tab must not wait."""
    magic, *words = event.line.split()
    bots = roster.running()
    if event.symbol.startswith("-"):
        return [option for option in ("--bot", "--help", *_OPTIONS.get(magic, ()))]
    if words and words[-1] == "--bot":
        return [bot.name for bot in bots]
    match magic.lstrip("%"):
        case "bridge":
            return ["start", "stop", "status"]
        case "promote" | "replay":
            return [plugin.meta.id for bot in bots for plugin in bot.kernel.registry.all_plugins()]
        case "say":
            return sorted({said.channel_id for bot in bots for said in bot.loopback.said} | {"you"})
    return []


_OPTIONS = {
    "%bridge": ("--listen",),
    "%promote": ("--to", "--force", "--include-real"),
}
