"""Runs plugins for a gateway, wherever that is. It keeps nothing: a turn brings all it needs.

    kernel = PluginKernel(echo)
    attachment = await kernel.attach("ws://127.0.0.1:8089")     # a gateway in another process
    ...
    await attachment.leave()
    await kernel.stop()

Not to be mixed up with a Jupyter kernel, which is always called that.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, Self

from sessionbot_kit.crew import Crew
from sessionbot_kit.dialog import WouldDo
from sessionbot_kit.differences import Differences, compare
from sessionbot_kit.errors import AccessError, LinkClosed
from sessionbot_kit.journal import Progress
from sessionbot_kit.link import Bye, Event, Frame, Hello, Link, Offer, Result, Step, Stepped
from sessionbot_kit.recording import Recorder, What
from sessionbot_kit.registry import Declared, Registry, Sections, call
from sessionbot_kit.routes import Only
from sessionbot_kit.runner import Runner
from sessionbot_kit.tables import Table

log = logging.getLogger(__name__)

# The turn that runs here, for those who must not wait for its end from within it.
here: ContextVar[Offer | None] = ContextVar("here", default=None)


class PluginKernel:
    """The registry and runner of plugins."""

    def __init__(
        self,
        *plugins: Declared,
        bot: str = "bot",
        name: str | None = None,
        turn_timeout_s: float = 30.0,
        block_timeout_s: float = 10.0,
        drain_s: float = 5.0,
        sections: Sections | None = None,
        record: What = "drafts",
    ) -> None:
        self.bot = bot
        self.name = name or f"kernel {os.getpid()}"
        self.registry = Registry(plugins)
        self.recorder = Recorder(record)
        self._turn_timeout_s = turn_timeout_s
        self._block_timeout_s = block_timeout_s
        self._runner = self._a_runner()
        self._drain_s = drain_s
        self._sections = sections
        self._links: dict[Link, Role] = {}
        self._running: dict[str, RunningTurn] = {}
        self._turns: set[RunningTurn] = set()
        self._crew = Crew(self.name)
        self._retiring = Crew(f"{self.name}, retiring")
        self._attached = Crew(f"{self.name}, attached")

    async def start(self) -> Self:
        """Start the plugins: all of them or none."""
        if not self.registry.running:
            await self.registry.start(self._sections)
            for plugin in self.registry.all_plugins():
                self.recorder.begin(plugin)
            self._warn_of_defaults()
        return self

    async def stop(self) -> None:
        """Say good-bye, let running turns end within the deadline, stop the plugins."""
        await self._crew.drain(self._drain_s)
        self._runner.end()
        await self._crew.stop()
        await self._retiring.stop(drain_s=self._drain_s)
        self._runner.stop()
        self._runner = self._a_runner()
        for link in list(self._links):
            await _try_send(link, Bye("the kernel stops"))
        await self._attached.stop()
        await self.registry.stop()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    async def add(self, plugin: Declared) -> None:
        """Join a plugin, or swap it in; when the kernel runs, it serves from now on."""
        await self.swap(plugin)

    async def swap(self, plugin: Declared) -> None:
        """Put a plugin in the place of the one that has its id, if there is one.

        The next turn runs the new version. The old one ends the turns that run on it, then it is
        stopped. A version that cannot start changes nothing.
        """
        old = await self.registry.swap(plugin)
        if self.registry.running:
            self.recorder.begin(plugin, self.registry.handed.get(plugin.meta.id))
            if old is not None:
                self._retire(old)
            self._warn_of_defaults()
            await self._announce()

    async def remove(self, id: str) -> None:
        """Take a plugin out; it stops when the turns that run on it have ended."""
        old = self.registry.withdraw(id)
        if self.registry.running:
            self._retire(old)
            await self._announce()

    async def attach(
        self,
        url: str,
        *,
        token: str | None = None,
        only: Only | str | Mapping[str, object] | None = None,
        shadow: bool = False,
        **options: Any,
    ) -> "Attachment":
        """Join a gateway in another process; it is called until it answers, now and later.

        With `only` it serves some sessions, before all others that serve them: a chat by its
        name, `{"user": "ada"}`, `{"channel": "telegram"}`, or `{"share": 0.1}` of all sessions.
        In the `shadow` it gets copies of turns, and what it answers is only compared.
        """
        # Here, because WebSockets cost a third of a start, and most kernels are in their bot.
        from sessionbot_kit.links.websocket import connect_link

        role = Role(None if only is None else Only.of(only), shadow)
        await self.start()
        link = await connect_link(url, token=token, **options)
        serving = self._attached.start(self.serve(link, role), f"gateway {url}")
        attachment = Attachment(link, serving, role)
        try:
            await role.greeted.wait()
            await link.flush()  # the gateway has taken us in, or has said why not
        except LinkClosed as error:
            await asyncio.wait([serving])
            raise AccessError(role.goodbye or str(error)) from error
        return attachment

    async def serve(self, link: Link, role: "Role | None" = None) -> None:
        """Introduce ourselves and run what is offered, until the link closes."""
        role = self._links[link] = role or Role()
        try:
            await link.send(self._hello(role))
            role.greeted.set()
            async for frame in link:
                match frame:
                    case Offer():
                        self._begin(_turn(link, frame, role))
                    case Stepped():
                        self._stepped(link, frame)
                    case Bye(reason):
                        role.goodbye = reason
                        log.warning("sent away", extra={"link": link.name, "reason": reason})
                    case _:
                        log.debug("frame ignored", extra={"frame": type(frame).__name__})
        finally:
            role.greeted.set()
            del self._links[link]
            for turn in self._running.values():
                if turn.link is link and turn.task is not None:
                    turn.task.cancel()  # nobody would take its result

    def _begin(self, turn: "RunningTurn") -> None:
        before = self._running.get(turn.offer.turn)
        if before is not None and before.task is not None:
            before.task.cancel()  # the gateway has given it up, and offers it again
        self._running[turn.offer.turn] = turn
        turn.task = self._crew.start(self._run(turn), f"turn {turn.offer.turn}")

    async def _run(self, turn: "RunningTurn") -> None:
        offer = turn.offer
        plugin = turn.plugin = self.registry.get_plugin(offer.plugin)
        self._turns.add(turn)
        here.set(offer)
        try:
            result = await self._runner.run(plugin, offer, turn)
        finally:
            self._turns.discard(turn)
            if self._running.get(offer.turn) is turn:
                del self._running[offer.turn]
        if plugin is not None:
            self.recorder.note(plugin, offer, turn.steps, result)
        await turn.end(result)

    def _stepped(self, link: Link, answer: Stepped) -> None:
        turn = self._running.get(answer.turn)
        if turn is None or turn.link is not link or not turn.stepped(answer):
            log.warning("stale step answer", extra={"turn": answer.turn, "link": link.name})

    def _retire(self, old: Declared) -> None:
        # No turn begins on it any more, so these are all that there will ever be.
        turns = {turn.task for turn in self._turns if turn.plugin is old and turn.task is not None}
        stop_worker = self._runner.part_with(old.meta.id)

        async def wait_and_stop() -> None:
            try:
                if turns:
                    await asyncio.wait(turns)
            finally:
                stop_worker()
                self.recorder.end(old)
                await self.registry.retire(old)

        self._retiring.start(wait_and_stop(), f"plugin {old.meta.id}")

    def _warn_of_defaults(self) -> None:
        """Say who is never asked because another plugin takes what is left over, too."""
        takers = [route for route in self.registry.routes() if route.default]
        if len(takers) > 1:
            first, *others = sorted(takers, key=lambda route: (route.priority, route.plugin))
            log.warning(
                "several default plugins",
                extra={
                    "answers": first.plugin,
                    "never_asked": ", ".join(route.plugin for route in others),
                    "fix": "give all but one a prefix, or a lower priority to the one you mean",
                },
            )

    async def _announce(self) -> None:
        for link, role in list(self._links.items()):
            await _try_send(link, self._hello(role))

    def _a_runner(self) -> Runner:
        return Runner(turn_timeout_s=self._turn_timeout_s, block_timeout_s=self._block_timeout_s)

    def _hello(self, role: "Role") -> Hello:
        return Hello(
            bot=self.bot,
            kernel=self.name,
            routes=self.registry.routes(),
            turn_timeout_s=self._turn_timeout_s,
            only=role.only,
            shadow=role.shadow,
        )


class Role:
    """What a kernel is to one gateway: whom it serves there, or whether it only looks on."""

    def __init__(self, only: Only | None = None, shadow: bool = False) -> None:
        self.only = only
        self.shadow = shadow
        self.differences = Differences()
        self.greeted = asyncio.Event()
        self.goodbye = ""  # what the gateway said as it sent us away


class Attachment:
    """A kernel's place at a gateway in another process, until it leaves."""

    def __init__(self, link: Link, serving: "asyncio.Task[None]", role: Role) -> None:
        self.link = link
        self.differences = role.differences  # of a shadow, as they come
        self._serving = serving

    @property
    def diff(self) -> Table:
        """What a shadow would have answered, beside what was answered."""
        return self.differences.table()

    async def leave(self) -> None:
        """Say good-bye; turns that run here are offered to another kernel."""
        await _try_send(self.link, Bye("the kernel leaves"))
        await self.link.close()
        await asyncio.wait([self._serving])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.leave()


class RunningTurn:
    """One offer while it runs: the port through which its plugin reaches the gateway."""

    def __init__(self, link: Link, offer: Offer) -> None:
        self.link = link
        self.offer = offer
        self.plugin: Declared | None = None
        self.task: asyncio.Task[Any] | None = None
        self.steps: list[Progress] = []
        self._waiting: asyncio.Future[bool] | None = None

    async def step(self, progress: Progress) -> None:
        """Hand a step to the gateway, and wait until it is on the disk."""
        offer = self.offer
        self._waiting = asyncio.get_running_loop().create_future()
        await self.link.send(Step(offer.turn, offer.attempt, offer.epoch, progress))
        if not await self._waiting:
            # The turn belongs to somebody else by now: nothing that it does counts any more.
            raise asyncio.CancelledError(f"turn {offer.turn} was taken over")
        self.steps.append(progress)

    def stepped(self, answer: Stepped) -> bool:
        """Take the gateway's answer, if it is the one that is waited for."""
        offer, waiting = self.offer, self._waiting
        current = (answer.attempt, answer.epoch) == (offer.attempt, offer.epoch)
        if not current or waiting is None or waiting.done():
            return False
        waiting.set_result(answer.ok)
        return True

    async def call(self, function: Callable[[], Any]) -> Any:
        return await call(function)

    async def show(self, kind: str) -> None:
        await _try_send(self.link, Event(self.offer.turn, kind))

    async def show_draft(self, reply: str, text: str) -> None:
        await _try_send(self.link, Event(self.offer.turn, "draft", {"reply": reply, "text": text}))

    async def end(self, result: Result) -> None:
        """Hand over what came of it."""
        await _try_send(self.link, result)


class ShadowTurn(RunningTurn):
    """The copy of a turn: its steps lead nowhere, and nothing is done that was not done live."""

    def __init__(self, link: Link, offer: Offer, differences: Differences) -> None:
        super().__init__(link, offer)
        self._differences = differences
        self._passed: list[Progress] = []

    async def step(self, progress: Progress) -> None:
        self._passed.append(progress)

    async def call(self, function: Callable[[], Any]) -> Any:
        raise WouldDo

    async def show(self, kind: str) -> None:
        pass

    async def show_draft(self, reply: str, text: str) -> None:
        pass

    async def end(self, result: Result) -> None:
        parts: list[Progress | Result] = [*self._passed, result]
        whole = replace(
            result,
            replies=tuple(reply for part in parts for reply in part.replies),
            entries=tuple(entry for part in parts for entry in part.entries),
            anew=any(part.anew for part in parts),
        )
        self._differences.add(compare(self.offer, whole))
        await super().end(whole)


def _turn(link: Link, offer: Offer, role: Role) -> RunningTurn:
    if role.shadow or offer.live is not None:
        return ShadowTurn(link, offer, role.differences)
    return RunningTurn(link, offer)


async def _try_send(link: Link, frame: Frame) -> None:
    try:
        await link.send(frame)
    except LinkClosed:
        # The gateway offers the turn again, to whoever is there then.
        log.warning("result not delivered", extra={"link": link.name})
