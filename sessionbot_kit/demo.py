"""A short conversation in the terminal that shows the way of each message through the house.

    right = asyncio.run(Demo(Console()).run())      # True when every reply was right

The bot is a real one, on a real SQLite file, and everything shown was measured while it ran: when
the message was on the disk, when a plugin was asked, when all that it changed was committed, and
when the channel took the answer. In the middle the bot stops, and another one, made anew, goes on
with the file alone. The one rule to remember: **the demo tells what happened, never what should
have**; a wrong reply ends in exit status 1.
"""

import asyncio
import re
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from sessionbot_kit import __version__
from sessionbot_kit.bot import Bot
from sessionbot_kit.dialog import Chat
from sessionbot_kit.events import HouseEvent, Offered, Received, Said, Sent, Watch
from sessionbot_kit.extension import plugin
from sessionbot_kit.models import IncomingMessage
from sessionbot_kit.plugins import echo, help

BAR_WIDTH = 24
TIME_LIMIT_S = 30.0

STAGES = {  # what it means, and its color
    "received": ("over a channel", "white"),
    "stored": ("on the disk, not to be lost", "blue"),
    "offered": ("to the plugin {plugin}", "cyan"),
    "answered": ("by the plugin", "magenta"),
    "committed": ("answer and memory, together", "green"),
    "sent": ("the channel took the answer", "yellow"),
}
NEXT = (
    ("sessionbot lab", "notebooks: a plugin is a cell, and live at once"),
    ("sessionbot config show", "all that can be set, and who set it"),
    ("sessionbot --help", "the other commands"),
)


@plugin
async def friend(message: IncomingMessage, chat: Chat) -> str:
    """Remember who you are."""
    heard = chat.vars.get("heard", 0)
    heard = chat.vars["heard"] = (heard if isinstance(heard, int) else 0) + 1
    if told := re.fullmatch(r"my name is (\w+)", message.content):
        chat.vars["name"] = told[1]
        return f"Nice to meet you, {told[1]}."
    if name := chat.vars.get("name"):
        return f"You are {name}, and that was message {heard} from you."
    return f"I do not know your name yet. That was message {heard} from you."


@dataclass(frozen=True, slots=True)
class Line:
    """What somebody says, and what the bot has to answer."""

    user: str
    says: str
    answer: str


GREETING = Line("ada", "!echo hello", "hello")
BEFORE = (
    Line("ada", "my name is Ada", "Nice to meet you, Ada."),
    Line("bob", "who am I?", "I do not know your name yet. That was message 1 from you."),
)
AFTER = (
    Line("ada", "who am I?", "You are Ada, and that was message 2 from you."),
    Line("bob", "who am I?", "I do not know your name yet. That was message 2 from you."),
)


@dataclass(frozen=True, slots=True)
class Journey:
    """When a message was where, in milliseconds since it was said."""

    plugin: str
    stages: tuple[tuple[str, float], ...]

    @classmethod
    def of(cls, said_at: float, events: Iterable[HouseEvent]) -> "Journey":
        plugin, offered_ms, stages = "", 0.0, [("received", 0.0)]
        for event in events:
            ms = (event.at - said_at) * 1000
            match event:
                case Received():
                    stages.append(("stored", ms))
                case Offered():
                    plugin, offered_ms = event.plugin, ms
                    stages.append(("offered", ms))
                case Said():
                    # The kernel tells how long the plugin took; it shares no clock with us.
                    stages.append(("answered", min(offered_ms + event.plugin_ms, ms)))
                    stages.append(("committed", ms))
                case Sent():
                    stages.append(("sent", ms))
        return cls(plugin, tuple(stages))

    @property
    def whole(self) -> bool:
        """Whether the message came all the way, through every room, once."""
        return [name for name, _ in self.stages] == list(STAGES)

    def chart(self) -> Iterator[Text]:
        """A line for each stage, with a bar for the time since the one before."""
        total = max(self.stages[-1][1], 0.001)
        before = 0
        for name, ms in self.stages:
            meaning, color = STAGES[name]
            after = round(ms / total * BAR_WIDTH)
            bar = " " * min(before, BAR_WIDTH - 1) + "━" * max(after - before, ms > 0)
            yield Text.assemble(
                f"{name:>13} {ms:8.2f} ms  ",
                (f"{bar:<{BAR_WIDTH + 1}} ", color),
                (meaning.format(plugin=self.plugin), "dim"),
            )
            before = after

    def line(self) -> Text:
        """The stages on one line, in milliseconds since the message was said."""
        parts = [f"{name} {ms:.1f}" for name, ms in self.stages[1:]]
        return Text(f"{'':6}{' > '.join(parts)} ms", "dim")


class Demo:
    """Talks to a bot and shows what happens."""

    def __init__(self, console: Console, *, pace_s: float = 0.0) -> None:
        self.console = console
        self.pace_s = pace_s  # a person at a terminal wants to read along
        self.asked = self.right = 0

    async def run(self) -> bool:
        """Hold the conversation; True when every reply was right."""
        begin = time.monotonic()
        self._say(f"\n[bold]sessionbot_kit {__version__}[/]: no network, nothing to configure")
        async with asyncio.timeout(TIME_LIMIT_S):
            with tempfile.TemporaryDirectory(prefix="sessionbot-demo-") as folder:
                file = Path(folder) / "demo.db"
                async with Bot(echo, help, friend, store=file) as bot:
                    self._head("A message on its way through the house")
                    await self._ask(bot, GREETING, in_detail=True)
                    self._head("The bot remembers, each conversation for itself")
                    await self._ask_all(bot, BEFORE)
                async with Bot(echo, help, friend, store=file) as bot:
                    self._head("The bot was stopped; a new one has only its file")
                    await self._ask_all(bot, AFTER)
        self._end(time.monotonic() - begin)
        return self.right == self.asked

    async def _ask_all(self, bot: Bot, lines: Iterable[Line]) -> None:
        for line in lines:
            await self._ask(bot, line)
        kept = await bot.gateway.store.stats()
        self._say(
            f"[dim]      kept in demo.db: {kept.sessions} conversations with {kept.messages} "
            f"messages; unanswered: {kept.inbox}[/]"
        )

    async def _ask(self, bot: Bot, line: Line, *, in_detail: bool = False) -> None:
        await asyncio.sleep(self.pace_s)
        watch = bot.feed.open()
        said_at = time.monotonic()
        answers = await bot.hear(line.says, user=line.user)
        journey = Journey.of(said_at, [event async for event in _until_sent(watch)])
        bot.feed.close(watch)

        self._voice(line.user, line.says, "bold")
        if in_detail:
            for row in journey.chart():
                self.console.print(row)
        self._voice("bot", " / ".join(answers), "bold green")
        if not in_detail:
            self.console.print(journey.line())
        self.asked += 1
        if answers == [line.answer] and journey.whole:
            self.right += 1
        else:
            self._voice("!", f"expected {line.answer!r}, by way of {', '.join(STAGES)}", "bold red")

    def _head(self, text: str) -> None:
        self._say(f"\n[bold cyan]{text}[/]")

    def _voice(self, who: str, text: str, style: str) -> None:
        self.console.print(Text.assemble((f"{who:>5} ", style), text))

    def _say(self, markup: str) -> None:
        self.console.print(markup, highlight=False)

    def _end(self, seconds: float) -> None:
        color = "green" if self.right == self.asked else "red"
        self._say(
            f"\n[bold {color}]{self.right} of {self.asked} replies were right[/], "
            f"in {seconds:.2f} s. Try next:"
        )
        for command, why in NEXT:
            self._say(f"  [bold]{command:<24}[/]{why}")


async def _until_sent(watch: Watch) -> AsyncIterator[HouseEvent]:
    replies, sent = None, 0
    while replies != sent:
        event = await watch.next()
        match event:
            case Said():
                replies = len(event.replies)
            case Sent():
                sent += 1
        yield event
