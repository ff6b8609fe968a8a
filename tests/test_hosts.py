"""A bot does the same wherever it runs; the same tests against each host."""

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sessionbot_kit import Bot, Chat, KitError, plugin
from sessionbot_kit.events import Said
from sessionbot_kit.hosts import HOSTS, OwnThread
from sessionbot_kit.plugins import echo

Make = Callable[..., Bot]


@plugin("!pizza")
async def pizza(chat: Chat) -> str:
    size = await chat.ask("Small or large?")
    chat.vars["pizzas"] = int(str(chat.vars.get("pizzas", 0))) + 1
    return f"{size}, number {chat.vars['pizzas']}"


@plugin("!where")
async def where() -> str:
    return threading.current_thread().name


@pytest.fixture(params=HOSTS)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    def bot(*plugins: Any, **options: Any) -> Bot:
        return Bot(*plugins, host=request.param, store=tmp_path / "bot.db", **options)

    return bot


async def test_it_answers(make: Make) -> None:
    async with make(echo) as bot:
        assert await bot.hear("!echo hello") == ["hello"]


async def test_it_answers_without_being_started(make: Make) -> None:
    bot = make(pizza)
    assert await bot.hear("!pizza") == ["Small or large?"]
    assert await bot.hear("large") == ["large, number 1"]
    assert not bot.running
    await bot.stop()


async def test_a_dialog_goes_on_after_a_restart(make: Make) -> None:
    async with make(pizza) as bot:
        await bot.hear("!pizza")
    async with make(pizza) as bot:
        assert await bot.hear("small") == ["small, number 1"]


async def test_it_starts_again_after_it_stopped(make: Make) -> None:
    bot = make(echo)
    for _ in range(2):
        await bot.start()
        assert await bot.hear("!echo hello") == ["hello"]
        await bot.stop()


async def test_people_talk_side_by_side(make: Make) -> None:
    async with make(pizza) as bot:
        users = [f"user {number}" for number in range(10)]
        assert (
            await asyncio.gather(*(bot.hear("!pizza", user=user) for user in users))
            == [["Small or large?"]] * 10
        )


async def test_a_plugin_is_swapped_and_taken_out(make: Make) -> None:
    async with make(echo) as bot:
        await bot.add(pizza)
        assert await bot.hear("!pizza") == ["Small or large?"]
        await bot.hear("/cancel")
        await bot.remove("pizza")
        assert await bot.hear("!pizza") == []


async def test_what_happens_can_be_watched(make: Make) -> None:
    async with make(echo) as bot:
        watching = bot.watch()
        first = asyncio.ensure_future(anext(watching))
        while not first.done():
            await bot.hear("!echo hello")
        seen = [await first]
        while not isinstance(seen[-1], Said):
            seen.append(await anext(watching))
        assert [reply.content for reply in seen[-1].replies] == ["hello"]
        await watching.aclose()  # type: ignore[attr-defined]  # it is a generator


async def test_an_error_comes_to_whoever_asked(make: Make) -> None:
    async with make(echo) as bot:
        with pytest.raises(KitError, match="there is no plugin nobody"):
            await bot.remove("nobody")


async def test_in_a_thread_it_goes_on_while_the_loop_is_blocked(tmp_path: Path) -> None:
    said = threading.Event()

    @plugin("!slow")
    async def slow() -> str:
        await asyncio.sleep(0.02)
        said.set()
        return "done"

    async with Bot(slow, where, host="thread", store=tmp_path / "bot.db") as bot:
        assert await bot.hear("!where") == ["bot's thread"]
        answer = asyncio.ensure_future(bot.hear("!slow"))
        await asyncio.sleep(0)
        assert said.wait(10), "the thread waits for this loop"
        assert await answer == ["done"]


async def test_its_thread_ends_with_it(tmp_path: Path) -> None:
    async with Bot(echo, name="short", host="thread", store=tmp_path / "bot.db"):
        (thread,) = [one for one in threading.enumerate() if one.name == "short's thread"]
    await asyncio.to_thread(thread.join, 10)
    assert not thread.is_alive()


@pytest.fixture
def sync() -> Iterator[Bot]:
    bot = Bot(echo, pizza)
    yield bot
    bot.sync.stop()


def test_without_await_it_says_the_same(sync: Bot) -> None:
    assert sync.sync.hear("!echo hello") == ["hello"]
    sync.sync.start()
    assert sync.sync.hear("!pizza") == ["Small or large?"]
    assert sync.sync.hear("large") == ["large, number 1"]


async def test_without_await_it_works_inside_a_loop(sync: Bot) -> None:
    assert sync.sync.hear("!echo hello") == ["hello"]


async def test_a_loop_is_not_blocked_by_what_would_wait_for_it(tmp_path: Path) -> None:
    async with Bot(echo, store=tmp_path / "bot.db") as bot:
        with pytest.raises(KitError, match=r"which \.sync would block; write await"):
            bot.sync.hear("!echo hello")


def test_what_does_not_wait_needs_no_sync(sync: Bot) -> None:
    with pytest.raises(KitError, match=r"\.sync\.watch is no verb that waits"):
        sync.sync.watch()


def test_a_plugin_cannot_wait_for_its_own_thread() -> None:
    @plugin("!bad")
    async def bad() -> str:
        try:
            return str(bot.sync.hear("!echo hello", user="eve"))
        except KitError as error:
            return str(error)

    bot = Bot(bad, echo)
    (said,) = bot.sync.hear("!bad")
    bot.sync.stop()
    assert said.endswith("inside a plugin write await, not .sync")


def test_an_interrupt_cancels_what_runs_there() -> None:
    thread, canceled, began = OwnThread("test"), threading.Event(), threading.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            canceled.set()
            raise

    def interrupt() -> None:
        began.wait()
        time.sleep(0.02)  # until the main thread waits for the result
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    asker = threading.Thread(target=interrupt)
    asker.start()
    with pytest.raises(KeyboardInterrupt):
        thread.call(work())
    asker.join()
    assert canceled.wait(10)
    thread.end()


def test_a_place_that_is_none_is_refused() -> None:
    with pytest.raises(KitError, match="host='cloud' is no place for a bot; choose loop or thread"):
        Bot(echo, host="cloud")  # type: ignore[arg-type]  # on purpose
