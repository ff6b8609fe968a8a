"""The broker bridge: channels on one side, plugin kernels on the other, and it holds the store.

    async with Gateway(SqliteStore("bot.db"), channels=[Loopback()]) as gateway:
        gateway.serve(link)                        # a plugin kernel on the other end
        receipt = await gateway.deliver(message)   # stored; now it may be acknowledged

A message is on the disk before anything else happens to it. What was not answered or not sent
when a gateway ended, in whatever way, is taken up when the next one starts.
"""

import asyncio
import inspect
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Final, Self

from sessionbot_kit.answering import Answering
from sessionbot_kit.bounds import Bounds
from sessionbot_kit.channel import Channel, Receipt
from sessionbot_kit.courier import Courier, Patience, lane_of
from sessionbot_kit.crew import Crew
from sessionbot_kit.errors import MessageError, UsageError
from sessionbot_kit.events import Feed, HouseEvent, Received
from sessionbot_kit.ids import new_id
from sessionbot_kit.ledger import Ledger
from sessionbot_kit.link import Event, Link
from sessionbot_kit.logs import correlated
from sessionbot_kit.models import IncomingMessage, OutgoingMessage, SendResult, Session, SessionKey
from sessionbot_kit.reception import Reception
from sessionbot_kit.registry import Registry, call
from sessionbot_kit.routes import Route
from sessionbot_kit.sessions import Janitor, SessionManager, SessionPolicy
from sessionbot_kit.sessions.lifecycle import state_at
from sessionbot_kit.shadows import Shadows
from sessionbot_kit.store import ENDED, InboxRow, Lease, Store
from sessionbot_kit.switchboard import Switchboard
from sessionbot_kit.timers import Clock, SystemClock, Timers
from sessionbot_kit.tokens import Tokens
from sessionbot_kit.turns import Turns

log = logging.getLogger(__name__)


SHOW_TIMEOUT_S: Final = 5.0


def estimate_tokens(text: str) -> int:
    """Four characters are about one token: a figure that depends on nothing that is installed."""
    return -(-len(text) // 4)


class Gateway:
    """Joins channels to plugin kernels. It owns neither its channels' platforms nor the kernels."""

    def __init__(
        self,
        store: Store,
        *,
        channels: Iterable[Channel] = (),
        bot: str = "bot",
        window: int = 20,
        drain_s: float = 5.0,
        patience: Patience | None = None,
        max_message_bytes: int = 64 * 1024 * 1024,
        feed: Feed | None = None,
        policy: SessionPolicy | None = None,
        count_tokens: Callable[[str], int] = estimate_tokens,
        clock: Clock | None = None,
        absent_s: float = 10.0,
        plugin_absent_s: float = 30.0,
        dialog_expires_s: float = 86_400.0,
        bounds: Bounds | None = None,
    ) -> None:
        self.bot = bot
        self.store = store
        self.channels = Registry(channels)
        self.feed = feed or Feed()
        self.switchboard = Switchboard()
        self.shadows = Shadows(self.feed)
        self.reception = Reception(self.switchboard, self.shadows, self._show)
        self._window = window
        self._drain_s = drain_s
        self._patience = patience
        self._bounds = bounds or Bounds()
        self._max_message_bytes = max_message_bytes
        self._count_tokens = count_tokens
        self._clock = clock or SystemClock()
        self.sessions = SessionManager(
            store, policy or SessionPolicy(bot=bot, clock=self._clock.now)
        )
        self._absent_s = absent_s
        self._plugin_absent_s = plugin_absent_s
        self._dialog_expires_s = dialog_expires_s
        self._doors = Crew("channels")
        self._lease: Lease | None = None
        self._senders: dict[str, Callable[[OutgoingMessage], Awaitable[object]]] = {}

    async def start(self) -> Self:
        """Take the lease, take up what was left, open the channels."""
        if self._lease is not None:
            return self
        lease = await self.store.acquire(f"{socket.gethostname()}:{os.getpid()}")
        self._senders = {
            id: _caller(getattr(channel, method))
            for id, channel, method in self.channels.get_implementations("session.send")
        }
        self.courier = Courier(self.store, self._send, self.feed, self._patience, self._bounds)
        self.timers = Timers(self.store, self._clock, lambda row: self.turns.add(row))
        ledger = Ledger(
            self.store,
            lease,
            self.courier,
            self.timers,
            clock=self._clock,
            count_tokens=self._count_tokens,
            dialog_expires_s=self._dialog_expires_s,
        )
        answering = Answering(
            self.store,
            lease,
            self.switchboard,
            ledger,
            self.feed,
            self.shadows,
            clock=self._clock,
            window=self._window,
            absent_s=self._absent_s,
            plugin_absent_s=self._plugin_absent_s,
        )
        self.turns = Turns(self.store, answering, self.feed, self._clock, self._bounds)
        try:
            for reply in await self.store.unsent():
                self.courier.post(reply)
            self.turns.take_up(await self.store.waiting(), crashed=lease.crashed)
            self.timers.start()
            await self.channels.start()
        except BaseException:
            await self._end_work(0.0)
            await self.store.release(lease)
            raise
        self._lease = lease
        for id, channel, method in self.channels.get_implementations("session.receive"):
            self._doors.start(self._listen(id, getattr(channel, method)), f"channel {id}")
        self._doors.start(Janitor(self.store, self.sessions.policy).run(), "janitor")
        log.info("gateway started", extra={"bot": self.bot, "epoch": lease.epoch})
        return self

    async def stop(self) -> None:
        """Close the channels, let running turns end within the deadline, give the lease back."""
        if self._lease is None:
            return
        lease, self._lease = self._lease, None
        try:
            await self._end_work(self._drain_s)
        finally:
            await self.store.release(lease)
        log.info("gateway stopped", extra={"bot": self.bot})

    async def _end_work(self, drain_s: float) -> None:
        # From the door inwards: nothing new comes in, turns end, replies leave, channels close.
        await self._doors.stop()
        await self.timers.stop()
        await self.turns.stop(drain_s=drain_s if self.routes() else 0.0)
        await self.reception.close()
        await self.shadows.close()
        await self.courier.stop(drain_s=drain_s)
        await self.channels.stop()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    async def deliver(self, message: IncomingMessage) -> Receipt:
        """Store a message; its turn follows by itself. A second copy is told from the first."""
        if self._lease is None:
            raise UsageError(f"the gateway of {self.bot} is not running; await its start() first")
        if (size := _size(message)) > self._max_message_bytes:
            raise MessageError(
                f"a message of {size:,} bytes in {message.channel_id} is larger than "
                f"{self._max_message_bytes:,}; raise max_message_bytes, or send a link"
            )
        session = await self._session(self._key(message))
        await self.turns.room(session.id)
        row = InboxRow(id=new_id(), session_id=session.id, message=message)
        if not await self.store.accept(row):
            log.info("second copy dropped", extra={"message_id": message.id, "turn": row.id})
            return Receipt(row.id, session.id, lane_of(message), duplicate=True)
        if self.feed.watched:
            self.feed.tell(Received(turn=row.id, session=session.id, message=message))
        with correlated(row.id, private=[message.content], session_id=session.id):
            log.info("message received", extra={"channel": message.channel_type})
        self.turns.add(row)
        return Receipt(row.id, session.id, lane_of(message))

    def serve(self, link: Link) -> None:
        """Take a plugin kernel on; it introduces itself over the link."""
        self.reception.take(link)

    async def listen(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 8089,
        token: str | None = None,
        **options: Any,
    ) -> int:
        """Open a port for plugin kernels of other processes; return it.

        Whoever calls shows the `token`, or one that was issued (`tokens.py`). While there is
        neither, a port of this machine alone is open to everybody on it.
        """
        tokens: Tokens | None = Tokens(self.store, single=token, clock=self._clock.now)
        if token is None and tokens is not None and not await tokens.list():
            tokens = None
        return await self.reception.open(host=host, port=port, tokens=tokens, **options)

    async def settle(self, receipt: Receipt | None = None) -> None:
        """Wait until a message, or everything, is answered and its replies are with the channel."""
        if receipt is None:
            await self.timers.settle()
        await self.turns.settle(receipt.session_id if receipt is not None else None)
        await self.courier.settle(receipt.chat if receipt is not None else None)

    def watch(self, session: str | None = None) -> AsyncIterator[HouseEvent]:
        """What happens from now on, in one session or in all."""
        return self.feed.watch(session)

    def routes(self) -> list[Route]:
        """What the connected kernels serve."""
        return self.switchboard.routes()

    async def _listen(self, channel: str, receive: Callable[..., object]) -> None:
        wait_s = 1.0
        while True:
            try:
                await call(receive, self.deliver)
                return log.info("channel ended", extra={"channel": channel})
            except Exception:  # somebody else's channel
                log.exception("channel failed", extra={"channel": channel, "again_in_s": wait_s})
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, 60.0)

    async def _send(self, message: OutgoingMessage) -> SendResult:
        send = self._senders.get(message.channel_type)
        if send is None:
            return SendResult(
                ok=False,
                permanent=True,
                error=f"no channel {message.channel_type} that can send; add it to channels=[...]",
            )
        return _as_result(await send(message))

    def _show(self, event: Event) -> None:
        """Something worth showing while a turn runs; where a platform cannot, nothing is lost."""
        offer = self.switchboard.offer_of(event.turn)
        if offer is None or event.kind != "typing":
            return
        for id, channel, method in self.channels.get_implementations("session.typing"):
            if id == offer.message.channel_type:
                show = partial(call, getattr(channel, method), offer.message.channel_id)
                self._doors.start(self._try(show), f"typing {id}")

    async def _try(self, show: Callable[[], Awaitable[object]]) -> None:
        try:
            async with asyncio.timeout(SHOW_TIMEOUT_S):
                await show()
        except Exception as error:  # somebody else's channel
            log.debug("typing not shown", extra={"error": str(error)})

    async def _session(self, key: SessionKey) -> Session:
        """The session of a key: nearly always one that lives, and is in memory."""
        session = await self.store.session(key)
        if session is not None:
            policy = self.sessions.policy
            if state_at(session, policy.clocks_of(session), policy.clock()) not in ENDED:
                return session
        return await self.sessions.session_for(key)

    def _key(self, message: IncomingMessage) -> SessionKey:
        return SessionKey(self.bot, message.channel_type, message.channel_id, message.sender_id)


def _size(message: IncomingMessage) -> int:
    return len(message.content.encode()) + sum(len(file.data or b"") for file in message.media)


def _caller(send: Callable[..., Any]) -> Callable[[OutgoingMessage], Awaitable[object]]:
    return send if inspect.iscoroutinefunction(send) else partial(call, send)


def _as_result(answer: object) -> SendResult:
    """The older contract answers with a bool."""
    return answer if isinstance(answer, SendResult) else SendResult(ok=bool(answer))
