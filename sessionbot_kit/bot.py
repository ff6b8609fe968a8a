"""A bot in one object: a gateway, a plugin kernel, and a link in memory between them.

    async with Bot(echo, store="sqlite:///bot.db") as bot:
        await bot.hear("!echo hello", user="alice")        # -> ['hello'], the whole real way

A bot without a store keeps what it learns in a temporary file that goes with it. There is no
second way through the house: the same rows, turns and commits, only in another place.
"""

import asyncio
import logging
import shutil
import tempfile
import weakref
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from sessionbot_kit.bounds import Bounds
from sessionbot_kit.channel import Channel, is_channel
from sessionbot_kit.channels.loopback import Loopback
from sessionbot_kit.courier import Patience
from sessionbot_kit.crew import Crew
from sessionbot_kit.errors import PluginError, UsageError
from sessionbot_kit.events import Feed, HouseEvent, Swapped
from sessionbot_kit.gateway import Gateway
from sessionbot_kit.hosts import HOSTS, Host, OwnLoop, OwnThread, Sync, Where, carried, hosted
from sessionbot_kit.kernel import PluginKernel, here
from sessionbot_kit.links.memory import memory_link
from sessionbot_kit.logs import speak_up
from sessionbot_kit.recording import Recording, What, is_draft
from sessionbot_kit.registry import Declared, Sections, prefixes_of
from sessionbot_kit.roster import Roster, in_notebook
from sessionbot_kit.sessions import SessionManager, SessionPolicy
from sessionbot_kit.store import Store
from sessionbot_kit.stores import open_store
from sessionbot_kit.tables import Table
from sessionbot_kit.timers import Clock
from sessionbot_kit.vigil import Vigil

if TYPE_CHECKING:  # reading settings costs more than starting a bot
    from sessionbot_kit.links.websocket import Tap
    from sessionbot_kit.settings import Settings

log = logging.getLogger(__name__)


class Bot:
    """Plugins, a store and channels, joined and ready to talk to."""

    def __init__(
        self,
        *plugins: Declared,
        name: str = "bot",
        store: str | Path | Store | None = None,
        channels: Iterable[Channel] = (),
        turn_timeout_s: float = 30.0,
        block_timeout_s: float = 10.0,
        history_window: int = 20,
        drain_s: float = 5.0,
        patience: Patience | None = None,
        max_message_bytes: int = 64 * 1024 * 1024,
        watch_events: int = 1_000,
        dialog_expires_s: float = 86_400.0,
        clock: Clock | None = None,
        bounds: Bounds | None = None,
        sections: Sections | None = None,
        pairing: Iterable[str] = (),
        host: Where = "loop",
        record: What = "drafts",
        policy: SessionPolicy | None = None,
    ) -> None:
        channels = tuple(channels)
        self._wishes = {
            name: wish for name, wish in locals().items() if name not in ("self", "plugins")
        }
        if host not in HOSTS:
            raise UsageError(f"host={host!r} is no place for a bot; choose {' or '.join(HOSTS)}")
        self.name = name
        own = [plugin for plugin in plugins if is_channel(plugin)]
        self.host: Host = OwnLoop() if host == "loop" else OwnThread(f"{name}'s thread")
        self.kernel = PluginKernel(
            *(plugin for plugin in plugins if plugin not in own),
            bot=name,
            name=f"{name}'s kernel",
            turn_timeout_s=turn_timeout_s,
            block_timeout_s=block_timeout_s,
            drain_s=drain_s,
            sections=sections,
            record=record,
        )
        self.loopback = Loopback() if clock is None else Loopback(clock.now)
        self.channels: tuple[Channel, ...] = (self.loopback, *channels, *own)  # type: ignore[arg-type]  # said by is_channel
        self.feed = Feed(limit=watch_events)
        self._gateway_options: dict[str, Any] = {
            "window": history_window,
            "drain_s": drain_s,
            "patience": patience,
            "max_message_bytes": max_message_bytes,
            "dialog_expires_s": dialog_expires_s,
            "clock": clock,
            "bounds": bounds,
            "policy": policy,
            "sections": sections,
            "pairing": tuple(pairing),
        }
        self._loaded = (policy or SessionPolicy()).limits.loaded
        self._store = store
        self._first: Bot | None = None  # made by an earlier run of the same cell
        self._open: AsyncExitStack | None = None
        self._gateway: Gateway | None = None
        self._stays = False
        self._guests = 0
        self._door = asyncio.Lock()

    @classmethod
    def from_settings(cls, settings: "Settings", *plugins: Declared, **more: Any) -> Self:
        """A bot as the settings want it (`Settings.load()`); what is given here wins."""
        wanted: dict[str, Any] = {
            "store": settings.store_url,
            "turn_timeout_s": settings.turn_timeout_s,
            "history_window": settings.history_window,
            "drain_s": settings.drain_s,
            "patience": Patience(**dict(settings.courier)),
            "max_message_bytes": settings.max_message_bytes,
            "watch_events": settings.queues.watch_events,
            "bounds": settings.queues.bounds(),
            "sections": settings.plugins.sections(),
            "policy": SessionPolicy.of(settings.sessions.given()),
            "pairing": settings.pairing,
        }
        return cls(*plugins, **wanted | more)

    @property
    def gateway(self) -> Gateway:
        if self._gateway is None:
            raise UsageError(f"{self.name} is not running; await bot.start() first")
        return self._gateway

    @property
    def sessions(self) -> SessionManager:
        """What the bot remembers of everybody it has talked to."""
        return self.gateway.sessions

    @property
    def plugins(self) -> Table:
        """What the bot can do, as a table."""
        rows = [
            (
                plugin.meta.id,
                answers_to(plugin),
                getattr(plugin, "summary", ""),
            )
            for plugin in self.kernel.registry.all_plugins()
        ]
        return Table(f"Plugins of {self.name}", ("plugin", "answers to", "what it does"), rows)

    @property
    def wire(self) -> "Tap | None":
        """Where frames can be watched as they pass; None while no port is open."""
        return self.gateway.reception.tap

    @property
    def running(self) -> bool:
        return self._gateway is not None

    @property
    def sync(self) -> Any:
        """The verbs of a bot without `await`; the bot has a thread of its own then."""
        if not isinstance(self.host, OwnThread):
            if self.running:
                raise UsageError(
                    f"{self.name} runs in a loop, which .sync would block; "
                    'write await, or make it Bot(..., host="thread")'
                )
            self.host = OwnThread(f"{self.name}'s thread")
        return Sync(self, self.host)

    async def start(
        self, *, listen: int | None = None, host: str = "127.0.0.1", token: str | None = None
    ) -> Self:
        """Begin. Starting twice is harmless; `listen` opens a port for kernels elsewhere.

        In a notebook a cell may be run again: the bot that it made before is the one that goes on,
        with the plugins of now. Made with other options, this one takes its place and its port.
        """
        if (namesake := roster.namesake(self)) is not None:
            if self._goes_on_as(namesake, listen):
                await self._bring_plugins(namesake)
                self.__dict__ = namesake.__dict__  # two names of one bot
                self._first = namesake  # whose store lasts as long as either is there
                return self
            listen = await self._take_over(namesake, listen)
        await self._start(listen, host, token)
        roster.enter(self)
        return self

    @hosted
    async def _start(self, listen: int | None, host: str, token: str | None) -> None:
        async with self._door:
            was_running = self.running
            await self._begin()
            try:
                if listen is not None and self.gateway.reception.port is None:
                    await self.gateway.listen(host=host, port=listen, token=token)
            except BaseException:
                if not was_running:
                    await self._end()
                raise
            self._stays = True

    def _goes_on_as(self, other: "Bot", listen: int | None) -> bool:
        port = other.gateway.reception.port
        return (
            self._wishes == other._wishes
            and (port is None if listen is None else bool(port))
            and (listen in (None, 0, port))
        )

    async def _bring_plugins(self, other: "Bot") -> None:
        there = other.kernel.registry
        for plugin in self.kernel.registry.all_plugins():
            if there.get_plugin(plugin.meta.id) is not plugin:
                await other.add(plugin)

    async def _take_over(self, other: "Bot", listen: int | None) -> int | None:
        """End the bot that an earlier cell has made; its drafts, its memory and its port go on."""
        port, registry = other.gateway.reception.port, self.kernel.registry
        drafts = [plugin for plugin in other.kernel.registry.all_plugins() if is_draft(plugin)]
        await other.stop()
        for draft in drafts:
            if draft.meta.id not in registry:
                registry.add(draft)
        if self._store is None and other._wishes["store"] is None:
            self._store, self._first = other._store, other
        return port if listen == 0 and port is not None else listen

    async def stop(self) -> None:
        """End: running turns have a moment, what is unanswered waits for the next start."""
        await self.host.run(self._stop())
        if isinstance(self.host, OwnThread):
            self.host.end()

    async def _stop(self) -> None:
        async with self._door:
            self._stays = False
            roster.leave(self)
            await self._end()

    async def __aenter__(self) -> Self:
        await self._start(None, "", None)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    @hosted
    async def hear(self, content: str, *, user: str = "you", chat: str | None = None) -> list[str]:
        """Say something to the bot as `user` and return what it answers.

        A bot that is not running starts for this one message, and remembers it all the same.
        """
        self._refuse_within(user, chat or user)
        async with self._awake():
            receipt = await self.loopback.hear(content, user=user, chat=chat)
            await self.gateway.settle(receipt)
            return self.loopback.answers(receipt)

    def _refuse_within(self, user: str, chat: str) -> None:
        """A session has one turn at a time: what a turn says there waits for that turn's end."""
        turn = here.get()
        if turn is None:
            return
        message = turn.message
        if (message.channel_type, message.channel_id, message.sender_id) == (
            self.loopback.meta.id, chat, user
        ):  # fmt: skip
            raise UsageError(
                f"{turn.plugin} calls bot.hear for {user} while it answers {user}, and would wait "
                "for itself; return what is to be said, or call the other plugin's function"
            )

    @hosted
    async def add(self, plugin: Declared) -> None:
        """Join a plugin, or swap it in for the one that has its id; it serves the next message.

        One that cannot start is a PluginError, and the version before goes on.
        """
        # What is no plugin at all is refused there, in words.
        id = getattr(getattr(plugin, "meta", None), "id", "?")
        before = self._version(id)
        try:
            await self.kernel.add(plugin)
        except PluginError as error:
            self._tell_swapped(id, before, before, error=str(error))
            raise
        self._tell_swapped(id, plugin.meta.version, before)

    @hosted
    async def remove(self, id: str) -> None:
        """Take a plugin out; the turns that run on it end first."""
        before = self._version(id)
        await self.kernel.remove(id)
        self._tell_swapped(id, None, before)

    def watch(self, session: str | None = None) -> AsyncIterator[HouseEvent]:
        """What happens to messages from now on: Received, Offered, Said, Failed, Sent."""
        return carried(self.host, self.feed.watch(session))

    def recordings(self, plugin: str) -> tuple[Recording, ...]:
        """What was recorded of each version of a plugin, the oldest first.

        Plugins of cells and files are recorded in chats of your own; `Bot(record=...)` has more.
        """
        return self.kernel.recorder.recordings(plugin)

    @hosted
    async def settle(self) -> None:
        """Wait until everything that was heard is answered and sent."""
        if self.running:
            await self.gateway.settle()

    def _version(self, id: str) -> str | None:
        return next(
            (p.meta.version for p in self.kernel.registry.all_plugins() if p.meta.id == id), None
        )

    def _tell_swapped(
        self, id: str, version: str | None, before: str | None, *, error: str | None = None
    ) -> None:
        if self.feed.watched:
            self.feed.tell(Swapped(plugin=id, version=version, before=before, error=error))

    async def _begin(self) -> None:
        if self._open is not None:
            return
        speak_up()
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(self._a_store())
            gateway = Gateway(
                store,
                channels=self.channels,
                bot=self.name,
                feed=self.feed,
                **self._gateway_options,
            )
            await stack.enter_async_context(self.kernel)
            crew = Crew(self.name)
            stack.push_async_callback(crew.stop)
            await stack.enter_async_context(gateway)
            gateway.sessions.on_erase.append(self.kernel.recorder.forget)
            outer, inner = memory_link(self.kernel.name)
            gateway.serve(outer)
            crew.start(self.kernel.serve(inner), "plugin kernel")
            if in_notebook():
                crew.start(Vigil(self.feed).run(), "vigil")
            self._open = stack.pop_all()
            self._gateway = gateway

    async def _end(self) -> None:
        stack, self._open, self._gateway = self._open, None, None
        if stack is not None:
            await stack.aclose()

    @asynccontextmanager
    async def _awake(self) -> AsyncIterator[None]:
        async with self._door:
            await self._begin()
            self._guests += 1
        try:
            yield
        finally:
            async with self._door:
                self._guests -= 1
                if not self._stays and self._guests == 0:
                    await self._end()

    def _a_store(self) -> Store:
        if self._store is None:
            folder = tempfile.mkdtemp(prefix="sessionbot-")
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            self._store = Path(folder) / "bot.db"
            log.info(
                "no store given: what is learned goes with this bot; "
                "give store='sqlite:///bot.db' to keep it",
                extra={"bot": self.name},
            )
        if isinstance(self._store, str | Path):
            return open_store(self._store, cached_sessions=self._loaded)
        return self._store

    def __repr__(self) -> str:
        plugins = ", ".join(plugin.meta.id for plugin in self.kernel.registry.all_plugins())
        state = "running" if self.running else "not running"
        return f"{self.name}: {state}, plugins: {plugins or 'none'}"


def answers_to(plugin: Declared) -> str:
    """What a plugin answers to, in words; nothing, when it is there for other plugins."""
    rest = "anything else" if getattr(plugin, "default", False) else ""
    return " ".join(prefixes_of(plugin)) or rest


roster: Final[Roster[Bot]] = Roster()
