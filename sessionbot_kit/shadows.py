"""Kernels in the shadow: they are given copies of turns, and what they answer is only compared.

    shadows.join(link, hello)
    shadows.follow(row, offer, live, steps)      # after the live turn is on the disk
    shadows.take(link, result)                   # its answer: told as Compared, and that is all

A copy brings the world of the live turn: its message, variables, window, clock and seed. What the
live turn did `once` is recalled; what it did not do is not done, and shown as "would do". Dialogs
of shadows live here, in memory, so that a plugin which asks something else than the live one can
go on; they are bounded, and so are the copies that wait. The one rule to remember: **nothing that
comes from a shadow leads anywhere but here**, and a shadow that is slow misses turns.
"""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from sessionbot_kit.crew import Crew
from sessionbot_kit.differences import compare
from sessionbot_kit.errors import LinkClosed
from sessionbot_kit.events import Compared, Feed
from sessionbot_kit.journal import Entry, carried
from sessionbot_kit.link import Hello, Link, Live, Offer, Result
from sessionbot_kit.routes import choose, first_word
from sessionbot_kit.store import InboxRow

log = logging.getLogger(__name__)

MAX_WAITING: Final = 200  # copies on their way to one shadow
MAX_DIALOGS: Final = 1_000
PATIENCE_S: Final = 15.0  # beyond what a shadow gives its own turns

CANCEL: Final = "/cancel"


@dataclass(frozen=True, slots=True)
class Copy:
    """A live turn that is over."""

    row: InboxRow
    offer: Offer
    live: Live
    done: tuple[Entry, ...]  # what it did once


@dataclass(slots=True)
class Dialog:
    """What a shadow has asked; without entries, nothing is open."""

    plugin: str = ""
    entries: tuple[Entry, ...] = ()


@dataclass(slots=True)
class Shadow:
    """A kernel that looks on."""

    hello: Hello
    missed: int = 0
    waiting: int = 0
    queues: dict[str, deque[Copy]] = field(default_factory=dict)  # by session
    answers: dict[str, "asyncio.Future[Result]"] = field(default_factory=dict)  # by turn
    dialogs: OrderedDict[str, Dialog] = field(default_factory=OrderedDict)


class Shadows:
    """All kernels in the shadow of a gateway."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._crew = Crew("shadows")
        self._shadows: dict[Link, Shadow] = {}

    def __bool__(self) -> bool:
        return bool(self._shadows)

    def join(self, link: Link, hello: Hello) -> None:
        """A shadow is here, or says anew what it has."""
        if (shadow := self._shadows.get(link)) is None:
            self._shadows[link] = Shadow(hello)
            log.info("shadow joined", extra={"kernel": hello.kernel})
        else:
            shadow.hello = hello

    def leave(self, link: Link) -> None:
        """A shadow has gone, and takes its dialogs with it."""
        if (shadow := self._shadows.pop(link, None)) is not None:
            for answer in shadow.answers.values():
                answer.cancel()
            extra = {"kernel": shadow.hello.kernel, "missed": shadow.missed}
            log.info("shadow left", extra=extra)

    async def close(self) -> None:
        await self._crew.stop()

    def follow(self, row: InboxRow, offer: Offer, live: Live, done: Iterable[Entry] = ()) -> None:
        """Give every shadow the copy of a turn; whoever has too many already misses it."""
        copy = Copy(row, offer, live, tuple(done))
        for link, shadow in self._shadows.items():
            only = shadow.hello.only
            if only is not None and not only.fits(row.message, row.session_id):
                continue
            if shadow.waiting >= MAX_WAITING:
                shadow.missed += 1
                continue
            shadow.waiting += 1
            if (queue := shadow.queues.get(row.session_id)) is not None:
                queue.append(copy)
                continue
            shadow.queues[row.session_id] = deque([copy])
            self._crew.start(self._run(link, shadow, row.session_id), f"session {row.session_id}")

    def take(self, link: Link, result: Result) -> None:
        """A shadow has answered."""
        shadow = self._shadows.get(link)
        answer = shadow.answers.get(result.turn) if shadow is not None else None
        if answer is not None and not answer.done():
            answer.set_result(result)

    async def settle(self) -> None:
        """Wait until every copy that was given out is compared."""
        await self._crew.drain(60.0)

    async def _run(self, link: Link, shadow: Shadow, session: str) -> None:
        queue = shadow.queues[session]
        try:
            while queue and self._shadows.get(link) is shadow:
                await self._compare(link, shadow, queue[0])
                queue.popleft()
                shadow.waiting -= 1
        except LinkClosed:
            log.debug("shadow gone", extra={"link": link.name})
        finally:
            shadow.waiting -= len(queue)
            del shadow.queues[session]

    async def _compare(self, link: Link, shadow: Shadow, copy: Copy) -> None:
        offer = _offer(shadow, copy)
        if offer is None:
            return
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        shadow.answers[offer.turn] = answer
        try:
            async with asyncio.timeout(shadow.hello.turn_timeout_s + PATIENCE_S):
                await link.send(offer)
                result = await answer
        except TimeoutError:
            shadow.missed += 1
            return
        except asyncio.CancelledError:
            if link in self._shadows:
                raise
            return  # it has left
        finally:
            del shadow.answers[offer.turn]
        _note(shadow, offer, result)
        self._tell(shadow, offer, result)

    def _tell(self, shadow: Shadow, offer: Offer, result: Result) -> None:
        found = compare(offer, result)
        self._feed.tell(
            Compared(
                turn=offer.turn,
                session=offer.session_id,
                plugin=offer.plugin,
                kernel=shadow.hello.kernel,
                live=found.live,
                shadow=found.shadow,
                same=found.same,
                error=found.error,
                would_do=found.would_do,
            )
        )


def _offer(shadow: Shadow, copy: Copy) -> Offer | None:
    """What the shadow has to run; None when it is none of its business."""
    row, offer = copy.row, copy.offer
    text = row.message.content
    routes = shadow.hello.routes
    own = shadow.dialogs.get(row.session_id)
    word = first_word(text)[0]
    commands = {prefix for route in routes for prefix in route.prefixes}
    if row.kind == "message" and word == CANCEL and CANCEL not in commands:
        _forget(shadow, row.session_id)
        return None
    plugin, content = "", text
    journal: tuple[Entry, ...] = ()
    is_answer = row.kind != "message" or word not in commands
    if own is not None and own.entries and is_answer:
        plugin, journal = own.plugin, own.entries
    elif own is None and offer.journal and any(route.plugin == offer.plugin for route in routes):
        plugin, content, journal = offer.plugin, offer.message.content, offer.journal
    elif row.kind != "message":
        return None
    elif (choice := choose(text, ((None, route) for route in routes))) is not None:
        plugin, content = choice.route.plugin, choice.content
    else:
        return None
    message = row.message.model_copy(update={"content": content, "raw_content": text})
    return replace(
        offer,
        plugin=plugin,
        message=message,
        journal=(*journal, *carried(copy.done)),
        live=copy.live,
    )


def _note(shadow: Shadow, offer: Offer, result: Result) -> None:
    """Keep the dialog of a shadow, as the store keeps that of a live kernel."""
    if result.asks:
        before = () if result.anew else offer.journal
        entries = (*before, *result.entries)
        shadow.dialogs[offer.session_id] = Dialog(offer.plugin, entries)
    else:
        shadow.dialogs[offer.session_id] = Dialog()
    shadow.dialogs.move_to_end(offer.session_id)
    if len(shadow.dialogs) > MAX_DIALOGS:
        shadow.dialogs.popitem(last=False)


def _forget(shadow: Shadow, session: str) -> None:
    shadow.dialogs[session] = Dialog()
