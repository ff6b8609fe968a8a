"""Versions of one plugin that say which they are, for tests of what happens between them."""

import asyncio
from typing import Any

from sessionbot_kit import Bot, Plugin, PluginMeta


class Version(Plugin):
    """Says which version it is, and notes what happens to it."""

    def __init__(
        self,
        number: int,
        diary: list[str] | None = None,
        *,
        id: str = "tarot",
        prefixes: tuple[str, ...] = ("!draw",),
        needs: tuple[str, ...] = (),
    ) -> None:
        self.meta = PluginMeta(
            id=id, version=str(number), implements={"chat.message": "answer"}, dependencies=needs
        )
        self.diary = [] if diary is None else diary
        self.prefixes = prefixes

    async def start(self) -> None:
        self.diary.append(f"start {self.meta.version}")

    async def stop(self) -> None:
        self.diary.append(f"stop {self.meta.version}")

    async def answer(self) -> Any:
        return f"version {self.meta.version}"


class Slow(Version):
    """Answers when it is told to."""

    def __init__(self, number: int, diary: list[str] | None = None, **more: Any) -> None:
        super().__init__(number, diary, **more)
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def answer(self) -> Any:
        self.begun.set()
        await self.go_on.wait()
        self.diary.append(f"answer {self.meta.version}")
        return await super().answer()


class Counter(Version):
    """Hands its count on."""

    count = 0

    async def answer(self) -> Any:
        self.count += 1
        return f"{self.meta.version}: {self.count}"

    def __getstate__(self) -> Any:
        return {"count": self.count}

    def adopt(self, state: Any, version: str) -> None:
        self.count = state["count"]
        self.diary.append(f"adopt {state} of {version}")


async def idle(bot: Bot) -> None:
    """Wait until every plugin that was replaced has stopped."""
    await bot.kernel._retiring.drain(10)
