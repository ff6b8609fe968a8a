"""What a bot needs in a loop that it shares with the cells of a notebook.

    vigil = Vigil(feed)
    await vigil.run()          # a task of the bot, begun by the cell that started it

Tells when a cell has kept the loop to itself, and how many messages waited meanwhile. Errors of
tasks that nobody asks about reach the log, too: Python tells of them when it collects garbage, in
whichever cell then runs, or in none. Here they are told in the cell that has started the bot. The
one rule to remember: what happens in the background is never printed into a stranger's cell.
"""

import asyncio
import contextvars
import logging
from typing import Any

from sessionbot_kit.events import Feed, Received
from sessionbot_kit.pulse import BEAT_S, Pulse

log = logging.getLogger(__name__)


class Vigil:
    """Watches over a bot's loop."""

    def __init__(self, feed: Feed) -> None:
        self.pulse = Pulse(self._tell)
        self._feed = feed

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        here = contextvars.copy_context()
        before = loop.get_exception_handler()

        def tell(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            # A copy, because a context is entered by one only.
            here.copy().run(_log, context)

        loop.set_exception_handler(tell)
        try:
            await self.pulse.run()
        finally:
            if loop.get_exception_handler() is tell:
                loop.set_exception_handler(before)

    async def _tell(self, seconds: float) -> None:
        watch = self._feed.open()
        try:
            await asyncio.sleep(BEAT_S)  # now they come in
        finally:
            self._feed.close(watch)
        waited = sum(isinstance(event, Received) for event in watch.take())
        log.warning(
            "the Jupyter kernel was busy",
            extra={
                "seconds": round(seconds, 1),
                "messages_waited": waited,
                "hint": "await in the cell, or asyncio.to_thread(...)",
            },
        )


def _log(context: dict[str, Any]) -> None:
    log.error(
        "error beside the turns",
        extra={"reason": context["message"]},
        exc_info=context.get("exception"),
    )
