"""Which plugin kernels are connected, and one turn's way to one of them and back.

    switchboard.join(link, hello)
    choice = switchboard.choose(row)                        # a kernel for this session, or None
    out = await switchboard.offer(choice.by, offer)
    frame = await out.next()                                # a Step, or the Result
    switchboard.close(out)

Steps and results carry (turn, attempt, epoch). One that nobody waits for any more is refused: a
kernel that was frozen and comes back late changes nothing. A kernel that serves only some sessions
comes first in those, and is nobody in all others.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from typing import Final, Literal

from sessionbot_kit.errors import LinkClosed
from sessionbot_kit.link import Hello, Link, Offer, Result, Step, Stepped
from sessionbot_kit.routes import Choice, Route, choose, first_word
from sessionbot_kit.store import InboxRow

log = logging.getLogger(__name__)

GRACE_S: Final = 15.0  # how much longer than its own deadline a kernel may be silent
AWAY_S: Final = 2.0  # how long a kernel with a turn may be cut off before others get that turn
MISSED_S: Final = 60.0  # how long a kernel that died is expected back
MAX_MISSING: Final = 100


class KernelLeft(LinkClosed):
    """A kernel has left on purpose, and gives its turns back."""


class Switchboard:
    """Knows every connected kernel and every turn that is out."""

    def __init__(self) -> None:
        self._kernels: dict[Link, Kernel] = {}
        self._out: dict[str, Out] = {}
        self._changed = asyncio.Event()
        self._missing: deque[tuple[float, Hello]] = deque(maxlen=MAX_MISSING)

    def staffed(self, row: InboxRow) -> bool:
        """Whether any kernel is here for the session of this message."""
        return any(
            kernel.hello.only is None or kernel.hello.only.fits(row.message, row.session_id)
            for kernel in self._kernels.values()
        )

    def __len__(self) -> int:
        return len(self._kernels)

    def join(self, link: Link, hello: Hello) -> None:
        """A kernel is here, or says anew what it serves."""
        if (kernel := self._kernels.get(link)) is None:
            self._kernels[link] = Kernel(hello)
        else:
            kernel.hello = hello
        here = {route.plugin for route in hello.routes}
        for missed in list(self._missing):
            if here.issuperset(route.plugin for route in missed[1].routes):
                self._missing.remove(missed)
        self._note_change()
        log.info("kernel joined", extra={"kernel": hello.kernel, "routes": len(hello.routes)})

    def leave(self, link: Link, *, politely: bool = False) -> None:
        """A kernel has gone; the turns it had are offered again by whoever waits for them."""
        kernel = self._kernels.pop(link, None)
        gone = KernelLeft if politely else LinkClosed
        for out in list(self._out.values()):
            if out.link is link:
                out.fail(gone(f"the kernel on {link.name} has gone"))
        if kernel is not None:
            if not politely:
                self._missing.append((asyncio.get_running_loop().time(), kernel.hello))
            kernel.close(gone(f"the kernel on {link.name} has gone"))
            self._note_change()
            log.info("kernel left", extra={"kernel": kernel.hello.kernel})

    @property
    def changed(self) -> asyncio.Event:
        """Set when a kernel joins or leaves next, or says anew what it serves."""
        return self._changed

    def _note_change(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def choose(self, row: InboxRow) -> Choice[Link] | None:
        """Who of those that are here answers this message."""
        return choose(
            row.message.content, self._served(row, only=False), first=self._served(row, only=True)
        )

    def misses(self, row: InboxRow, choice: Choice[Link] | None) -> bool:
        """Whether a kernel that would have answered this died a moment ago, and may come back."""
        word, now = first_word(row.message.content)[0], asyncio.get_running_loop().time()
        if choice is not None and word in choice.route.prefixes:
            return False
        for since, hello in self._missing:
            scope = hello.only
            if now - since > MISSED_S or (
                scope is not None and not scope.fits(row.message, row.session_id)
            ):
                continue
            for route in hello.routes:
                if word in route.prefixes or (route.default and choice is None):
                    return True
        return False

    def who_serves(self, plugin: str, row: InboxRow) -> tuple[Link, Route] | None:
        """Who has this plugin, for the session of this message."""
        for only in (True, False):
            for found in self._served(row, only=only):
                if found[1].plugin == plugin:
                    return found
        return None

    async def offer(self, link: Link, offer: Offer, *, alone: bool = False) -> "Out":
        """Give a turn out to a kernel; `alone`, if no other turn may be there meanwhile.

        Whoever does has to `close` it.
        """
        if (kernel := self._kernels.get(link)) is None:
            raise KernelLeft(f"the kernel on {link.name} has gone")
        await kernel.enter(alone)
        out = self._out[offer.turn] = Out(kernel, link, offer)
        try:
            await link.send(offer)
        except BaseException:
            self.close(out)
            raise
        return out

    def close(self, out: "Out") -> None:
        """The turn is not out any more."""
        del self._out[out.offer.turn]
        out.kernel.exit()

    def answer(self, link: Link, frame: Step | Result) -> bool:
        """A kernel has got on; it counts only from the one that was asked, for this try."""
        if (kernel := self._kernels.get(link)) is not None:
            kernel.silent = False
        out = self._out.get(frame.turn)
        if out is None or out.link is not link or not out.take(frame):
            log.warning(
                "stale frame refused",
                extra={"frame": type(frame).__name__, "turn": frame.turn, "link": link.name},
            )
            return False
        return True

    def offer_of(self, turn: str) -> Offer | None:
        """The offer of a turn that is out."""
        out = self._out.get(turn)
        return out.offer if out is not None else None

    def kernel_name(self, link: Link) -> str:
        kernel = self._kernels.get(link)
        return kernel.hello.kernel if kernel is not None else link.name

    def state_of(self, name: str) -> Literal["here", "silent", "cut off", "not here"]:
        """How the kernel of this name is; the best of them, if there are several."""
        named = [(link, kernel) for link, kernel in self._kernels.items() if kernel.is_named(name)]
        if any(not _is_away(link, kernel) for link, kernel in named):
            return "here"
        if any(kernel.silent for _, kernel in named):
            return "silent"
        return "cut off" if named else "not here"

    def forget(self, name: str) -> None:
        """The kernel of this name is known to be dead: nobody needs to wait for it."""
        for link, kernel in list(self._kernels.items()):
            if kernel.is_named(name):
                self.leave(link)

    def routes(self, row: InboxRow | None = None) -> list[Route]:
        """What is served, to everybody or in the session of a message."""
        if row is None:
            return [route for kernel in self._kernels.values() for route in kernel.hello.routes]
        served = (self._served(row, only=only) for only in (True, False))
        return [route for found in served for _, route in found]

    def _served(self, row: InboxRow, *, only: bool) -> Iterator[tuple[Link, Route]]:
        # One that is silent may be frozen, one that is cut off may be dead: the others go first,
        # also those without a scope.
        kernels = [(_is_away(link, kernel), link, kernel) for link, kernel in self._kernels.items()]
        for away, link, kernel in sorted(kernels, key=lambda found: found[0]):
            scope = kernel.hello.only
            if scope is not None and not scope.fits(row.message, row.session_id):
                continue
            if only is (scope is not None and not away):
                for route in kernel.hello.routes:
                    yield link, route


def _is_away(link: Link, kernel: "Kernel") -> bool:
    return kernel.silent or not getattr(link, "connected", True)


class Kernel:
    """A connected kernel, and who may have a turn out with it."""

    def __init__(self, hello: Hello) -> None:
        self.hello = hello
        self.silent = False  # it kept a turn for too long, and has said nothing since
        self._out = 0
        self._alone = False
        self._queue: deque[tuple[bool, asyncio.Future[None]]] = deque()

    def is_named(self, name: str) -> bool:
        return self.hello.kernel == name

    async def enter(self, alone: bool) -> None:
        """Wait for a place: any number side by side, or one alone; first come, first served."""
        if self._queue or self._alone or (alone and self._out):
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._queue.append((alone, waiting))
            try:
                await waiting
            except asyncio.CancelledError:
                if waiting.done() and not waiting.cancelled() and waiting.exception() is None:
                    self.exit()  # the place came in the same moment
                raise
            return
        self._out += 1
        self._alone = alone

    def exit(self) -> None:
        """Leave the place to others."""
        self._out -= 1
        self._alone = False
        while self._queue and not self._alone:
            alone, waiting = self._queue[0]
            if waiting.done():
                self._queue.popleft()
                continue
            if alone and self._out:
                break
            self._queue.popleft()
            self._out += 1
            self._alone = alone
            waiting.set_result(None)

    def close(self, reason: LinkClosed) -> None:
        """Send away who waits."""
        for _, waiting in self._queue:
            if not waiting.done():
                waiting.set_exception(KernelLeft(str(reason)))
        self._queue.clear()


class Out:
    """A turn that is out with a kernel."""

    def __init__(self, kernel: Kernel, link: Link, offer: Offer) -> None:
        self.link = link
        self.offer = offer
        self.kernel = kernel
        self._patience_s = kernel.hello.turn_timeout_s + GRACE_S
        self._frame: Step | Result | None = None
        self._failure: LinkClosed | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._patience_ends = 0.0

    async def next(self) -> Step | Result:
        """What the kernel has to say; LinkClosed when it goes, or says nothing for too long."""
        if self._frame is None and self._failure is None:
            loop = asyncio.get_running_loop()
            self._waiting = loop.create_future()
            self._patience_ends = loop.time() + self._patience_s
            self._look = loop.call_later(min(AWAY_S, self._patience_s), self._look_after, False)
            try:
                await self._waiting
            finally:
                self._look.cancel()
                self._waiting = None
        if self._frame is None:
            assert self._failure is not None
            raise self._failure
        frame, self._frame = self._frame, None
        return frame

    async def stepped(self) -> None:
        """Tell the kernel that its step is on the disk."""
        offer = self.offer
        await self.link.send(Stepped(offer.turn, offer.attempt, offer.epoch))

    def take(self, frame: Step | Result) -> bool:
        """Take a frame, if it is of this try and the one before has been handled."""
        offer = self.offer
        if (offer.attempt, offer.epoch) != (frame.attempt, frame.epoch):
            return False
        if self._frame is not None or self._failure is not None:
            return False
        self._frame = frame
        self._wake()
        return True

    def fail(self, failure: LinkClosed) -> None:
        self._failure = failure
        self._wake()

    def _look_after(self, was_cut: bool) -> None:
        """Now and then: a kernel that is cut off, or silent for too long, loses the turn."""
        loop, name = asyncio.get_running_loop(), self.link.name
        is_cut = not getattr(self.link, "connected", True)
        if is_cut and was_cut:
            self.fail(LinkClosed(f"the kernel on {name} has been cut off for {AWAY_S:g} s"))
        elif (left := self._patience_ends - loop.time()) <= 0:
            self.kernel.silent = True
            self.fail(LinkClosed(f"the kernel on {name} said nothing for {self._patience_s:g} s"))
        else:
            self._look = loop.call_later(min(AWAY_S, left), self._look_after, is_cut)

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
