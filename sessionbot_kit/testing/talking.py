"""For the tests of plugins: a person to talk with, a clock to turn, a process to kill.

    # conftest.py
    from sessionbot_kit.testing import talk

    # test_pizza.py
    async def test_a_dialog_survives_a_restart(talk):
        user = talk(pizza)
        assert await user.says("!pizza") == ["Small or large?"]
        user.restart()
        assert await user.says("large") == ["One large pizza."]
        assert await user.waits(hours=1) == ["Your pizza is ready."]

It is a whole bot with a store on the disk; only the platform and the clock are ours. `restart` is
what a process sees that was killed: it goes on with the file as it was at that moment.
"""

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest_asyncio

from sessionbot_kit.bot import Bot
from sessionbot_kit.registry import Declared
from sessionbot_kit.stores.sqlite import SqliteStore
from sessionbot_kit.testing.clock import FakeClock


class Person:
    """Somebody who talks to a bot."""

    def __init__(self, plugins: tuple[Declared, ...], folder: Path, name: str, **options: Any):
        self.name = name
        self.clock: FakeClock = options.pop("clock", None) or FakeClock()
        self._plugins = plugins
        self._folder = folder
        self._options = options
        self._lives = 0
        self._bot: Bot | None = None
        self._restarts = False
        self._heard: list[str] = []  # in former lives

    async def says(self, text: str, **more: Any) -> list[str]:
        """Say something to the bot; what it says then."""
        bot = await self.bot()
        before = len(self.heard)
        receipt = await bot.loopback.hear(text, user=self.name, **more)
        await bot.gateway.settle(receipt)
        return self.heard[before:]

    async def waits(self, **units: float) -> list[str]:
        """Let time pass, as in `user.waits(minutes=5)`; what the bot says meanwhile."""
        bot = await self.bot()
        before = len(self.heard)
        self.clock.turn(**units)
        await bot.gateway.settle()
        return self.heard[before:]

    def restart(self) -> None:
        """Kill the bot as it is now; the next thing that is said wakes it again."""
        self._restarts = True

    def now_runs(self, *plugins: Declared) -> None:
        """Restart with other plugins, such as an edited one."""
        self._plugins = plugins
        self.restart()

    @property
    def heard(self) -> list[str]:
        """All that the bot has ever said to this person."""
        now = self._bot.loopback.said_to(self.name) if self._bot is not None else []
        return [*self._heard, *now]

    async def variables(self) -> dict[str, Any]:
        """What the bot remembers of this person."""
        bot = await self.bot()
        for session in await bot.gateway.store.sessions():
            if session.key.user == self.name:
                return dict(session.variables)
        return {}

    async def bot(self) -> Bot:
        """The bot, which runs."""
        if self._bot is None or self._restarts:
            await self._wake()
        assert self._bot is not None
        return self._bot

    async def aclose(self) -> None:
        if self._bot is not None:
            await self._bot.stop()

    async def _wake(self) -> None:
        before, self._restarts = self._bot, False
        if before is not None:
            self._heard = self.heard
            # What a killed process leaves behind: its files, and a lease that nobody gave back.
            for file in self._folder.glob(f"life{self._lives}.db*"):
                if not file.name.endswith((".lock", "-shm")):
                    copy = file.name.replace(f"life{self._lives}", f"life{self._lives + 1}", 1)
                    shutil.copy(file, file.with_name(copy))
            self._lives += 1
            self._bot = None
            await before.stop()
        store = SqliteStore(self._folder / f"life{self._lives}.db", clock=self.clock.now)
        bot = Bot(*self._plugins, store=store, clock=self.clock, **self._options)
        self._bot = await bot.start()


class Talk:
    """Opens conversations."""

    def __init__(self, folder: Path, closing: AsyncExitStack) -> None:
        self._folder = folder
        self._closing = closing
        self._names = count(1)

    def __call__(self, *plugins: Declared, name: str = "ada", **options: Any) -> Person:
        """A person with a bot of these plugins; options go to the `Bot`."""
        folder = self._folder / f"bot{next(self._names)}"
        folder.mkdir()
        person = Person(plugins, folder, name, **options)
        self._closing.push_async_callback(person.aclose)
        return person


@pytest_asyncio.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Callable[..., Person]]:
    """People to talk with: `user = talk(pizza)`."""
    async with AsyncExitStack() as closing:
        yield Talk(tmp_path, closing)
