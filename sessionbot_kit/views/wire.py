"""Fragments as they fly between the gateway and the kernels of other processes.

    await bot.start(listen=8089)
    WireView(bot)

A message of many fragments has one row, with a bar. The one rule to remember: it watches only
while it is open, and a slow view loses rows, never frames.
"""

from collections import OrderedDict
from dataclasses import dataclass

from sessionbot_kit.bot import Bot
from sessionbot_kit.links.websocket import Passing, Seen, Tap
from sessionbot_kit.tables import Table
from sessionbot_kit.views import look
from sessionbot_kit.views.view import View

COLUMNS = ("way", "message", "kernel", "state", "fragments", "bytes")
MOST_MESSAGES = 40


@dataclass(slots=True)
class Crossing:
    """One message on its way: what has passed of it."""

    way: str
    link: str
    state: str = "open"
    fragments: int = 0
    size: int = 0


class WireView(View):
    """The newest messages that crossed, the newest first."""

    title = "wire"

    def __init__(self, bot: Bot, tap: Tap | None = None) -> None:
        super().__init__()
        self.bot = bot
        self.crossings: OrderedDict[str, Crossing] = OrderedDict()
        self.frames = 0
        self.bytes = 0
        self._passing: Passing | None = None
        if tap is not None:
            self._passing = tap.listen()
            self._passing.__enter__()
            self.follow(_Frames(self._passing), self.take_in)
        self.paint()

    def take_in(self, frames: list[Seen]) -> None:
        for seen in frames:
            self.frames += 1
            self.bytes += seen.frame_bytes
            key = f"{seen.link} {seen.way} {seen.id}"
            crossing = self.crossings.setdefault(key, Crossing(seen.way, seen.link))
            crossing.fragments += 1
            crossing.size += seen.frame_bytes
            crossing.state = seen.state
            self.crossings.move_to_end(key)
        while len(self.crossings) > MOST_MESSAGES:
            self.crossings.popitem(last=False)
        self.paint()

    def paint(self) -> None:
        self.show(look.page(look.table(self._title(), COLUMNS, self.rows(), note=self._note())))

    def rows(self) -> list[tuple[object, ...]]:
        return [
            (
                "→ out" if crossing.way == "out" else "← in",
                key.rpartition(" ")[2],
                crossing.link,
                crossing.state,
                crossing.fragments,
                crossing.size,
            )
            for key, crossing in reversed(self.crossings.items())
        ]

    def text(self) -> str:
        return Table(self._title(), COLUMNS, self.rows()[:20], self._note()).text()

    def static(self) -> str:
        return look.table(self._title(), COLUMNS, self.rows(), note=self._note())

    def close(self) -> None:
        super().close()
        passing, self._passing = self._passing, None
        if passing is not None:
            passing.__exit__()

    def _title(self) -> str:
        return f"Messages on the wire of {self.bot.name}"

    def _note(self) -> str:
        if self._passing is None:
            return "No port is open; await bot.start(listen=8089) opens one"
        lost = f", {self._passing.dropped:,} not shown" if self._passing.dropped else ""
        return f"{self.frames:,} frames, {self.bytes:,} bytes{lost}"


class _Frames:
    """A listener on the wire, as something to follow."""

    def __init__(self, passing: Passing) -> None:
        self._passing = passing

    async def next(self) -> Seen:
        return await anext(self._passing)

    def take(self) -> list[Seen]:
        return self._passing.take()
