"""What a shadow would have answered, beside what was answered.

    async for difference in attachment.differences:
        print(difference.live, difference.shadow, difference.same)
    attachment.diff            # the last ones as a table: live answers | shadow answers

A shadow is compared by the words that people would have read.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from sessionbot_kit.link import Offer, Result
from sessionbot_kit.tables import Table

KEPT: Final = 200


@dataclass(frozen=True, slots=True)
class Difference:
    """One turn, answered twice."""

    turn: str
    session_id: str
    text: str  # what the person said
    plugin: str
    live: tuple[str, ...]
    shadow: tuple[str, ...]
    live_error: str | None = None
    error: str | None = None  # of the shadow
    would_do: str | None = None  # the `once` that the live turn has not done: it ended there

    @property
    def same(self) -> bool:
        """Whether nobody would have noticed."""
        quiet = self.error is None and self.live_error is None and self.would_do is None
        return quiet and self.live == self.shadow


def compare(offer: Offer, result: Result) -> Difference:
    """Put the live answers of a turn beside those of a shadow."""
    live = offer.live
    raw = offer.message.raw_content
    return Difference(
        turn=offer.turn,
        session_id=offer.session_id,
        text=offer.message.content if raw is None else raw,
        plugin=offer.plugin,
        live=live.replies if live is not None else (),
        shadow=tuple(reply.content for reply in result.replies),
        live_error=live.error if live is not None else None,
        error=result.error,
        would_do=result.would_do,
    )


class Differences:
    """The last ones, and those that come. Whoever is too slow loses the oldest."""

    def __init__(self, limit: int = KEPT) -> None:
        self.seen = 0
        self.same = 0
        self._kept: deque[Difference] = deque(maxlen=limit)
        self._more = asyncio.Event()

    def add(self, difference: Difference) -> None:
        self.seen += 1
        self.same += difference.same
        self._kept.append(difference)
        self._more.set()

    async def __aiter__(self) -> AsyncIterator[Difference]:
        """All that are kept, then each that comes."""
        told = self.seen - len(self._kept)
        while True:
            while told < self.seen:
                told = max(told, self.seen - len(self._kept))
                told += 1
                yield self._kept[told - self.seen - 1]
            self._more.clear()
            await self._more.wait()

    def kept(self) -> list[Difference]:
        """The last ones, the newest last."""
        return list(self._kept)

    async def more_than(self, seen: int) -> int:
        """Wait until there were more than so many; how many there were then."""
        while self.seen <= seen:
            self._more.clear()
            await self._more.wait()
        return self.seen

    def table(self) -> Table:
        """Live answers and shadow answers, side by side."""
        rows = [
            (
                "same" if one.same else "differs",
                one.text,
                " / ".join(one.live) or _silence(one.live_error),
                " / ".join([*one.shadow, *_more(one)]) or "(nothing)",
            )
            for one in self._kept
        ]
        note = f"{self.seen} turns, {self.same} the same"
        return Table("Shadow", ("", "message", "live answers", "shadow answers"), rows, note=note)


def _more(one: Difference) -> list[str]:
    more = [f"(would do {one.would_do})"] if one.would_do is not None else []
    return [*more, f"({one.error})"] if one.error is not None else more


def _silence(error: str | None) -> str:
    return f"({error})" if error is not None else "(nothing)"
