"""Takes replies from the outbox to their channels: in order, again when it must, never for ever.

Each (channel, account, chat) is a lane: first in, first out, retries included. A lane exists only
while it has something to carry. A reply leaves the outbox when its channel has taken it, or
becomes a dead letter after the last try or when the channel says that it never will. A platform
that takes only so many messages a second is not asked faster, whatever the lanes.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from sessionbot_kit.bounds import Bounds
from sessionbot_kit.crew import Crew
from sessionbot_kit.errors import StoreError
from sessionbot_kit.events import Failed, Feed, Sent
from sessionbot_kit.logs import correlated
from sessionbot_kit.metronome import Metronome
from sessionbot_kit.models import IncomingMessage, OutgoingMessage, SendResult
from sessionbot_kit.store import OutboxRow, Store

log = logging.getLogger(__name__)

Send = Callable[[OutgoingMessage], Awaitable[SendResult]]
Lane = tuple[str, str, str]

RECENT: Final = 1_000


@dataclass(frozen=True, slots=True)
class Patience:
    """How hard the courier tries."""

    tries: int = 8
    first_wait_s: float = 1.0
    longest_wait_s: float = 300.0
    send_timeout_s: float = 60.0


class Courier:
    """Carries outbox rows. `send` reaches the channel; it may fail in every way there is."""

    def __init__(
        self,
        store: Store,
        send: Send,
        feed: Feed,
        patience: Patience | None = None,
        bounds: Bounds | None = None,
        *,
        most_per_s: Mapping[str, float] | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._send = send
        self._feed = feed
        self._patience = patience or Patience()
        self._sleep = sleep
        self._beats = {channel: Metronome(most) for channel, most in (most_per_s or {}).items()}
        self._crew = Crew("courier")
        self._known: set[str] = set()  # in a lane, or sent and not yet marked
        self._strange: set[str] = set()  # in the outbox at the last look, and not known
        self._lanes: dict[Lane, deque[OutboxRow]] = {}
        self._bounds = bounds or Bounds()
        self._waiting = 0
        self._room: asyncio.Future[None] | None = None  # somebody waits until there is some
        self._empty: dict[Lane, asyncio.Event] = {}
        self._recent: dict[str, tuple[str, ...]] = {}  # may not be in the store yet
        self._unmarked = 0  # sent, and not written down yet
        self._marked: asyncio.Event | None = None

    async def room(self, lane: Lane) -> None:
        """Wait while too many replies wait; a chat that has none waiting always has room."""
        while (rows := self._lanes.get(lane)) is not None and (
            len(rows) >= self._bounds.replies_per_chat or self._waiting >= self._bounds.replies
        ):
            if self._room is None or self._room.done():
                self._room = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._room)

    def post(self, row: OutboxRow) -> None:
        """Take a reply over, behind those that wait for the same chat."""
        self._waiting += 1
        self._known.add(row.id)
        lane = lane_of(row.message)
        if (rows := self._lanes.get(lane)) is not None:
            rows.append(row)
            return
        self._lanes[lane] = deque([row])
        self._crew.start(self._carry(lane), f"lane {lane[0]}")

    async def look(self) -> None:
        """Take up what somebody else put into the outbox, such as a dead letter to be retried.

        Only what is there at two looks: a reply that is being marked as sent is gone by then.
        """
        before = set(self._known)
        rows = [row for row in await self._store.unsent() if row.id not in before | self._known]
        for row in rows:
            if row.id in self._strange:
                self.post(row)
        self._strange = {row.id for row in rows} - self._known

    async def ids_of(self, reply: str) -> tuple[str, ...] | None:
        """What its channel calls a reply of ours; None when there is no such reply."""
        if (ids := self._recent.get(reply)) is not None:
            return ids
        return await self._store.ids_of(reply)

    def waiting(self) -> list[OutboxRow]:
        """What no channel has taken yet, chat by chat."""
        return [row for rows in self._lanes.values() for row in rows]

    def __len__(self) -> int:
        return sum(len(rows) for rows in self._lanes.values())

    async def settle(self, lane: Lane | None = None) -> None:
        """Wait until a lane is empty; or every lane, and that is on the disk."""
        lanes = list(self._lanes) if lane is None else [lane]
        for one in lanes:
            if one in self._lanes:
                await self._empty.setdefault(one, asyncio.Event()).wait()
        if lane is None:
            await self._all_marked()

    async def stop(self, *, drain_s: float = 0.0) -> None:
        """Give what is under way a moment; the rest stays in the outbox for the next start."""
        await self._crew.stop(drain_s=drain_s)
        await self._all_marked()
        self._lanes.clear()
        self._known.clear()

    async def _all_marked(self) -> None:
        if self._unmarked:
            self._marked = asyncio.Event()
            await self._marked.wait()

    async def _carry(self, lane: Lane) -> None:
        rows = self._lanes[lane]
        try:
            while rows:
                with correlated(_turn(rows[0]), session_id=rows[0].session_id):
                    await self._deliver(rows[0])
                rows.popleft()
                self._make_room(1)
        finally:
            del self._lanes[lane]
            self._make_room(len(rows))
            if (empty := self._empty.pop(lane, None)) is not None:
                empty.set()

    def _make_room(self, count: int) -> None:
        self._waiting -= count
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    async def _deliver(self, row: OutboxRow) -> None:
        for attempt in range(row.attempts + 1, self._patience.tries + 1):
            result = await self._try(row.message)
            if result:
                return self._note_sent(row, result)
            error = result.error or "the channel gave no reason"
            log.warning(
                "reply not sent",
                extra={"reply": row.id, "attempt": attempt, "error": error},
            )
            given_up = result.permanent or attempt == self._patience.tries
            write = self._store.bury if given_up else self._store.failed
            await self._insist(partial(write, row.id, error))
            self._feed.tell(Failed(turn=_turn(row), session=row.session_id, error=error))
            if given_up:
                return self._known.discard(row.id)
            await self._sleep(self._wait_s(attempt, result.retry_after))

    async def _try(self, message: OutgoingMessage) -> SendResult:
        if (beat := self._beats.get(message.channel_type)) is not None:
            await self._sleep(beat.wait_s(asyncio.get_running_loop().time()))
        try:
            async with asyncio.timeout(self._patience.send_timeout_s):
                return await self._send(message)
        except TimeoutError:
            return SendResult(
                ok=False, error=f"no answer within {self._patience.send_timeout_s:g} s"
            )
        except Exception as fault:  # somebody else's channel
            log.exception("channel failed", extra={"channel": message.channel_type})
            return SendResult(ok=False, error=f"{type(fault).__name__}: {fault}")

    def _note_sent(self, row: OutboxRow, result: SendResult) -> None:
        """Have it written down with the next commit: nobody needs to wait for that."""

        def noted(error: BaseException | None) -> None:
            self._unmarked -= 1
            if error is not None:
                log.error("outbox not written", extra={"error": str(error)})
                write = partial(self._store.sent, row.id, result.ids)
                self._crew.start(self._insist(write), "mark")
            self._known.discard(row.id)
            if self._unmarked == 0 and self._marked is not None:
                self._marked.set()

        self._recent[row.id] = result.ids
        if len(self._recent) > RECENT:
            del self._recent[next(iter(self._recent))]
        self._unmarked += 1
        self._store.sent_soon(row.id, result.ids, noted)
        if self._feed.watched:
            self._feed.tell(
                Sent(turn=_turn(row), session=row.session_id, reply=row.id, ids=result.ids)
            )
        log.info("reply sent", extra={"reply": row.id})

    async def _insist(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write it down, however long the store is away: else the reply would be sent again."""
        wait_s = 0.1
        while True:
            try:
                return await write()
            except StoreError as error:
                log.error("outbox not written", extra={"error": str(error)})
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, 30.0)

    def _wait_s(self, attempt: int, retry_after: float | None) -> float:
        first, ceiling = self._patience.first_wait_s, self._patience.longest_wait_s
        longest = min(first * 2 ** (attempt - 1), ceiling)
        # Full jitter: chats that failed together do not come back together.
        return max(random.uniform(0, longest), retry_after or 0.0)


def lane_of(message: IncomingMessage | OutgoingMessage) -> Lane:
    """Which lane carries a message."""
    return message.channel_type, message.account, message.channel_id


def _turn(row: OutboxRow) -> str:
    return row.id.rpartition("/")[0]
