"""Plugins written for the original plugin manager, unchanged.

    bot = Bot(OriginalPlugin("plugins/testp"))          # a folder with a package `testp`
    bot = Bot(OriginalPlugin(testp.Plugin, id="testp"))

Such a plugin is made with its manager, subscribes observers to it when it starts, and answers by
calling the manager's `notify`. Here this object is the manager. What an observer says while it is
being notified is the answer of the turn. The one rule to remember: what it says later, from a task
of its own, has no turn to belong to, and is dropped with a warning.
"""

import importlib
import inspect
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from sessionbot_kit.errors import MessageError, PluginError
from sessionbot_kit.extension import Plugin, PluginMeta
from sessionbot_kit.models import IncomingMessage, Media, OutgoingMessage
from sessionbot_kit.routes import first_word

log = logging.getLogger(__name__)


class IObserver(Protocol):
    """Answers messages that begin with its prefix. Both methods may be async."""

    def notify(self, msg: str, to: str, attachments: list[dict[str, str]]) -> Any: ...

    def prefix(self) -> str: ...


class IObservable(Protocol):
    """The manager, as a plugin sees it."""

    def subscribe(self, observer: IObserver) -> None: ...

    def unsubscribe(self, observer: IObserver) -> None: ...

    def notify(self, message: str, to: str, attachments: list[dict[str, str]]) -> Any: ...


class IPlugin(Protocol):
    """The plugin itself. Both methods may be async."""

    def start(self) -> Any: ...

    def stop(self) -> Any: ...


class OriginalPlugin(Plugin):
    """A plugin of the original contract; it is the manager of its own plugin, and of no other."""

    def __init__(
        self,
        plugin: str | Path | Callable[["OriginalPlugin"], IPlugin],
        *,
        id: str | None = None,
        default: bool = False,
    ) -> None:
        self._make = _load(Path(plugin)) if isinstance(plugin, str | Path) else plugin
        name = id or (Path(plugin).name if isinstance(plugin, str | Path) else plugin.__module__)
        self.meta = PluginMeta(id=name, implements={"chat.message": "answer"})
        self.default = default
        self.observers: dict[str, IObserver] = {}
        self._plugin: IPlugin | None = None
        self._open: dict[str, list[OutgoingMessage]] = {}
        self._asked: dict[str, IncomingMessage] = {}

    async def start(self) -> None:
        self._plugin = self._make(self)
        await _awaited(self._plugin.start())
        if not self.observers:
            raise PluginError(
                f"{self.meta.id} subscribed nobody when it started; "
                "call observable.subscribe(observer) in start()"
            )

    async def stop(self) -> None:
        plugin, self._plugin = self._plugin, None
        if plugin is not None:
            await _awaited(plugin.stop())
        self.observers.clear()

    @property
    def prefixes(self) -> tuple[str, ...]:  # type: ignore[override]  # they come when it starts
        return tuple(self.observers)

    @property
    def summary(self) -> str:
        return "a plugin of the original manager"

    def subscribe(self, observer: IObserver) -> None:
        """Called by the plugin: the first word that leads to an observer."""
        self.observers[observer.prefix()] = observer

    def unsubscribe(self, observer: IObserver) -> None:
        """Called by the plugin."""
        self.observers.pop(observer.prefix(), None)

    async def notify(
        self, message: str, to: str, attachments: Sequence[Mapping[str, str]] | None = None
    ) -> None:
        """Called by the plugin: this is an answer."""
        if to not in self._open:
            log.warning("an answer outside a turn was dropped", extra={"plugin": self.meta.id})
            return
        files = tuple(
            Media.from_base64(each["content"], name=each.get("name", ""), mime=each.get("type", ""))
            for each in attachments or ()
        )
        self._open[to].append(self._asked[to].reply(message, media=files))

    async def answer(self, message: IncomingMessage) -> list[OutgoingMessage]:
        """Let the observer of the first word answer, or the first one as the default."""
        text = message.content if message.raw_content is None else message.raw_content
        word, rest = first_word(text)
        observer = self.observers.get(word)
        if observer is None:
            observer, rest = next(iter(self.observers.values())), text
        files = [
            {"name": media.name, "type": media.mime, "content": media.to_base64()}
            for media in message.media
        ]
        to = message.sender_id
        if to in self._open:
            raise MessageError(
                f"{self.meta.id} is answering {to} already; it tells people apart by their id only"
            )
        self._open[to], self._asked[to] = [], message
        try:
            await _awaited(observer.notify(rest, to, files))
        finally:
            said = self._open.pop(to)
            del self._asked[to]
        return said


async def _awaited(result: Any) -> None:
    if inspect.isawaitable(result):
        await result


def _load(folder: Path) -> Callable[[OriginalPlugin], IPlugin]:
    """Import the package that has the name of its folder, as the original manager did."""
    name = folder.name
    if not (folder / name).is_dir():
        raise PluginError(f"{folder} holds no package {name}; give the folder with setup.py in it")
    for place in (folder, folder / name):
        if str(place.resolve()) not in sys.path:
            sys.path.append(str(place.resolve()))
    try:
        module = _import(name)
    except ImportError as error:
        raise PluginError(f"{name} cannot be imported: {error}; install what it needs") from error
    make = getattr(module, "Plugin", None)
    if make is None:
        raise PluginError(f"{name} has no Plugin; export the class from its __init__.py")
    return make  # type: ignore[no-any-return]  # somebody else's class


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != "interfaces":
            raise
    # Its interfaces came with the manager; they hold nothing but names.
    interfaces = ModuleType("interfaces")
    for interface in (IObserver, IObservable, IPlugin):
        setattr(interfaces, interface.__name__, type(interface.__name__, (), {}))
    sys.modules["interfaces"] = interfaces
    return importlib.import_module(name)
