"""Holds plugins, starts them in order, stops them in reverse, and finds who implements a point.

    registry = Registry()
    registry.add(echo)
    await registry.start()
    registry.get_implementations("chat.message")     # [("echo", <plugin echo>, "answer")]
    await registry.stop()

A plugin that cannot start stops those that had: half a set of plugins never runs. While they run,
`swap` puts a plugin in the place of the one that has its id; one that cannot start is not put
there, and the one before goes on.
"""

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Protocol, cast

from pydantic import JsonValue

from sessionbot_kit.edition import release
from sessionbot_kit.errors import KitError, PluginError
from sessionbot_kit.extension import EXTENSION_POINTS, Plugin, PluginMeta, check_asks, start_order
from sessionbot_kit.faults import place_of
from sessionbot_kit.handover import Handed, hand_over
from sessionbot_kit.routes import Route
from sessionbot_kit.scope import Scope

log = logging.getLogger(__name__)

LIFE = ("configure", "start", "stop")

Sections = Mapping[str, Mapping[str, JsonValue]]


class Declared(Protocol):
    """Anything with a `meta`. It needs no base class."""

    meta: PluginMeta


class Registry:
    """The plugins of one side of the house."""

    def __init__(self, plugins: Iterable[Declared] = (), *, start_timeout_s: float = 30.0) -> None:
        self._plugins: dict[str, Declared] = {}
        self._started: list[str] = []
        self._sections: Sections = {}
        self._swapping = asyncio.Lock()
        self.handed: dict[str, Handed] = {}  # what each version that serves was given
        self._start_timeout_s = start_timeout_s
        self.running = False
        for plugin in plugins:
            self.add(plugin)

    def add(self, plugin: Declared) -> None:
        """Join a plugin, before the start. Two plugins never share an id or a prefix."""
        check_plugin(plugin)
        meta = plugin.meta
        if meta.id in self._plugins:
            raise PluginError(f"there is a plugin {meta.id} already; give one of them another id")
        self._check_prefixes(plugin)
        self._plugins[meta.id] = plugin

    def remove(self, id: str) -> None:
        """Let a plugin go that does not run."""
        if id in self._started:
            raise PluginError(f"{id} is running; stop it first")
        self._plugins.pop(id, None)

    def get_plugin(self, id: str) -> Any:
        """The plugin with this id, or None."""
        return self._plugins.get(id)

    get = get_plugin

    def all_plugins(self) -> list[Declared]:
        """Every plugin, dependencies first."""
        metas = start_order(plugin.meta for plugin in self._plugins.values())
        return [self._plugins[meta.id] for meta in metas]

    def get_implementations(self, point: str) -> list[tuple[str, Any, str]]:
        """Who implements a point, as (plugin id, plugin, method name), lowest priority first."""
        found = [
            (plugin.meta.priority, plugin.meta.id, plugin, plugin.meta.implements[point])
            for plugin in self._plugins.values()
            if point in plugin.meta.implements
        ]
        return [
            (id, plugin, method) for _, id, plugin, method in sorted(found, key=lambda f: f[:2])
        ]

    def routes(self) -> tuple[Route, ...]:
        """How the plugins that answer messages are found."""
        return tuple(
            Route(
                plugin=id,
                prefixes=prefixes_of(plugin),
                default=getattr(plugin, "default", False),
                priority=plugin.meta.priority,
                summary=getattr(plugin, "summary", ""),
            )
            for id, plugin, _ in self.get_implementations("chat.message")
        )

    async def start(self, sections: Sections | None = None) -> None:
        """Configure and start all, or none."""
        plugins = self.all_plugins()
        self._sections = sections or {}
        self.running = True
        try:
            for plugin in plugins:
                await self._start_one(plugin)
                self._started.append(plugin.meta.id)
        except BaseException:
            await self.stop()
            raise

    async def swap(self, plugin: Declared) -> Declared | None:
        """Join a plugin, in the place of the one that has its id; that one is returned.

        The caller stops it by `retire`, when nothing runs on it any more.
        """
        check_plugin(plugin)
        id = plugin.meta.id
        async with self._swapping:
            old = self._plugins.get(id)
            if old is plugin:
                return None
            self._check_prefixes(plugin)
            handed = None
            if self.running:
                self._order(plugin)  # its dependencies must be here
                handed = await self._take_over(plugin, old)
            self._plugins[id] = plugin
            self.handed.pop(id, None)
            if handed is not None:
                self.handed[id] = handed
            if self.running:
                started = {*self._started, id}
                self._started = [id for id in self._order() if id in started]
        return old

    def withdraw(self, id: str) -> Declared:
        """Take a plugin out while the others run, for the caller to `retire`."""
        if id not in self._plugins:
            raise PluginError(f"there is no plugin {id}; there are {', '.join(self._plugins)}")
        for other in self._plugins.values():
            if id in other.meta.dependencies:
                raise PluginError(f"{other.meta.id} needs {id}; remove {other.meta.id} first")
        if id in self._started:
            self._started.remove(id)
        return self._plugins.pop(id)

    async def retire(self, plugin: Declared) -> None:
        """Stop a plugin that was replaced or taken out, and let its code go."""
        await self._stop_one(plugin)
        release(plugin)

    async def stop(self) -> None:
        """Stop what was started, in reverse; one that fails is logged and stops nobody else."""
        self.running = False
        while self._started:
            await self._stop_one(self._plugins[self._started.pop()])

    async def _take_over(self, plugin: Declared, old: Declared | None) -> Handed | None:
        """Start a plugin and give it the state of the one before it."""
        started = False
        try:
            await self._start_one(plugin)
            started = True
            self._check_prefixes(plugin)  # some know theirs only when they have started
            handed = await hand_over(old, plugin) if old is not None else None
            if not self.running:
                raise PluginError(f"{plugin.meta.id} came as the others stopped; add it again")
            return handed
        except BaseException as fault:  # somebody else's code: sys.exit() ends a start, not us
            if started:
                await self._stop_one(plugin)
            if isinstance(fault, KitError | asyncio.CancelledError | KeyboardInterrupt):
                raise
            raise PluginError(
                f"{plugin.meta.id} did not start: {type(fault).__name__}: {fault}"
                f"{place_of(fault)}; {_hint(old)}"
            ) from fault

    async def _start_one(self, plugin: Declared) -> None:
        id = plugin.meta.id
        if hasattr(plugin, "configure"):
            await call(plugin.configure, self._sections.get(id, {}))
        plugin.registry = self  # type: ignore[attr-defined]  # given to whoever wants to look around
        plugin.scope = scope = Scope(id)  # type: ignore[attr-defined]  # closed when it has stopped
        try:
            async with asyncio.timeout(self._start_timeout_s):
                await call(getattr(plugin, "start", _nothing))
        except BaseException as error:
            await self._close(scope, id)
            if not isinstance(error, TimeoutError):
                raise
            raise PluginError(
                f"{id} did not start within {self._start_timeout_s:g} s; look at its start()"
            ) from error

    async def _stop_one(self, plugin: Declared) -> None:
        try:
            async with asyncio.timeout(self._start_timeout_s):
                await call(getattr(plugin, "stop", _nothing))
        except Exception:
            log.exception("plugin did not stop", extra={"plugin": plugin.meta.id})
        if isinstance(scope := getattr(plugin, "scope", None), Scope):
            await self._close(scope, plugin.meta.id)

    async def _close(self, scope: Scope, id: str) -> None:
        try:
            async with asyncio.timeout(self._start_timeout_s):
                await scope.close()
        except Exception:  # somebody else's files and ports
            log.exception("plugin left something open", extra={"plugin": id})

    def _order(self, plugin: Declared | None = None) -> list[str]:
        """The ids in the order of their start, as if `plugin` were here."""
        metas = {id: other.meta for id, other in self._plugins.items()}
        if plugin is not None:
            metas[plugin.meta.id] = plugin.meta
        return [meta.id for meta in start_order(metas.values())]

    def _check_prefixes(self, plugin: Declared) -> None:
        for other in self._plugins.values():
            shared = set(prefixes_of(other)) & set(prefixes_of(plugin))
            if shared and other.meta.id != plugin.meta.id:
                raise PluginError(
                    f"{plugin.meta.id} and {other.meta.id} both want {min(shared)}; "
                    "change one of them"
                )

    async def call_extension(self, point: str, *args: Any) -> list[Any]:
        """Ask everybody who implements a point; what is not None comes back, in order."""
        self._check_point(point)
        answers = [
            await call(getattr(plugin, method), *args)
            for _, plugin, method in self.get_implementations(point)
        ]
        return [answer for answer in answers if answer is not None]

    async def call_extension_chain(self, point: str, ctx: dict[str, Any]) -> dict[str, Any]:
        """Pass `ctx` from one to the next; `ctx["abort"] = True` ends the chain."""
        self._check_point(point)
        for _, plugin, method in self.get_implementations(point):
            answer = await call(getattr(plugin, method), ctx)
            ctx = ctx if answer is None else answer
            if ctx.get("abort"):
                break
        return ctx

    def _check_point(self, point: str) -> None:
        """A point that nobody declares is a misspelled one: nobody would ever be called."""
        own = (plugin.meta.extension_points for plugin in self._plugins.values())
        points = EXTENSION_POINTS.union(*own)
        if point not in points:
            near = get_close_matches(point, points, 1)
            hint = f"did you mean {near[0]}?" if near else "declare it in extension_points"
            raise PluginError(f"there is no extension point {point}; {hint}")

    def __contains__(self, id: object) -> bool:
        return id in self._plugins

    def __len__(self) -> int:
        return len(self._plugins)


async def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call what may be sync or async; sync code runs in a thread, so that nobody waits for it."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        outcome = function(*args, **kwargs)
    else:
        outcome = await asyncio.to_thread(function, *args, **kwargs)
    return await outcome if inspect.isawaitable(outcome) else outcome


def check_plugin(plugin: object) -> None:
    """Refuse what cannot work, with a sentence, before anything runs."""
    meta = getattr(plugin, "meta", None)
    if not isinstance(meta, PluginMeta):
        name = getattr(plugin, "__name__", type(plugin).__name__)
        hint = "give it a meta = PluginMeta(...)"
        if isinstance(plugin, list | tuple):
            hint = "give plugins one by one: Bot(echo, help), or Bot(*plugins)"
        elif callable(plugin) and not isinstance(plugin, type):
            hint = "write @plugin above it"
        raise PluginError(f"{name} is no plugin; {hint}")
    if isinstance(plugin, type):
        raise PluginError(f"{plugin.__name__} is a class; join an instance: {plugin.__name__}()")
    if not meta.implements and not any(hasattr(plugin, verb) for verb in LIFE):
        raise PluginError(
            f"{meta.id} has a meta and nothing else; name what it does in implements="
            '{"chat.message": "answer"}, or write @plugin above a function'
        )
    for point, method in meta.implements.items():
        function = getattr(plugin, method, None)
        if not callable(function):
            raise PluginError(f"{meta.id} implements {point} by {method}, which it does not have")
        if point == "chat.message":
            check_asks(function, meta.id)


def prefixes_of(plugin: Declared) -> tuple[str, ...]:
    return cast(Plugin, plugin).prefixes if hasattr(plugin, "prefixes") else ()


def _hint(old: Declared | None) -> str:
    return "mend it and add it again" if old is None else "the version before goes on"


def _nothing() -> None:
    pass
