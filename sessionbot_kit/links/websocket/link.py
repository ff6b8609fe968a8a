"""One end of a WebSocket link: what an application holds, over as many sockets as it takes.

    await link.send(Event("t1", "typing"))       # waits while the outbox is full
    async for frame in link: ...                 # each frame once; the last one is safe with you
    link.connected, link.recovered               # for those who want to know

A socket comes and goes; `attach` serves it until it is over, with three tasks: one reads, one
writes, one looks at the clock. The one rule to remember: whoever finds that a connection is over
says so to `Connection.end`, and `attach` does the rest.
"""

import asyncio
import contextlib
import logging
from importlib.util import find_spec
from typing import Self

from sessionbot_kit.control import Greeting
from sessionbot_kit.errors import LinkClosed, WireError
from sessionbot_kit.frames import media_bytes
from sessionbot_kit.link import Frame
from sessionbot_kit.links.websocket.exchange import Exchange
from sessionbot_kit.links.websocket.rules import NORMAL, POLICY, REPLACED, TRY_LATER, Rules
from sessionbot_kit.links.websocket.sockets import Connection
from sessionbot_kit.wire import Left, Opened, State

log = logging.getLogger(__name__)

FRAMES_IN_A_ROW = 4  # then the loop is given to others
MAX_BACKLOG = 131_072  # bytes that may wait in a socket before the writer waits for them


def warn_if_slow() -> None:
    """Say that the C speed-ups of websockets are missing: bulk is then five times slower."""
    if find_spec("websockets.speedups") is None:
        log.warning(
            "websockets runs without its C speed-ups",
            extra={"fix": "install a wheel: pip install --force-reinstall websockets"},
        )


class WebSocketLink:
    """A link that survives its sockets."""

    def __init__(self, name: str, exchange: Exchange, rules: Rules, *, identity: str = "") -> None:
        self.name = name
        self.identity = identity  # who opened the door, as the check of tokens calls them
        self.recovered = True
        self.opened = asyncio.Event()
        self.disconnected = asyncio.Event()
        self.exchange = exchange
        self._wire = exchange.wire
        self._rules = rules
        self._loop = asyncio.get_running_loop()
        self._connection: Connection | None = None
        self._in_hand: int | None = None
        self._closed: str | None = None
        self._ended = asyncio.Event()
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None
        self._expiry: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        state = self._closed or ("connected" if self.connected else "not connected")
        return f"<WebSocketLink {self.name}: {state}>"

    @property
    def connected(self) -> bool:
        """Whether there is a connection right now."""
        return self._wire.state is State.OPEN

    @property
    def closed(self) -> str | None:
        """Why the link is closed; None while it is not."""
        return self._closed

    async def send(self, frame: Frame) -> None:
        size = media_bytes(frame)
        while self._closed is None and self._wire.lanes.full(size):
            self._room.clear()
            await self._room.wait()
        if self._closed is not None:
            raise self._goodbye()
        self.exchange.push(frame)
        self._idle.clear()
        self._send_now()

    async def flush(self) -> None:
        """Wait until the other side has dealt with everything that was sent before."""
        while self._closed is None and self._wire.lanes.unacknowledged:
            self._room.clear()
            await self._room.wait()
        if self._closed is not None:
            raise self._goodbye()

    async def receive(self) -> Frame:
        if (frame := await self._next()) is None:
            raise self._goodbye()
        return frame

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Frame:
        if (frame := await self._next()) is None:
            raise StopAsyncIteration
        return frame

    async def _next(self) -> Frame | None:
        if self._in_hand is not None:
            self._wire.handled(self._in_hand, self._loop.time())
            self._in_hand = None
            self._look_after_acks()
        inbox = self.exchange.inbox
        while not inbox:
            if self._closed is not None:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        self._in_hand, frame = inbox.popleft()
        return frame

    def _look_after_acks(self) -> None:
        if self._wire.pressing:
            self._send_now()
        else:
            self._set_alarm()

    def _set_alarm(self) -> None:
        if self._alarm is None and (due := self._wire.due) is not None:
            self._alarm = self._loop.call_at(due, self._ring)

    def _ring(self) -> None:
        # A timer may ring a moment early by the clock; then there is nothing to send yet.
        self._alarm = None
        self._send_now()
        self._set_alarm()

    async def close(self, reason: str = "") -> None:
        """Leave. What was sent gets a moment to go out; then the other side is told."""
        if self._closed is None:
            connection = self._connection
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._rules.close_timeout_s):
                    if connection is not None and self.connected:
                        await self._idle.wait()
                        for data in connection.codec.frames(self._wire.leave(reason)):
                            await connection.send(data)
            self.finish(reason or "it was closed here")

    def finish(self, reason: str, code: int = NORMAL) -> None:
        """End the link for good; what has arrived can still be received."""
        if self._closed is not None:
            return
        self._closed = reason
        self._wire.leave(reason[:256])
        if self._connection is not None:
            self._connection.end(code, reason)
        self.exchange.close()
        for timer in (self._alarm, self._expiry):
            if timer is not None:
                timer.cancel()
        for event in (self._ended, self.opened, self._arrived, self._room, self._idle):
            event.set()

    async def wait_closed(self) -> None:
        await self._ended.wait()

    def _goodbye(self) -> LinkClosed:
        return LinkClosed(f"the link {self.name} is closed: {self._closed}; join it again")

    def expire_after(self, seconds: float, reason: str) -> None:
        """Give the other side so long to come back."""
        if self._closed is None and self._connection is None:
            self._expiry = self._loop.call_later(seconds, self.finish, reason)

    def accept(self, greeting: Greeting, connection: Connection) -> None:
        """The server's side: a client has greeted on a new connection."""
        self.exchange.accept(greeting, connection.codec)
        self._connection = connection
        self._idle.clear()
        self.disconnected.clear()
        self.opened.set()
        self._make_room()

    def _call(self, connection: Connection) -> None:
        """The client's side: greet first."""
        self._wire.connect(self.exchange.connected(connection.codec))
        self._connection = connection
        self._idle.clear()

    def detach(self, code: int = REPLACED, reason: str = "a newer connection took over") -> None:
        """Let go of the connection, if there is one; another may come."""
        if self._connection is not None:
            self._connection.end(code, reason)
            self._connection = None
            self._wire.cut()
            self.disconnected.set()

    async def attach(self, connection: Connection) -> None:
        """Serve a connection until it is over, and close it."""
        if self._expiry is not None:
            self._expiry.cancel()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(connection.until_lost()),
                    group.create_task(self._write(connection)),
                    group.create_task(self._watch(connection)),
                ]
                connection.listen(self._take)
                await connection.over.wait()
                for task in tasks:
                    task.cancel()
        finally:
            connection.end(None)
            if self._connection is connection:
                self.detach()
        await connection.close(self._rules.close_timeout_s)
        log.info(
            "connection over",
            extra={"link": self.name, "code": connection.code, "reason": connection.reason},
        )

    def _take(self, data: bytes) -> None:
        match self.exchange.take(data, self._loop.time()):
            case None:
                if self.exchange.inbox:
                    self._arrived.set()
                if self._wire.pressing:
                    self._send_now()
                return
            case Opened(recovered):
                if not recovered:
                    self.recovered = False
                    self._in_hand = None
                self.disconnected.clear()
                self.opened.set()
            case Left(reason):
                self.finish("the other side has left" + (f": {reason}" if reason else ""))
                return
        self._make_room()
        self._send_now()

    def _make_room(self) -> None:
        if not self._wire.lanes.full(0):
            self._room.set()

    def _send_now(self) -> None:
        """Send what is due right here, if the socket takes it at once; else the writer does."""
        connection = self._connection
        if connection is None or self._news.is_set() or not connection.writer_waits:
            return
        for _ in range(FRAMES_IN_A_ROW):
            if connection.over.is_set():
                return
            if connection.backlog:
                break
            data = self.exchange.next(self._loop.time())
            if data is None:
                if self._wire.lanes.idle:
                    self._idle.set()
                return
            connection.send_now(data)
        self._news.set()

    async def _write(self, connection: Connection) -> None:
        """Send what `_send_now` has left, a few frames at a time."""
        count = 0
        while not connection.over.is_set():
            now = self._loop.time()
            data = self.exchange.next(now)
            if data is None:
                if self._wire.lanes.idle:
                    self._idle.set()
                self._news.clear()
                connection.writer_waits = True
                await self._news.wait()
                connection.writer_waits = False
                continue
            if connection.backlog < MAX_BACKLOG:
                connection.send_now(data)
            else:
                connection.sending_since = now
                await connection.send(data)
                connection.sending_since = None
            count += 1
            if count % FRAMES_IN_A_ROW == 0:
                await asyncio.sleep(0)

    async def _watch(self, connection: Connection) -> None:
        """Count the time that the peer has had, by ticks: a loop that stood still takes none."""
        rules, waited = self._rules, 0.0
        while True:
            await asyncio.sleep(rules.tick_s)
            now = self._loop.time()
            since = connection.sending_since
            if since is not None and now - since > rules.send_timeout_s:
                connection.end(TRY_LATER, "this peer does not read; read what is sent")
            if not self.connected:
                waited += rules.tick_s
                if waited > rules.greeting_timeout_s:
                    connection.end(POLICY, "no greeting came")
            elif not self._wire.receipts.withheld:
                try:
                    self.exchange.tick(rules.tick_s, now)
                except WireError as error:
                    connection.end(POLICY, str(error))
                if self._wire.pressing:
                    self._send_now()
