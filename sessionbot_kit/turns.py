"""One turn at a time in each session, in order of arrival; sessions side by side.

    a row from the inbox -> its session's queue -> offered to a kernel -> result -> one commit
                                                                              -> courier

A session that is silent costs nothing: a queue exists only while something is in it. What is
committed is committed whole: the inbox row is done, the conversation is longer, the variables are
new, and the replies are in the outbox; or none of it is.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from sessionbot_kit.courier import Courier
from sessionbot_kit.crew import Crew
from sessionbot_kit.errors import KitError, LinkClosed, StaleLease, StoreError
from sessionbot_kit.events import Failed, Feed, Offered, Said
from sessionbot_kit.link import Link, Offer, Result
from sessionbot_kit.logs import correlated
from sessionbot_kit.models import IncomingMessage, OutgoingMessage
from sessionbot_kit.routes import Choice
from sessionbot_kit.store import InboxRow, Lease, NewMessage, OutboxRow, Store, Turn
from sessionbot_kit.switchboard import Switchboard

log = logging.getLogger(__name__)

APOLOGY = "Sorry, something went wrong here. It has been noted."
LONGEST_WAIT_S = 30.0


@dataclass(slots=True)
class _Queue:
    rows: deque[InboxRow] = field(default_factory=deque)
    empty: asyncio.Future[None] | None = None  # somebody waits for it


class Turns:
    """Answers what is in the inbox."""

    def __init__(
        self,
        store: Store,
        lease: Lease,
        switchboard: Switchboard,
        courier: Courier,
        feed: Feed,
        *,
        window: int = 20,
        count_tokens: Callable[[str], int],
    ) -> None:
        self._store = store
        self._lease = lease
        self._switchboard = switchboard
        self._courier = courier
        self._feed = feed
        self._window = window
        self._count_tokens = count_tokens
        self._crew = Crew("turns")
        self._queues: dict[str, _Queue] = {}

    def add(self, row: InboxRow) -> None:
        """Answer a row after those that its session has waiting."""
        if (queue := self._queues.get(row.session_id)) is not None:
            queue.rows.append(row)
            return
        self._queues[row.session_id] = queue = _Queue(deque([row]))
        self._crew.start(self._work(row.session_id, queue), f"session {row.session_id}")

    async def settle(self, session_id: str | None = None) -> None:
        """Wait until a session, or every session, is answered; raises what holds it up."""
        ids = list(self._queues) if session_id is None else [session_id]
        for one in ids:
            if (queue := self._queues.get(one)) is not None:
                if queue.empty is None or queue.empty.done():
                    queue.empty = asyncio.get_running_loop().create_future()
                await asyncio.shield(queue.empty)

    async def stop(self, *, drain_s: float = 0.0) -> None:
        """Give running turns a moment; what is not answered stays in the inbox."""
        await self._crew.stop(drain_s=drain_s)
        self._queues.clear()

    def __len__(self) -> int:
        return sum(len(queue.rows) for queue in self._queues.values())

    async def _work(self, session_id: str, queue: _Queue) -> None:
        try:
            while queue.rows:
                row = queue.rows[0]
                private = [row.message.content]
                try:
                    with correlated(row.id, private=private, session_id=session_id):
                        await self._answer(queue)
                except Exception:  # a turn is a boundary: the next message must be answered
                    log.exception("turn broke off", extra={"turn": row.id})
                queue.rows.popleft()
        finally:
            del self._queues[session_id]
            if queue.empty is not None and not queue.empty.done():
                queue.empty.set_result(None)

    async def _answer(self, queue: _Queue) -> None:
        """Answer the first row, however often the kernel dies or the store is away."""
        row = queue.rows[0]
        wait_s = 0.1
        while True:
            try:
                return await self._run(row)
            except LinkClosed as error:
                log.warning("turn is offered again", extra={"turn": row.id, "error": str(error)})
                row = replace(row, attempts=row.attempts + 1)
            except StaleLease as error:
                _tell(queue, error)
                raise
            except StoreError as error:
                log.error("turn waits for the store", extra={"turn": row.id, "error": str(error)})
                self._feed.tell(Failed(turn=row.id, session=row.session_id, error=str(error)))
                _tell(queue, error)
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    async def _run(self, row: InboxRow) -> None:
        message = row.message
        choice = await self._switchboard.serving(message.content)
        if choice is None:
            log.info("nobody answers", extra={"turn": row.id})
            await self._commit(row, None, None)
            return
        offer = await self._offer(row, choice)
        self._feed.tell(
            Offered(
                turn=row.id,
                session=row.session_id,
                plugin=offer.plugin,
                kernel=self._switchboard.kernel_name(choice.by),
                attempt=offer.attempt,
            )
        )
        result = await self._switchboard.ask(choice.by, offer)
        await self._commit(row, choice, result)

    async def _offer(self, row: InboxRow, choice: Choice[Link]) -> Offer:
        session = await self._store.session(row.session_id)
        if session is None:
            raise KitError(f"the session {row.session_id} of a waiting message is gone")
        return Offer(
            turn=row.id,
            attempt=row.attempts + 1,
            epoch=self._lease.epoch,
            plugin=choice.route.plugin,
            session_id=session.id,
            message=row.message.model_copy(
                update={"content": choice.content, "raw_content": row.message.content}
            ),
            variables=session.variables,
            window=await self._store.tail(session.id, self._window),
        )

    async def _commit(
        self, row: InboxRow, choice: Choice[Link] | None, result: Result | None
    ) -> None:
        plugin = choice.route.plugin if choice is not None else None
        replies = result.replies if result is not None else ()
        error = result.error if result is not None else None
        if error is not None:
            log.error(
                "turn failed",
                extra={
                    "turn": row.id,
                    "plugin": plugin,
                    "message_id": row.message.id,
                    "error": error,
                },
            )
            self._feed.tell(Failed(turn=row.id, session=row.session_id, error=error))
            replies = (row.message.reply(APOLOGY, id=f"{row.id}/0"),)
        now = datetime.now(UTC)
        await self._store.commit(
            Turn(
                inbox_id=row.id,
                session_id=row.session_id,
                epoch=self._lease.epoch,
                messages=(
                    self._heard(row.message),
                    *(self._spoken(reply, now) for reply in replies),
                ),
                variables=result.variables if result is not None else None,
                replies=replies,
                error=error,
            )
        )
        self._feed.tell(
            Said(
                turn=row.id,
                session=row.session_id,
                plugin=plugin,
                replies=replies,
                plugin_ms=result.ms if result is not None else 0.0,
            )
        )
        log.info(
            "turn done",
            extra={"turn": row.id, "plugin": plugin},
        )
        for reply in replies:
            self._courier.post(
                OutboxRow(id=reply.id or "", session_id=row.session_id, message=reply)
            )

    def _heard(self, message: IncomingMessage) -> NewMessage:
        return NewMessage(
            role="user",
            content=message.content,
            timestamp=message.timestamp,
            tokens=self._count_tokens(message.content),
            media=message.media,
        )

    def _spoken(self, reply: OutgoingMessage, now: datetime) -> NewMessage:
        return NewMessage(
            role="assistant",
            content=reply.content,
            timestamp=now,
            tokens=self._count_tokens(reply.content),
            media=reply.media,
        )


def _tell(queue: _Queue, error: StoreError) -> None:
    if queue.empty is not None and not queue.empty.done():
        queue.empty.set_exception(error)
