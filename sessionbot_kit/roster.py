"""Which bots run in this interpreter, so that a cell need not name one.

    roster.enter(bot)            # bot.start() does
    roster.current()             # the one that was started last, or an error that says how
    roster.namesake(bot)         # one that an earlier run of the same cell has started

In a script two bots of one name are two bots. In a notebook the second is the first one, run
again: its cell was edited, or simply run twice. The one rule to remember: a bot of a loop that is
gone is forgotten.
"""

import asyncio
import sys
from typing import Generic, Protocol, TypeVar

from sessionbot_kit.errors import UsageError


class Named(Protocol):
    """What has a name."""

    name: str


B = TypeVar("B", bound=Named)


class Roster(Generic[B]):
    """The bots that were started, by name."""

    def __init__(self) -> None:
        self._running: dict[str, tuple[B, asyncio.AbstractEventLoop]] = {}

    def enter(self, bot: B) -> None:
        """A bot runs; it is the current one."""
        self._running.pop(bot.name, None)
        self._running[bot.name] = (bot, asyncio.get_running_loop())

    def leave(self, bot: B) -> None:
        """A bot has stopped."""
        other, _ = self._running.get(bot.name, (None, None))
        if other is not None and vars(other) is vars(bot):  # it may go by two names of a notebook
            del self._running[bot.name]

    def running(self) -> list[B]:
        """Those that run, the newest last."""
        for name, (_, loop) in list(self._running.items()):
            if loop.is_closed():
                del self._running[name]
        return [bot for bot, _ in self._running.values()]

    def current(self, name: str | None = None) -> B:
        """The bot of this name, or the one that was started last."""
        bots = {bot.name: bot for bot in self.running()}
        if name is None and bots:
            return list(bots.values())[-1]
        if name in bots:
            return bots[name]
        if bots:
            raise UsageError(f"no bot {name} runs here; there is {', '.join(bots)}")
        raise UsageError("no bot runs here; start one: bot = await Bot().start()")

    def namesake(self, bot: B) -> B | None:
        """In a notebook: the bot of this name that runs in this loop already."""
        other, loop = self._running.get(bot.name, (None, None))
        if other is None or other is bot or not in_notebook():
            return None
        return other if loop is asyncio.get_running_loop() else None


def in_notebook() -> bool:
    """Whether somebody types cells into this interpreter."""
    shell = sys.modules.get("IPython")
    return shell is not None and shell.get_ipython() is not None
