"""How the house is doing: the loop's lag, what waits, and how much passes.

    HealthView(bot)

One sample a second, of the last minute. The one rule to remember: the lag is measured in the loop
that this view lives in; a cell that blocks for five seconds shows as five seconds.
"""

import asyncio
import time
from collections import deque

from sessionbot_kit.bot import Bot
from sessionbot_kit.events import Received, Sent
from sessionbot_kit.tables import Card
from sessionbot_kit.views import look
from sessionbot_kit.views.view import View

SAMPLE_S = 1.0
KEPT = 60


class HealthView(View):
    """Four small plots."""

    title = "health"

    def __init__(self, bot: Bot) -> None:
        super().__init__()
        self.bot = bot
        self.lag_ms: deque[float] = deque(maxlen=KEPT)
        self.heard: deque[float] = deque(maxlen=KEPT)
        self.sent: deque[float] = deque(maxlen=KEPT)
        self.turns: deque[float] = deque(maxlen=KEPT)
        self.letters: deque[float] = deque(maxlen=KEPT)
        self._watch = bot.feed.open()
        self.start(self._sample(), "sampling")
        self.paint()

    def sample(self, lag_s: float = 0.0) -> None:
        """Note how things are now."""
        events = self._watch.take()
        gateway = self.bot.gateway if self.bot.running else None
        self.lag_ms.append(lag_s * 1000)
        self.heard.append(sum(isinstance(event, Received) for event in events))
        self.sent.append(sum(isinstance(event, Sent) for event in events))
        self.turns.append(len(gateway.turns) if gateway else 0)
        self.letters.append(len(gateway.courier) if gateway else 0)
        self.paint()

    def paint(self) -> None:
        state = "running" if self.bot.running else "not running"
        plots = [
            look.plot("Loop lag", list(self.lag_ms), " ms", floor=10),
            look.plot("Messages in a second", list(self.heard), floor=5),
            look.plot("Replies in a second", list(self.sent), floor=5),
            look.plot("Turns waiting or running", list(self.turns), floor=5),
            look.plot("Replies waiting", list(self.letters), floor=5),
        ]
        title = f"<h4>{look.words(self.bot.name)}, {state}</h4>"
        self.show(look.page(title, f'<div class="sbk-plots">{"".join(plots)}</div>'))

    def card(self) -> Card:
        return Card(
            f"Health of {self.bot.name}",
            {
                "state": "running" if self.bot.running else "not running",
                "turns waiting or running": int(self.turns[-1]) if self.turns else 0,
                "replies waiting": int(self.letters[-1]) if self.letters else 0,
            },
        )

    def text(self) -> str:
        return self.card().text()

    def static(self) -> str:
        return self.card().html()

    def close(self) -> None:
        super().close()
        self.bot.feed.close(self._watch)

    async def _sample(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(SAMPLE_S)
            self.sample(max(0.0, time.monotonic() - before - SAMPLE_S))
