"""A plugin is swapped again and again while people talk: no turn is lost, nothing stays behind."""

import asyncio
import gc
import os
import threading
from pathlib import Path

import pytest

from sessionbot_kit import Bot, plugin
from sessionbot_kit.extension import FunctionPlugin

PEOPLE = 8
MOST_ALIVE = 20  # generations: those that still end their turns


def version(number: int) -> FunctionPlugin:
    async def answer() -> str:
        await asyncio.sleep(0)
        return f"version {number}"

    return plugin("!which", id="which", version=str(number))(answer)


def held() -> tuple[int, int, int, int]:
    """What a leak would make more: generations, tasks, open files, threads."""
    gc.collect()
    plugins = [thing for thing in gc.get_objects() if isinstance(thing, FunctionPlugin)]
    alive = sum(plugin.meta.id == "which" for plugin in plugins)
    files = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    return alive, len(asyncio.all_tasks()), files, threading.active_count()


@pytest.mark.parametrize("swaps", [100, pytest.param(1000, marks=pytest.mark.long)])
@pytest.mark.timeout(300)
async def test_many_swaps_under_load_lose_no_turn_and_leave_nothing(
    tmp_path: Path, swaps: int
) -> None:
    asked, answered = [0] * PEOPLE, [0] * PEOPLE
    stop = asyncio.Event()

    async def talk(person: int) -> None:
        while not stop.is_set():
            asked[person] += 1
            answered[person] += len(await bot.hear("!which", user=f"user {person}"))

    async with Bot(version(0), store=tmp_path / "bot.db", record="nothing") as bot:
        talking = [asyncio.ensure_future(talk(person)) for person in range(PEOPLE)]
        halfway = held()
        for number in range(1, swaps + 1):
            await bot.add(version(number))
            answers = await bot.hear("!which", user="swapper")
            assert answers == [f"version {number}"]
            if number == swaps // 2:
                halfway = held()
        end = held()
        stop.set()
        await asyncio.gather(*talking)
    assert answered == asked
    assert end[0] <= MOST_ALIVE
    assert abs(end[1] - halfway[1]) <= 2 * PEOPLE
    assert end[2:] <= (halfway[2] + 2, halfway[3] + 2)
