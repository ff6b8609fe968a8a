"""Reads our mailbox: every record once, in whatever order nodes have them, and none is forgotten.

    reader = MailboxReader(identity, swarm, state, handle)
    await reader.look()                     # ask one node; what is new goes to `handle`

Each node keeps records in its own order, so each has its own cursor. A record is known again by
its hash, and what is inside it by its signature: the same words in another envelope are the same
words. One rule to remember: **a cursor moves only over records that are done with**; what was
read and not handled when we ended is read again.
"""

import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from sessionbot_kit.channels.session_messenger.envelope import unpack
from sessionbot_kit.channels.session_messenger.events import Event, Passed, understand
from sessionbot_kit.channels.session_messenger.identity import Identity, short
from sessionbot_kit.channels.session_messenger.order import Order
from sessionbot_kit.channels.session_messenger.rpc import Node, Stored
from sessionbot_kit.channels.session_messenger.state import State
from sessionbot_kit.channels.session_messenger.swarm import Found
from sessionbot_kit.errors import RecordError

log = logging.getLogger(__name__)

MAX_HELD_BYTES = 16_000_000  # of records that wait to be handled
MAX_PAGES = 50  # of one look; a node that always has more is left for a while
STAY_S = 900.0

Handle = Callable[[Event], Awaitable[None]]


class Mailbox(Protocol):
    """What the reader needs of a swarm."""

    async def retrieve(
        self, owner: Identity, *, cursor: Callable[[Node], str], prefer: Node | None = None
    ) -> Found: ...


@dataclass(eq=False, slots=True)
class Ticket:
    """A record's place in the order of a node."""

    node: Node
    hash: str
    done: bool = False


class MailboxReader:
    """One for each bot, while it listens."""

    def __init__(
        self,
        owner: Identity,
        swarm: Mailbox,
        state: State,
        handle: Handle,
        *,
        now_ms: Callable[[], int],
        monotonic: Callable[[], float],
        stay_s: float = STAY_S,
    ) -> None:
        self._owner = owner
        self._swarm = swarm
        self._state = state
        self._handle = handle
        self._now_ms = now_ms
        self._monotonic = monotonic
        self._stay_s = stay_s
        self._order = Order("mailbox")
        self._node: Node | None = None
        self._since = 0.0
        self._read: dict[str, str] = {}  # how far each node was read, done with or not
        self._tickets: dict[str, deque[Ticket]] = {}
        self._under_way: dict[bytes, list[Ticket]] = {}
        self._held_bytes = 0

    async def look(self) -> int:
        """Read what is new on one node, to its end; returns how many events that made."""
        events = 0
        for _ in range(MAX_PAGES):
            if self._held_bytes > MAX_HELD_BYTES:
                await self._order.settled()
            found = await self._swarm.retrieve(
                self._owner, cursor=self._position, prefer=self._preferred()
            )
            if found.node != self._node:
                self._node, self._since = found.node, self._monotonic()
            for stored in found.records:
                events += self._take(found.node, stored)
            if found.records:
                self._read[found.node.ed25519] = found.records[-1].hash
                self._advance(found.node)
            if not found.more:
                break
        return events

    async def settled(self) -> None:
        """Wait until everything that was read is done with."""
        await self._order.settled()

    async def stop(self) -> None:
        """Leave what is not done; it is read again next time."""
        await self._order.stop()

    def _preferred(self) -> Node | None:
        # Now and then another node is read: one that has forgotten a record, or hides it, is not
        # the only one we listen to.
        return self._node if self._monotonic() - self._since < self._stay_s else None

    def _position(self, node: Node) -> str:
        return self._read.get(node.ed25519) or self._state.cursor(node)

    def _take(self, node: Node, stored: Stored) -> bool:
        ticket = Ticket(node, stored.hash)
        self._tickets.setdefault(node.ed25519, deque()).append(ticket)
        key = stored.hash.encode()
        if self._joins(key, ticket):
            return False
        try:
            opened = unpack(stored.data, self._owner)
            if self._joins(opened.fingerprint, ticket):
                return self._finish(ticket, (key,)) if ticket.done else False
            event = understand(opened, me=self._owner.session_id, now=self._now_ms())
        except RecordError as error:
            log.info("record refused", extra={"hash": stored.hash, "reason": str(error)})
            return self._finish(ticket, (key,))
        keys = (key, opened.fingerprint)
        if isinstance(event, Passed):
            log.debug("record passed over", extra={"hash": stored.hash, "reason": event.why})
            return self._finish(ticket, keys)
        for one in keys:
            self._under_way[one] = [ticket]
        self._held_bytes += len(stored.data)
        self._order.put(opened.sender, partial(self._work, event, keys, len(stored.data)))
        log.debug("record opened", extra={"hash": stored.hash, "sender": short(opened.sender)})
        return True

    def _joins(self, key: bytes, ticket: Ticket) -> bool:
        """Whether this is known already; what is under way must be done before we move past it."""
        if (tickets := self._under_way.get(key)) is not None:
            tickets.append(ticket)
            return True
        if self._state.has_seen(key):
            ticket.done = True
            return True
        return False

    def _finish(self, ticket: Ticket, keys: tuple[bytes, ...]) -> bool:
        self._state.mark_seen(keys, self._now_ms())
        ticket.done = True
        return False

    async def _work(self, event: Event, keys: tuple[bytes, ...], size: int) -> None:
        await self._handle(event)
        self._state.mark_seen(keys, self._now_ms())
        self._held_bytes -= size
        for ticket in [one for key in keys for one in self._under_way.pop(key)]:
            ticket.done = True
            self._advance(ticket.node)

    def _advance(self, node: Node) -> None:
        tickets = self._tickets.get(node.ed25519, deque())
        last = None
        while tickets and tickets[0].done:
            last = tickets.popleft().hash
        if last is not None:
            self._state.set_cursor(node, last)
