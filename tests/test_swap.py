"""A plugin is replaced while its bot runs; what cannot start changes nothing."""

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sessionbot_kit import Bot, IncomingMessage, plugin
from sessionbot_kit.errors import PluginError
from sessionbot_kit.plugins import echo
from sessionbot_kit.settings import Settings
from tests.versions import Counter, Slow, Version, idle


async def test_the_next_turn_runs_the_new_version() -> None:
    async with Bot(Version(1)) as bot:
        assert await bot.hear("!draw") == ["version 1"]
        await bot.add(Version(2))
        assert await bot.hear("!draw") == ["version 2"]


async def test_a_kernel_swaps_by_name() -> None:
    async with Bot(Version(1)) as bot:
        await bot.kernel.swap(Version(2))
        assert await bot.hear("!draw") == ["version 2"]


async def test_the_new_one_starts_before_the_old_one_stops() -> None:
    diary: list[str] = []
    async with Bot(Version(1, diary)) as bot:
        await bot.add(Version(2, diary))
        await idle(bot)
        assert diary == ["start 1", "start 2", "stop 1"]
    assert diary[3:] == ["stop 2"]


async def test_a_turn_in_flight_ends_on_the_old_version_which_stops_after_it() -> None:
    diary: list[str] = []
    old = Slow(1, diary)
    async with Bot(old) as bot, asyncio.TaskGroup() as people:
        first = people.create_task(bot.hear("!draw", user="ada"))
        await old.begun.wait()
        await bot.add(Version(2, diary))
        assert await bot.hear("!draw", user="bob") == ["version 2"]
        assert diary == ["start 1", "start 2"]
        old.go_on.set()
        assert await first == ["version 1"]
        await idle(bot)
    assert diary == ["start 1", "start 2", "answer 1", "stop 1", "stop 2"]


async def test_a_version_in_a_thread_does_not_wait_for_the_one_before() -> None:
    begun, go_on = threading.Event(), threading.Event()

    @plugin("!draw", id="tarot")
    def old() -> str:
        begun.set()
        go_on.wait(20)
        return "old"

    @plugin("!draw", id="tarot")
    def new() -> str:
        return "new"

    async with Bot(old) as bot, asyncio.TaskGroup() as people:
        first = people.create_task(bot.hear("!draw", user="ada"))
        await asyncio.to_thread(begun.wait)
        await bot.add(new)
        assert await bot.hear("!draw", user="bob") == ["new"]
        go_on.set()
        assert await first == ["old"]


async def test_a_bot_that_stops_stops_the_old_version_too() -> None:
    diary: list[str] = []
    old = Slow(1, diary)
    bot = Bot(old, drain_s=0.01)
    async with asyncio.TaskGroup() as people:
        async with bot:
            first = people.create_task(bot.loopback.hear("!draw"))
            await old.begun.wait()
            await bot.add(Version(2, diary))
        await first
    assert sorted(diary) == ["start 1", "start 2", "stop 1", "stop 2"]


async def test_a_plugin_may_replace_itself_in_its_own_turn() -> None:
    bot = Bot()

    @plugin("!draw", id="tarot")
    async def card() -> str:
        await bot.add(Version(2))
        return "gone"

    async with bot:
        await bot.add(card)
        assert await bot.hear("!draw") == ["gone"]
        assert await bot.hear("!draw") == ["version 2"]


async def test_new_prefixes_lead_to_the_new_version_and_the_old_ones_nowhere() -> None:
    async with Bot(Version(1)) as bot:
        await bot.add(Version(2, prefixes=("!pick",)))
        assert await bot.hear("!pick") == ["version 2"]
        assert await bot.hear("!draw") == []


@pytest.mark.parametrize("method", ["configure", "start", "adopt"])
async def test_a_version_that_fails_leaves_the_old_one_serving(method: str) -> None:
    def fail(self: Any, *args: Any) -> None:
        raise ValueError("on purpose")

    diary: list[str] = []
    broken = type("Broken", (Counter,), {method: fail})(2, diary)
    async with Bot(Counter(1, diary)) as bot:
        with pytest.raises(
            PluginError,
            match=r"did not start: ValueError: on purpose \(.*:\d+ in fail\); the version before",
        ):
            await bot.add(broken)
        assert await bot.hear("!draw") == ["1: 1"]
    assert [line for line in diary if line.endswith(" 1")] == ["start 1", "stop 1"]


async def test_sys_exit_in_a_start_ends_the_start_and_not_the_bot() -> None:
    class Exits(Version):
        async def start(self) -> None:
            raise SystemExit(3)

    async with Bot(Version(1)) as bot:
        with pytest.raises(PluginError, match="tarot did not start: SystemExit: 3"):
            await bot.add(Exits(2))
        assert await bot.hear("!draw") == ["version 1"]


async def test_a_prefix_of_another_plugin_is_refused_and_nothing_is_started() -> None:
    diary: list[str] = []
    async with Bot(Version(1), echo) as bot:
        with pytest.raises(PluginError, match="tarot and echo both want !echo; change one of them"):
            await bot.add(Version(2, diary, prefixes=("!echo",)))
        assert await bot.hear("!draw") == ["version 1"]
    assert diary == []


async def test_a_prefix_that_comes_with_the_start_is_refused_and_the_version_stopped() -> None:
    class Late(Version):
        async def start(self) -> None:
            await super().start()
            self.prefixes = ("!echo",)

    diary: list[str] = []
    async with Bot(Version(1), echo) as bot:
        with pytest.raises(PluginError, match="both want !echo"):
            await bot.add(Late(2, diary))
        assert await bot.hear("!echo hi") == ["hi"]
    assert diary == ["start 2", "stop 2"]


async def test_a_version_whose_needs_are_not_here_is_refused() -> None:
    async with Bot(Version(1)) as bot:
        with pytest.raises(PluginError, match="tarot needs deck, which is not here; add deck"):
            await bot.add(Version(2, needs=("deck",)))
        assert await bot.hear("!draw") == ["version 1"]


async def test_plugins_stop_in_the_order_that_their_newest_needs_ask_for() -> None:
    diary: list[str] = []
    async with Bot(Version(1, diary)) as bot:
        await bot.add(Version(7, diary, id="deck", prefixes=()))
        await bot.add(Version(2, diary, needs=("deck",)))
        await idle(bot)
    assert diary[-2:] == ["stop 2", "stop 7"]


async def test_adding_the_same_object_again_is_harmless() -> None:
    diary: list[str] = []
    only = Version(1, diary)
    async with Bot(only) as bot:
        await bot.add(only)
        assert await bot.hear("!draw") == ["version 1"]
    assert diary == ["start 1", "stop 1"]


async def test_before_the_start_a_plugin_is_simply_replaced() -> None:
    diary: list[str] = []
    bot = Bot(Version(1, diary))
    await bot.add(Version(2, diary))
    assert await bot.hear("!draw") == ["version 2"]
    assert diary == ["start 2", "stop 2"]


async def test_a_plugin_that_is_removed_stops_and_is_not_reached() -> None:
    diary: list[str] = []
    async with Bot(Version(1, diary), echo) as bot:
        await bot.remove("tarot")
        assert await bot.hear("!draw") == []
        await idle(bot)
        assert diary == ["start 1", "stop 1"]
    assert diary == ["start 1", "stop 1"]


async def test_what_others_need_or_nobody_knows_is_not_removed() -> None:
    async with Bot(Version(1), Version(1, id="top", prefixes=(), needs=("tarot",))) as bot:
        with pytest.raises(PluginError, match="top needs tarot; remove top first"):
            await bot.remove("tarot")
        with pytest.raises(PluginError, match="there is no plugin toast; there are tarot, top"):
            await bot.remove("toast")


@pytest.fixture
async def loaded() -> AsyncIterator[Bot]:
    async with Bot(Counter(0)) as bot:
        yield bot


async def test_two_hundred_swaps_under_load_lose_no_turn_no_count_and_leave_no_task(
    loaded: Bot,
) -> None:
    bot, done = loaded, asyncio.Event()
    await bot.hear("!draw")
    await bot.settle()
    tasks, threads = asyncio.all_tasks(), threading.active_count()
    answers: list[str] = []

    async def talk(user: str) -> None:
        while not done.is_set():
            answers.extend(await bot.hear("!draw", user=user))

    async with asyncio.TaskGroup() as people:
        for user in ("ada", "bob", "eve"):
            people.create_task(talk(user))
        for number in range(1, 201):
            await bot.add(Counter(number))
            heard = await bot.hear("!draw", user="me")
            assert heard[0].startswith(f"{number}: ")
            answers += heard
        done.set()
    await bot.settle()
    await idle(bot)
    counts = sorted(int(answer.partition(": ")[2]) for answer in answers)
    assert counts == list(range(2, len(answers) + 2))
    assert asyncio.all_tasks() == tasks
    assert threading.active_count() <= threads


async def test_two_swaps_at_once_happen_one_after_the_other() -> None:
    diary: list[str] = []
    async with Bot(Counter(0, diary)) as bot:
        await asyncio.gather(*(bot.add(Counter(number, diary)) for number in range(1, 11)))
        await idle(bot)
        assert await bot.hear("!draw") == ["10: 1"]
    starts = [line for line in diary if line.startswith("start")]
    assert starts == [f"start {number}" for number in range(11)]
    assert sorted(line for line in diary if line.startswith("stop")) == sorted(
        f"stop {number}" for number in range(11)
    )


async def test_a_version_that_comes_as_the_bot_stops_is_stopped_too() -> None:
    class Late(Version):
        def __init__(self, number: int, diary: list[str]) -> None:
            super().__init__(number, diary)
            self.begun, self.go_on = asyncio.Event(), asyncio.Event()

        async def start(self) -> None:
            self.begun.set()
            await self.go_on.wait()
            await super().start()

    diary: list[str] = []
    late = Late(2, diary)
    async with Bot(Version(1)) as bot:
        adding = asyncio.gather(bot.add(late), return_exceptions=True)
        await late.begun.wait()
    late.go_on.set()
    (refused,) = await adding
    assert str(refused) == "tarot came as the others stopped; add it again"
    assert diary == ["start 2", "stop 2"]


async def test_a_turn_hears_its_own_message_whatever_is_swapped() -> None:
    @plugin("!draw", id="tarot")
    async def card(message: IncomingMessage) -> str:
        return message.content

    async with Bot(Version(1)) as bot:
        await bot.add(card)
        assert await bot.hear("!draw three") == ["three"]


async def test_an_old_version_is_forgotten_when_it_has_stopped() -> None:
    old = Version(1)
    forgotten = weakref.ref(old)
    async with Bot(old) as bot:
        await bot.hear("!draw")
        await bot.add(Version(2))
        await idle(bot)
        del old
        gc.collect()
        assert forgotten() is None


async def test_a_version_gets_the_section_of_the_settings_that_the_one_before_had() -> None:
    class Configured(Version):
        def configure(self, config: Any) -> None:
            self.diary.append(f"configure {self.meta.version} {dict(config)}")

    diary: list[str] = []
    settings = Settings(plugins={"tarot": {"deck": 78}})
    async with Bot.from_settings(settings, Configured(1, diary), store=None) as bot:
        await bot.add(Configured(2, diary))
    assert [line for line in diary if "configure" in line] == [
        "configure 1 {'deck': 78}", "configure 2 {'deck': 78}",
    ]  # fmt: skip
