"""Kernels in processes that die and hang: they come back, and the next message works."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sessionbot_kit import Bot, KitError
from sessionbot_kit.answering import ASIDE
from sessionbot_kit.backoff import Backoff
from sessionbot_kit.keeper import Keeper

COMMAND = [sys.executable, "-m", "tests.kernel_child", "{url}", "kept", "0.2"]


def at_once() -> Backoff:
    return Backoff(lambda: 0.0)


@pytest.fixture
async def bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bot]:
    monkeypatch.chdir(Path(__file__).parents[1])
    monkeypatch.setattr("sessionbot_kit.switchboard.GRACE_S", 0.2)
    monkeypatch.setattr("sessionbot_kit.keeper.LOOK_EVERY_S", 0.05)
    async with Bot(store=tmp_path / "bot.db") as bot:
        await bot.start(listen=0)
        yield bot


async def kept(bot: Bot) -> Keeper:
    keeper = bot.gateway.keep(COMMAND, name="kept", backoff=at_once())
    while not bot.gateway.routes():
        await bot.gateway.switchboard.changed.wait()
    return keeper


@pytest.mark.parametrize("killer", ["!hang", "!die"])
async def test_a_kernel_that_hangs_in_c_or_dies_comes_back_and_the_next_message_works(
    bot: Bot, killer: str
) -> None:
    keeper = await kept(bot)
    assert await bot.hear("!count", user="bob") == ["kept: 1"]
    assert await bot.hear(killer, user="ada") == [ASIDE]
    assert await bot.hear("!count", user="ada") == ["kept: 1"]
    assert await bot.hear("!count", user="bob") == ["kept: 2"]
    assert keeper.starts > 1


async def test_a_message_for_a_kernel_that_has_just_died_waits_for_it(bot: Bot) -> None:
    keeper = await kept(bot)
    bot.gateway.switchboard.forget("kept")
    receipt = await bot.loopback.hear("!count")
    other = bot.gateway.keep([*COMMAND[:-2], "other", "5"], name="other", backoff=at_once())
    await bot.gateway.settle(receipt)
    assert bot.loopback.answers(receipt) == ["other: 1"]
    assert (keeper.starts, other.starts) == (1, 1)


async def test_a_kept_kernel_ends_with_its_gateway(bot: Bot) -> None:
    await kept(bot)
    await bot.stop()
    assert not [task for task in asyncio.all_tasks() if "kernels" in task.get_name()]


async def test_a_command_that_is_none_is_logged_and_tried_again(
    bot: Bot, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = bot.gateway.keep(["/nowhere/python"], name="none", backoff=at_once())
    for _ in range(100):
        if keeper.starts > 2:
            break
        await asyncio.sleep(0)
    assert "kernel not started" in [record.message for record in caplog.records]


async def test_without_a_port_no_kernel_is_kept(tmp_path: Path) -> None:
    async with Bot(store=tmp_path / "bot.db") as bot:
        with pytest.raises(KitError, match=r"needs a port to call; await listen\(\) first"):
            bot.gateway.keep(COMMAND, name="kept")
