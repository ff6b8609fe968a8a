"""A bot in the loop of a notebook: cells are run again, out of order, and for too long."""

import asyncio
import gc
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextvars import ContextVar, copy_context
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from sessionbot_kit import Bot, plugin
from sessionbot_kit.bot import roster
from sessionbot_kit.errors import PluginError
from sessionbot_kit.plugins import echo
from sessionbot_kit.vigil import Vigil
from tests.drafts import COUNTER
from tests.notebook import Notebook

START = "bot = Bot({})\nbot = await bot.start({})"


@pytest_asyncio.fixture
async def notebook() -> AsyncIterator[Notebook]:
    notebook = Notebook()
    await notebook.cell(
        "from sessionbot_kit import Bot, plugin\nfrom sessionbot_kit.plugins import echo"
    )
    yield notebook
    await notebook.close()


def port(notebook: Notebook) -> int | None:
    found: int | None = notebook.names["bot"].gateway.reception.port
    return found


async def test_the_cell_that_starts_a_bot_may_be_run_again(notebook: Notebook) -> None:
    await notebook.cell(START.format("echo", "listen=0"))
    before = notebook.names["bot"].gateway, port(notebook)
    await notebook.cell("await bot.hear('!echo one')")
    await notebook.cell(START.format("echo", "listen=0"))
    assert (notebook.names["bot"].gateway, port(notebook)) == before
    assert (await notebook.cell("await bot.sessions.get_session(1)")).message_count == 2
    assert len(roster.running()) == 1


async def test_a_bot_in_a_thread_of_its_own_may_be_started_again_too(notebook: Notebook) -> None:
    await notebook.cell(START.format("echo, host='thread'", "listen=0"))
    before = notebook.names["bot"].gateway, port(notebook)
    await notebook.cell(START.format("echo, host='thread'", "listen=0"))
    assert (notebook.names["bot"].gateway, port(notebook)) == before
    await notebook.plugin("counter", COUNTER)
    assert await notebook.cell("%say ada !count") == ["ada #1"]
    await notebook.cell(START.format("echo, host='thread', turn_timeout_s=5", "listen=0"))
    assert port(notebook) == before[1]
    assert await notebook.cell("%say ada !count") == ["ada #2"]


async def test_a_name_that_was_not_assigned_anew_is_the_same_bot(notebook: Notebook) -> None:
    await notebook.cell("bot = Bot(echo)\nfirst = await bot.start()")
    await notebook.cell("bot = Bot(echo)\nawait bot.start()")
    await notebook.cell("first = None")
    gc.collect()
    assert await notebook.cell("await bot.hear('!echo two')") == ["two"]
    await notebook.cell("await bot.stop()")
    assert roster.running() == []


async def test_plugins_that_were_edited_are_swapped_in(notebook: Notebook) -> None:
    cell = "@plugin('!hi')\nasync def hi():\n    return {!r}\n" + START.format("hi", "")
    await notebook.cell(cell.format("one"))
    assert await notebook.cell("await bot.hear('!hi')") == ["one"]
    await notebook.cell(cell.format("two"))
    assert await notebook.cell("await bot.hear('!hi')") == ["two"]


async def test_other_options_take_the_place_the_port_the_memory_and_the_drafts(
    notebook: Notebook,
) -> None:
    await notebook.cell(START.format("", "listen=0"))
    await notebook.plugin("counter", COUNTER)
    await notebook.cell("%say ada !count")
    old, first = notebook.names["bot"], port(notebook)
    await notebook.cell(START.format("turn_timeout_s=5", "listen=0"))
    assert notebook.names["bot"] is not old
    assert port(notebook) == first
    assert not old.running
    await notebook.cell("%say ada !count")
    assert (await notebook.cell("%session 1")).message_count == 4


async def test_a_bot_of_a_with_block_is_one_of_its_own(notebook: Notebook) -> None:
    await notebook.cell(START.format("echo", ""))
    await notebook.cell("async with Bot(echo) as other:\n    heard = await other.hear('!echo a')")
    assert notebook.names["heard"] == ["a"]
    assert await notebook.cell("await bot.hear('!echo b')") == ["b"]
    assert roster.current() is notebook.names["bot"]


async def test_a_broken_plugin_leaves_the_bot_as_it_was(notebook: Notebook) -> None:
    await notebook.cell(START.format("echo", ""))
    await notebook.cell("@plugin('!echo')\nasync def thief():\n    return 'mine'")
    with pytest.raises(PluginError, match="thief and echo both want !echo"):
        await notebook.cell("bot2 = await Bot(thief).start()")
    assert await notebook.cell("await bot.hear('!echo b')") == ["b"]


async def test_in_a_script_two_bots_of_one_name_are_two() -> None:
    one, two = await Bot(echo).start(), await Bot(echo).start()
    assert one.gateway is not two.gateway
    await one.stop()
    await two.stop()


async def test_a_cell_that_blocked_is_told_of_with_the_messages_that_waited(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Bot(echo) as bot, asyncio.TaskGroup() as people:
        vigil = Vigil(bot.feed)
        people.create_task(vigil.pulse.report(5.0))
        for n in range(12):
            people.create_task(bot.hear(f"!echo {n}"))
    lines: list[Any] = [line for line in caplog.records if line.name.endswith("vigil")]
    said = [(line.message, line.seconds, line.messages_waited) for line in lines]
    assert said == [("the Jupyter kernel was busy", 5.0, 12)]


async def test_a_bot_that_a_cell_has_started_has_a_heart(notebook: Notebook) -> None:
    await notebook.cell(START.format("", ""))
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert "bot: vigil" in names
    await notebook.cell("await bot.stop()")
    assert "bot: vigil" not in {task.get_name() for task in asyncio.all_tasks()}


async def test_what_a_plugin_prints_in_its_thread_goes_to_the_cell_that_started_the_bot() -> None:
    cell: ContextVar[str] = ContextVar("cell", default="a stranger's")

    @plugin("!where")
    def where() -> str:
        return cell.get()  # as ipykernel looks up where a print goes

    cell.set("the one that started it")
    async with Bot(where) as bot:
        context = copy_context()
        context.run(cell.set, "another one")
        asked = asyncio.get_running_loop().create_task(bot.hear("!where"), context=context)
        assert await asked == ["the one that started it"]


async def test_the_error_of_a_task_that_nobody_asks_about_is_told(
    notebook: Notebook, caplog: pytest.LogCaptureFixture
) -> None:
    await notebook.cell(START.format("echo", ""))
    lost = (
        "import asyncio\nasync def lose(): raise OSError('lost')\nt = asyncio.create_task(lose())\n"
    )
    await notebook.cell(lost + "await asyncio.wait([t])\ndel t")
    gc.collect()
    (line,) = [line for line in caplog.records if "never retrieved" in getattr(line, "reason", "")]
    assert "lost" in str(line.exc_info)
    await notebook.cell("await bot.stop()")
    assert asyncio.get_running_loop().get_exception_handler() is None


def test_a_process_that_ends_with_a_bot_leaves_no_folder_and_no_complaint(tmp_path: Path) -> None:
    script = (
        "import asyncio\nfrom sessionbot_kit import Bot\n"
        "loop = asyncio.new_event_loop()\nbot = loop.run_until_complete(Bot().start(listen=0))\n"
        "print(loop.run_until_complete(bot.hear('hello')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[1],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
    assert list(tmp_path.iterdir()) == []
