"""A reply that is shown as it grows: sent once, edited, and in the end what was said.

    drafts.show("turn-1", "Once upon", message, outlet)           # the platform can edit
    await drafts.settle(reply)        # the reply is in the outbox: the draft becomes that reply

Drafts are shown beside the outbox and are not durable: what counts is the reply, which is written
down before the draft becomes it. A process that dies in between leaves the draft as it was and says
the reply again. The one rule to remember: of what is to be shown only the newest is, so a slow
platform slows nobody.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Final

from sessionbot_kit.crew import Crew
from sessionbot_kit.models import Act, IncomingMessage, OutgoingMessage, SendResult
from sessionbot_kit.outlet import Outlet

log = logging.getLogger(__name__)

MOST: Final = 1_000  # drafts at the same time; more are not shown
LAST_S: Final = 10.0  # how long a platform may take to show a draft while its reply waits
GROWS: Final = " …"


@dataclass(slots=True)
class Draft:
    """One of them: what it shall be, and what the platform calls it."""

    turn: str
    message: IncomingMessage
    outlet: Outlet
    text: str = ""
    id: str | None = None
    over: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)
    shown: asyncio.Event = field(default_factory=asyncio.Event)


class Drafts:
    """The drafts of the turns that run."""

    def __init__(self) -> None:
        self._crew = Crew("drafts")
        self._drafts: dict[str, Draft] = {}

    def show(self, turn: str, text: str, message: IncomingMessage, outlet: Outlet) -> None:
        """Show how far the answer of a turn has come."""
        draft = self._drafts.get(turn)
        if draft is None:
            if len(self._drafts) >= MOST:
                return
            draft = self._drafts[turn] = Draft(turn, message, outlet)
            self._crew.start(self._work(draft), f"draft {turn}")
        draft.text = text
        draft.news.set()

    async def settle(self, reply: OutgoingMessage) -> SendResult | None:
        """Make the draft of its turn a reply; None when there is none, or it cannot be."""
        draft = self._drafts.pop((reply.id or "").rpartition("/")[0], None)
        if draft is None:
            return None
        draft.over = True
        draft.news.set()
        try:
            async with asyncio.timeout(LAST_S):
                await draft.shown.wait()
                if draft.id is None or reply.media:
                    return None
                result = await _edit(draft.outlet, reply, draft.id)
        except Exception as error:  # somebody else's channel; the reply is sent as any other
            log.debug("draft not settled", extra={"reply": reply.id, "error": str(error)})
            return None
        return result if result else None

    async def stop(self) -> None:
        await self._crew.stop()
        self._drafts.clear()

    async def _work(self, draft: Draft) -> None:
        try:
            while True:
                await draft.news.wait()
                draft.news.clear()
                if draft.over:
                    return
                await self._show(draft)
        except Exception as error:  # somebody else's channel
            log.debug("draft not shown", extra={"error": str(error)})
        finally:
            draft.shown.set()

    async def _show(self, draft: Draft) -> None:
        room = (draft.outlet.max_chars or len(draft.text) + len(GROWS)) - len(GROWS)
        # Not the id of the reply: a platform that knows that one would not take the reply itself.
        id = f"{draft.turn}/draft"
        shown = draft.message.reply(draft.text[:room] + GROWS, id=id)
        if draft.id is not None:
            await _edit(draft.outlet, shown, draft.id)
            return
        result = await draft.outlet.send(shown)
        if result.ok and result.ids:
            draft.id = result.ids[0]


async def _edit(outlet: Outlet, message: OutgoingMessage, id: str) -> SendResult:
    act = Act(verb="edit", target=id)
    return await outlet.send(message.model_copy(update={"act": act}), (id,))
