"""The kernel's side: we call an original broker, and are its plugin manager.

    async with original_broker("ws://127.0.0.1:8089") as link:
        await kernel.serve(link)

The broker has no store: which plugin answers is found here, by the routes of the kernel's Hello,
and the variables of a conversation are kept here, for as long as the link lives. The one rule to
remember: a message that came while we were away is lost, because the broker keeps none.
"""

import asyncio
import logging
import random
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Self
from urllib.parse import urlsplit

from pydantic import JsonValue
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidHandshake

from sessionbot_kit.backoff import Backoff
from sessionbot_kit.crew import Crew
from sessionbot_kit.errors import MessageError, UsageError
from sessionbot_kit.ids import new_id
from sessionbot_kit.link import Frame, Hello, Offer, Result
from sessionbot_kit.links.original.link import Document, OriginalLink, attachments_of, media_of
from sessionbot_kit.models import IncomingMessage
from sessionbot_kit.original_peers import READ_LIMITS
from sessionbot_kit.routes import Route, choose

log = logging.getLogger(__name__)

LOOPBACK = ("localhost", "127.0.0.1", "::1")
MAX_PEOPLE = 1_000  # whose variables are remembered
MAX_TURNS = 100  # of one person that wait


class BrokerLink(OriginalLink):
    """The kernel's end; it calls again when the broker goes."""

    def __init__(
        self,
        url: str,
        *,
        backoff: Backoff | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        host = urlsplit(url).hostname
        if host not in LOOPBACK:
            raise UsageError(
                f"the original protocol has no token, so {url!r} is not called; "
                "run the broker on this machine, at ws://127.0.0.1:8089"
            )
        super().__init__(f"original broker {urlsplit(url).netloc}")
        self._url = url
        self._backoff = backoff or Backoff(random.random)
        self._sleep = sleep
        self._crew = Crew(self.name)
        self._routes: tuple[Route, ...] = ()
        self._turns: dict[str, deque[Offer]] = {}
        self._variables: OrderedDict[str, Mapping[str, JsonValue]] = OrderedDict()

    async def __aenter__(self) -> Self:
        self._crew.start(self._stay_connected(), "connection")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        await super().close()
        await self._crew.stop()

    async def _stay_connected(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            try:
                async with connect(
                    self._url,
                    compression=None,
                    proxy=None,
                    max_size=READ_LIMITS.frame_bytes,
                ) as socket:
                    await self.converse(socket)
            except* (OSError, TimeoutError, InvalidHandshake, ConnectionClosedError) as group:
                log.info("no connection", extra={"link": self.name, "error": str(group)})
            self._backoff.lasted(clock() - began)
            await self._sleep(self._backoff.delay())

    def heard(self, document: Document) -> None:
        person = document["to"]
        choice = choose(document["text"], [(self, route) for route in self._routes])
        if choice is None:
            log.info("nobody answers", extra={"link": self.name})
            return
        try:
            message = IncomingMessage(
                id=new_id(),
                channel_type="session_messenger",
                channel_id=person,
                sender_id=person,
                sender_name=person[:12],
                content=choice.content,
                raw_content=document["text"],
                timestamp=datetime.now(UTC),
                media=media_of(document),
                metadata={"bot": document["from"]},
            )
        except MessageError as error:
            log.warning("message refused", extra={"link": self.name, "error": str(error)})
            return
        waiting = self._turns.setdefault(person, deque())
        if len(waiting) >= MAX_TURNS:
            log.error("message dropped, too many wait", extra={"link": self.name})
            return
        waiting.append(Offer(message.id, 1, 0, choice.route.plugin, person, message))
        if len(waiting) == 1:
            self._begin(person)

    def _begin(self, person: str) -> None:
        offer = self._turns[person][0]
        variables = self._variables.get(person, {})
        self.deliver(Offer(offer.turn, 1, 0, offer.plugin, person, offer.message, variables))

    def documents(self, frame: Frame) -> list[Document]:
        if isinstance(frame, Hello):
            self._routes = frame.routes
        if not isinstance(frame, Result):
            return []
        person = next(
            (who for who, waiting in self._turns.items() if waiting[0].turn == frame.turn), None
        )
        if person is None:
            log.warning("stale result refused", extra={"turn": frame.turn, "link": self.name})
            return []
        if frame.error is not None:
            log.error("turn failed", extra={"turn": frame.turn, "error": frame.error})
        if frame.variables is not None:
            self._remember(person, frame.variables)
        offer = self._turns[person].popleft()
        if self._turns[person]:
            self._begin(person)
        else:
            del self._turns[person]
        return [
            {
                "to": str(offer.message.metadata["bot"]),
                "from": person,
                "text": reply.content,
                "attachments": attachments_of(reply),
            }
            for reply in frame.replies
        ]

    def _remember(self, person: str, variables: Mapping[str, JsonValue]) -> None:
        self._variables[person] = variables
        self._variables.move_to_end(person)
        if len(self._variables) > MAX_PEOPLE:
            self._variables.popitem(last=False)


def original_broker(
    url: str,
    *,
    backoff: Backoff | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> BrokerLink:
    """Call a broker on this machine, now and whenever it has gone."""
    return BrokerLink(url, backoff=backoff, sleep=sleep)
