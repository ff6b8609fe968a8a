"""What one version of a plugin leaves to the next, and what a dialog notices of it: nothing."""

from typing import Any

import pytest

from sessionbot_kit import Bot, plugin
from sessionbot_kit.errors import PluginError
from tests.versions import Counter, Version


async def test_state_crosses_as_json_to_a_version_that_adopts_it() -> None:
    diary: list[str] = []
    async with Bot(Counter(1, diary)) as bot:
        await bot.hear("!draw")
        await bot.add(Counter(2, diary))
        assert await bot.hear("!draw") == ["2: 2"]
    assert "adopt {'count': 1} of 1" in diary


async def test_a_version_may_adopt_by_a_coroutine_or_not_at_all() -> None:
    class Patient(Counter):
        async def adopt(self, state: Any, version: str) -> None:  # type: ignore[override]  # may be either
            self.count = state["count"]

    async with Bot(Counter(1)) as bot:
        await bot.hear("!draw")
        await bot.add(Patient(2))
        assert await bot.hear("!draw") == ["2: 2"]
        await bot.add(Version(3))
        assert await bot.hear("!draw") == ["version 3"]
        await bot.add(Counter(4))
        assert await bot.hear("!draw") == ["4: 1"]


@pytest.mark.parametrize("state", [{1, 2}, object(), float("nan")])
async def test_state_that_is_no_json_is_refused_and_the_old_version_goes_on(state: Any) -> None:
    class Odd(Counter):
        def __getstate__(self) -> Any:
            return state

    async with Bot(Odd(1)) as bot:
        with pytest.raises(PluginError, match=r"tarot cannot hand its state on: .*; return JSON"):
            await bot.add(Counter(2))
        assert await bot.hear("!draw") == ["1: 1"]


async def test_a_dialog_goes_on_in_the_new_version() -> None:
    def pizza(word: str) -> Any:
        @plugin("!pizza", id="pizza")
        async def order(chat: Any) -> str:
            size = await chat.ask("Small or large?")
            return f"{word} {size}"

        return order

    async with Bot(pizza("one")) as bot:
        await bot.hear("!pizza")
        await bot.add(pizza("one fresh"))
        assert await bot.hear("large") == ["one fresh large"]
