"""The broker bridge: channels on one side, plugin kernels on the other, and it holds the store.

    async with Gateway(SqliteStore("bot.db"), channels=[Loopback()]) as gateway:
        gateway.serve(link)                        # a plugin kernel on the other end
        receipt = await gateway.deliver(message)   # stored; now it may be acknowledged

A message is on the disk before anything else happens to it. What was not answered or not sent
when a gateway ended, in whatever way, is taken up when the next one starts.
"""

import asyncio
import logging
import os
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, Final, Self

from sessionbot_kit.answering import Answering
from sessionbot_kit.backoff import Backoff
from sessionbot_kit.bounds import Bounds
from sessionbot_kit.channel import Channel, Receipt, Signal, Status, Verb, supports
from sessionbot_kit.courier import Courier, Patience, lane_of
from sessionbot_kit.crew import Crew
from sessionbot_kit.drafts import Drafts
from sessionbot_kit.errors import MessageError, StoreError, UsageError
from sessionbot_kit.events import Feed, HouseEvent, Received, Signaled
from sessionbot_kit.flood import Flood
from sessionbot_kit.ids import new_id
from sessionbot_kit.intake import take_in
from sessionbot_kit.keeper import Keeper
from sessionbot_kit.ledger import Ledger
from sessionbot_kit.link import Event, Link
from sessionbot_kit.logs import correlated
from sessionbot_kit.models import IncomingMessage, OutgoingMessage, SendResult, Session, SessionKey
from sessionbot_kit.outlet import Outlet
from sessionbot_kit.pairing import Pairing
from sessionbot_kit.reception import Reception
from sessionbot_kit.registry import Registry, Sections, call
from sessionbot_kit.routes import Route
from sessionbot_kit.session_plugin import SessionPlugin
from sessionbot_kit.sessions import Janitor, SessionManager, SessionPolicy
from sessionbot_kit.sessions.lifecycle import state_at
from sessionbot_kit.shadows import Shadows
from sessionbot_kit.store import ENDED, InboxRow, Lease, Store
from sessionbot_kit.summaries import Summaries
from sessionbot_kit.switchboard import Switchboard
from sessionbot_kit.timers import Clock, SystemClock, Timers
from sessionbot_kit.tokens import Tokens
from sessionbot_kit.turns import Turns

log = logging.getLogger(__name__)


SHOW_TIMEOUT_S: Final = 5.0
LOOK_EVERY_S: Final = 15.0


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
        clock: Clock | None = None,
        absent_s: float = 10.0,
        plugin_absent_s: float = 30.0,
        dialog_expires_s: float = 86_400.0,
        bounds: Bounds | None = None,
        look_every_s: float = LOOK_EVERY_S,
        sections: Sections | None = None,
        pairing: Iterable[str] = (),
    ) -> None:
        self.bot = bot
        self.store = store
        self.channels = Registry(channels)
        if "session" not in self.channels:
            self.channels.add(SessionPlugin(lambda: self._outlets))
        self._sections = sections
        self.feed = feed or Feed()
        self.switchboard = Switchboard()
        self.shadows = Shadows(self.feed)
        self.reception = Reception(self.switchboard, self.shadows, self._show)
        self._window = window
        self._drain_s = drain_s
        self._patience = patience
        self._bounds = bounds or Bounds()
        self._max_message_bytes = max_message_bytes
        self._clock = clock or SystemClock()
        policy = replace(policy or SessionPolicy(), bot=bot, clock=self._clock.now)
        self.sessions = SessionManager(store, policy)
        self.summaries = Summaries(self.sessions)
        self._flood = Flood(self.sessions.admit, uncounted=policy.limits.uncounted)
        self._look_every_s = look_every_s
        self.pairing = Pairing(store, bot, channels=pairing, now=self._clock.now)
        self._absent_s = absent_s
        self._plugin_absent_s = plugin_absent_s
        self._dialog_expires_s = dialog_expires_s
        self._doors = Crew("channels")
        self._drafts = Drafts()
        self._kept = Crew("kernels")
        self._lease: Lease | None = None
        self._outlets: dict[str, Outlet] = {}

    async def start(self) -> Self:
        """Take the lease, open the channels, take up what was left."""
        if self._lease is not None:
            return self
        lease = await self.store.acquire(f"{socket.gethostname()}:{os.getpid()}")
        self._outlets = {
            channel.meta.id: Outlet(channel)
            for channel in self.channels.all_plugins()
            if supports(channel, "send") or supports(channel, "receive")
        }
        self._observers = {
            point: [
                (id, getattr(plugin, method))
                for id, plugin, method in self.channels.get_implementations(point)
            ]
            for point in ("session.on_receive", "session.on_send")
        }
        self.courier = Courier(
            self.store,
            self._send,
            self.feed,
            self._patience,
            self._bounds,
            most_per_s={id: most for id, out in self._outlets.items() if (most := out.max_per_s)},
        )
        self.timers = Timers(self.store, self._clock, lambda row: self.turns.add(row))
        ledger = Ledger(
            self.store,
            lease,
            self.courier,
            self.timers,
            clock=self._clock,
            count_tokens=self.sessions.count_tokens,
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
            transfer=self._transfer,
            forget=partial(self.sessions.clear_messages, include_summaries=True),
            refusal=self.pairing.refusal,
        )
        self.turns = Turns(
            self.store,
            answering,
            self.feed,
            self._clock,
            self._bounds,
            after=self.summaries.look,
        )
        for channel in self.channels.all_plugins():
            if (keep_in := getattr(channel, "keep_in", None)) is not None:
                keep_in(self.store)  # a platform of our own, whose pages lie with the rest
        try:
            await self.channels.start(self._sections)  # first: what was left is sent at once
            for reply in await self.store.unsent():
                self.courier.post(reply)
            self.turns.take_up(await self.store.waiting(), crashed=lease.crashed)
            self.timers.start()
        except BaseException:
            await self._end_work(0.0)
            await self.store.release(lease)
            raise
        self._lease = lease
        for id, channel, method in self.channels.get_implementations("session.receive"):
            self._doors.start(self._listen(id, getattr(channel, method)), f"channel {id}")
        self._doors.start(Janitor(self.store, self.sessions.policy).run(), "janitor")
        self._doors.start(self._look_at_outbox(), "outbox")
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
        await self.summaries.stop()
        await self._kept.stop()
        await self.reception.close()
        await self.shadows.close()
        await self.courier.stop(drain_s=drain_s)
        await self._drafts.stop()
        for outlet in self._outlets.values():
            outlet.close()
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
        self.sessions.policy.limits.check_media(message.media)
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
        self.turns.add(row, refusal=self._flood.refusal(session.id, message.channel_type))
        self._observe("session.on_receive", message)
        return Receipt(row.id, session.id, lane_of(message))

    async def signal(self, signal: Signal) -> None:
        """Show whoever watches what a person did, other than say something."""
        if not self.feed.watched:
            return
        key = SessionKey(self.bot, signal.channel_type, signal.channel_id, signal.sender_id)
        session = await self.store.session(key)
        self.feed.tell(Signaled(session=session.id if session else "", signal=signal))

    def supports(self, channel_type: str, verb: Verb) -> bool:
        """Whether a channel does this itself; otherwise there is a fallback."""
        outlet = self._outlets.get(channel_type)
        return outlet is not None and outlet.supports(verb)

    async def presence(self, status: Status, channel_type: str | None = None) -> None:
        """Show on one channel, or on all, whether the bot is there."""
        for id, outlet in self._outlets.items():
            if channel_type in (None, id):
                await self._try(partial(outlet.presence, status))

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

    def keep(self, command: Sequence[str], *, name: str, backoff: Backoff | None = None) -> Keeper:
        """Run a plugin kernel as a process: again when it ends, and killed when it hangs.

        The kernel introduces itself by `name`; "{url}" in its command becomes our address.
        """
        if self.reception.port is None:
            raise UsageError("a kernel in a process needs a port to call; await listen() first")
        url = f"ws://127.0.0.1:{self.reception.port}"
        words = [word.replace("{url}", url) for word in command]
        backoff = backoff or Backoff(random.random)
        keeper = Keeper(self.switchboard, words, name=name, backoff=backoff)
        self._kept.start(keeper.run(), f"kernel {name}")
        return keeper

    async def settle(self, receipt: Receipt | None = None) -> None:
        """Wait until a message, or everything, is answered and its replies are with the channel."""
        if receipt is None:
            await self.timers.settle()
            await self.summaries.settle()
        await self.turns.settle(receipt.session_id if receipt is not None else None)
        await self.courier.settle(receipt.chat if receipt is not None else None)

    async def retry(self, outbox_id: str) -> None:
        """Send a dead letter once more, now."""
        await self.store.retry(outbox_id)
        for row in await self.store.unsent():
            if row.id == outbox_id:
                self.courier.post(row)

    def watch(self, session: str | None = None) -> AsyncIterator[HouseEvent]:
        """What happens from now on, in one session or in all."""
        return self.feed.watch(session)

    def routes(self) -> list[Route]:
        """What the connected kernels serve."""
        return self.switchboard.routes()

    async def _listen(self, channel: str, receive: Callable[..., object]) -> None:
        backoff, loop = Backoff(random.random, most_s=60.0), asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await take_in(receive, self.deliver, self.signal)
                return log.info("channel ended", extra={"channel": channel})
            except Exception:  # somebody else's channel
                backoff.lasted(loop.time() - began)
                wait_s = backoff.delay()
                log.exception("channel failed", extra={"channel": channel, "again_in_s": wait_s})
            await self._clock.sleep_until(self._clock.now() + timedelta(seconds=wait_s))

    async def _look_at_outbox(self) -> None:
        """What another process has put there, such as `sessionbot outbox retry`."""
        while True:
            await asyncio.sleep(self._look_every_s)
            try:
                await self.courier.look()
            except StoreError as error:
                log.error("outbox not read", extra={"error": str(error)})

    async def _send(self, message: OutgoingMessage) -> SendResult:
        outlet = self._outlets.get(message.channel_type)
        if outlet is None:
            return SendResult(
                ok=False,
                permanent=True,
                error=f"no channel {message.channel_type} that can send; add it to channels=[...]",
            )
        if message.act is None:
            result = await self._drafts.settle(message) or await outlet.send(message)
            if result:
                self._observe("session.on_send", message)
            return result
        targets = await self.courier.ids_of(message.act.target)
        return await outlet.send(message, (message.act.target,) if targets is None else targets)

    def _observe(self, point: str, message: IncomingMessage | OutgoingMessage) -> None:
        """Show a message to those who asked for it; they change nothing and delay nobody."""
        for id, method in self._observers[point]:
            self._doors.start(self._try(partial(call, method, message)), f"{point} {id}")

    async def _transfer(self, session: str, channel: str, address: str | None) -> SessionKey:
        if (outlet := self._outlets.get(channel)) is None or outlet.mute:
            raise UsageError(f"no channel {channel} that can send; add it to channels=[...]")
        return (await self.sessions.transfer(session, channel, address)).session.key

    def _show(self, event: Event) -> None:
        """Something worth showing while a turn runs; where a platform cannot, nothing is lost."""
        offer = self.switchboard.offer_of(event.turn)
        if offer is not None and event.kind == "draft":
            return self._show_draft(offer.message, event)
        if offer is None or event.kind != "typing":
            return
        if (outlet := self._outlets.get(offer.message.channel_type)) is not None:
            show = partial(outlet.typing, offer.message.channel_id)
            self._doors.start(self._try(show), f"typing {outlet.name}")

    def _show_draft(self, message: IncomingMessage, event: Event) -> None:
        outlet, text = self._outlets.get(message.channel_type), event.detail.get("text")
        if outlet is not None and outlet.supports("edit") and isinstance(text, str):
            self._drafts.show(event.turn, text, message, outlet)

    async def _try(self, show: Callable[[], Awaitable[object]]) -> None:
        try:
            async with asyncio.timeout(SHOW_TIMEOUT_S):
                await show()
        except Exception as error:  # somebody else's channel
            log.debug("not shown", extra={"error": str(error)})

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
