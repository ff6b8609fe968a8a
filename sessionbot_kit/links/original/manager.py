"""The gateway's side: an original plugin manager connects, and we are its broker.

    on_original_peer=original_managers(gateway.serve, bot="05...")

It is one plugin to the gateway, `session_bot`, and takes what nobody else does; which of its own
plugins answers, it finds out by itself. The one rule to remember: it does not say what it answers,
so each person has one open turn, and the next reply to that person ends it.
"""

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosedError

from sessionbot_kit.link import Frame, Hello, Link, Offer, Result
from sessionbot_kit.links.original.link import Document, OriginalLink, attachments_of, media_of
from sessionbot_kit.models import OutgoingMessage
from sessionbot_kit.routes import Route

log = logging.getLogger(__name__)

OnLink = Callable[[Link], Awaitable[None] | None]

PLUGIN = "session_bot"


class ManagerLink(OriginalLink):
    """The gateway's end; turns that nobody answers end without a reply, as they always did."""

    def __init__(self, name: str, *, bot: str, answer_timeout_s: float) -> None:
        super().__init__(name)
        self._bot = bot
        self._answer_timeout_s = answer_timeout_s
        self._turns: dict[str, deque[Offer]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        route = Route(PLUGIN, default=True, summary="the plugins of an original manager")
        self.deliver(Hello(bot, name, (route,)))

    def documents(self, frame: Frame) -> list[Document]:
        if not isinstance(frame, Offer):
            return []
        waiting = self._turns.setdefault(frame.message.sender_id, deque())
        waiting.append(frame)
        return [self._question(frame)] if len(waiting) == 1 else []

    def _question(self, offer: Offer) -> Document:
        message = offer.message
        self._timers[message.sender_id] = asyncio.get_running_loop().call_later(
            self._answer_timeout_s, self._settle, message.sender_id, ()
        )
        # It looks for prefixes by itself. And yes: `to` is the person, `from` is the bot.
        return {
            "to": message.sender_id,
            "from": self._bot,
            "text": message.content if message.raw_content is None else message.raw_content,
            "attachments": attachments_of(message),
        }

    def heard(self, document: Document) -> None:
        person = document["from"]
        if person not in self._turns:
            log.warning("a reply to nobody was dropped", extra={"link": self.name})
            return
        message = self._turns[person][0].message
        self._settle(person, (message.reply(document["text"], media=media_of(document)),))

    def _settle(self, person: str, replies: tuple[OutgoingMessage, ...]) -> None:
        """A person's turn is over; the next one of that person begins."""
        self._timers.pop(person).cancel()
        waiting = self._turns[person]
        offer = waiting.popleft()
        named = tuple(
            reply.model_copy(update={"id": f"{offer.turn}/{step}"})
            for step, reply in enumerate(replies)
        )
        self.deliver(Result(offer.turn, offer.attempt, offer.epoch, named))
        if waiting:
            self.say(self._question(waiting[0]))
        else:
            del self._turns[person]

    def finish(self) -> None:
        super().finish()
        for timer in self._timers.values():
            timer.cancel()


def original_managers(
    on_link: OnLink, *, bot: str = "bot", answer_timeout_s: float = 30.0
) -> Callable[[ServerConnection], Awaitable[None]]:
    """Serve plugin managers that connect without a subprotocol; `bot` is who they speak for."""

    async def serve(socket: ServerConnection) -> None:
        name = f"original manager {(socket.remote_address or ('?',))[0]}"
        link = ManagerLink(name, bot=bot, answer_timeout_s=answer_timeout_s)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_host(on_link, link))
                await link.converse(socket)
                link.finish()
        except* ConnectionClosedError:
            log.info("connection over", extra={"link": name})
        finally:
            link.finish()

    return serve


async def _host(on_link: OnLink, link: ManagerLink) -> None:
    try:
        work = on_link(link)
        if inspect.isawaitable(work):
            await work
            link.finish()
    except Exception:
        log.exception("a link's handler failed", extra={"link": link.name})
        link.finish()
