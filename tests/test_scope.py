"""What a version of a plugin has open ends with the version."""

import asyncio
import os
import socket
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sessionbot_kit import Bot
from sessionbot_kit.errors import PluginError
from sessionbot_kit.extension import Plugin, PluginMeta
from sessionbot_kit.scope import Scope


class Radio(Plugin):
    """Plays to whoever listens."""

    meta = PluginMeta(id="radio", implements={"chat.message": "answer"})
    prefixes = ("!radio",)

    def __init__(self, folder: Path, number: int, fault: Exception | None = None) -> None:
        self.folder, self.number, self.fault = folder, number, fault

    async def start(self) -> None:
        self.file = self.scope.keep((self.folder / "log").open("a"))
        self.port = self.scope.keep(socket.create_server(("127.0.0.1", 0)))
        self.server = await self.scope.open(await asyncio.start_server(nobody, "127.0.0.1", 0))
        self.task = self.scope.start(asyncio.Event().wait(), "player")
        if self.fault is not None:
            raise self.fault

    async def answer(self) -> str:
        return str(self.number)


async def nobody(reader: Any, writer: Any) -> None: ...


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def own_threads() -> list[str]:
    """All but those that the loop has for sync calls of anybody: their number is bounded."""
    names = [thread.name for thread in threading.enumerate()]
    return sorted(name for name in names if not name.startswith("asyncio_"))


async def settled(bot: Bot) -> None:
    """Wait until old versions have been stopped."""
    await bot.kernel._retiring.drain(30)


async def test_a_version_that_is_swapped_out_leaves_nothing_open(tmp_path: Path) -> None:
    one, two = Radio(tmp_path, 1), Radio(tmp_path, 2)
    async with Bot(one) as bot:
        await bot.add(two)
        await settled(bot)
        assert one.task.cancelled()
        assert one.file.closed
        assert (one.port.fileno(), one.server.is_serving()) == (-1, False)
        assert not two.file.closed
    assert two.file.closed


async def test_a_version_that_does_not_start_leaves_nothing_open(tmp_path: Path) -> None:
    one, two = Radio(tmp_path, 1), Radio(tmp_path, 2, OSError("no power"))
    async with Bot(one) as bot:
        with pytest.raises(PluginError, match="no power"):
            await bot.add(two)
        assert two.file.closed
        assert await bot.hear("!radio") == ["1"]
        assert not one.file.closed


async def test_a_thousand_swaps_leak_no_task_file_port_or_thread(tmp_path: Path) -> None:
    async with Bot(Radio(tmp_path, 0)) as bot:
        await bot.hear("!radio")
        await bot.settle()
        tasks, files, threads = len(asyncio.all_tasks()), open_files(), Counter(own_threads())
        for number in range(1, 1_001):
            await bot.add(Radio(tmp_path, number))
        assert await bot.hear("!radio") == ["1000"]
        await bot.settle()
        await settled(bot)
        assert len(asyncio.all_tasks()) == tasks
        assert open_files() <= files
        assert not Counter(own_threads()) - threads  # those of other tests may end meanwhile


async def test_the_last_that_was_opened_is_closed_first() -> None:
    scope, closed = Scope("radio"), []

    async def later() -> None:
        closed.append("async")

    scope.at_end(closed.append, "sync")
    scope.at_end(later)
    await scope.close()
    assert closed == ["async", "sync"]
    assert scope.closed


async def test_what_cannot_be_closed_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Stuck(Radio):
        async def start(self) -> None:
            self.scope.at_end(int, "not a number")

    async with Bot(Stuck(tmp_path, 1)):
        pass
    assert "plugin left something open" in caplog.messages
