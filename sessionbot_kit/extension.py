"""What a plugin is, and in which order plugins start.

The short form is a function that asks, by name, for what it needs:

    @plugin("!echo")
    async def echo(message):
        '''Say it again.'''                  # the line that /help shows
        return message.content               # what is returned is said

The long form is a class with `meta`, `configure`, `start` and `stop`. One rule to remember:
declaring a plugin joins nothing. Joining is explicit: `Bot(echo)`, `bot.add(echo)`.
"""

import heapq
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, overload

from pydantic import Field, JsonValue, field_validator

from sessionbot_kit.errors import PluginError
from sessionbot_kit.models import Model

MAY_ASK_FOR = ("message", "chat")
CANCEL = "/cancel"  # the gateway's own word: it ends a dialog, whatever its plugin does

EXTENSION_POINTS = frozenset(
    {
        "session.receive",
        "session.send",
        "session.typing",
        "session.presence",
        "session.edit",
        "session.delete",
        "session.react",
        "session.media",
        "session.on_receive",
        "session.on_send",
        "chat.message",
        "chat.command",
        "chat.before",
        "chat.after",
        "context.prompt",
        "llm",
        "tools",
        "basic.keyword",
    }
)


class PluginMeta(Model):
    """What a plugin says of itself. Lower `priority` comes first; dependencies come before all."""

    refusal = PluginError

    id: str
    version: str = "0"
    dependencies: tuple[str, ...] = ()
    optional_dependencies: tuple[str, ...] = ()
    extension_points: tuple[str, ...] = ()
    implements: Mapping[str, str] = Field(default_factory=dict)
    capabilities: tuple[str, ...] = ()
    consumes: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    priority: int = 50

    @field_validator("id")
    @classmethod
    def _names_a_plugin(cls, value: str) -> str:
        if not re.fullmatch(r"[^\W\d][\w.-]*", value):
            raise ValueError(f"{value!r} does not name a plugin; begin with a letter, no spaces")
        return value


class Plugin:
    """The long form. Every method may be sync (run in a thread) or async."""

    meta: PluginMeta
    prefixes: tuple[str, ...] = ()
    default: bool = False
    scope: Any  # given before the start: what this version has open, and closes (scope.py)

    def configure(self, config: Mapping[str, JsonValue]) -> None:
        """Take the plugin's own section of the settings, before it starts."""

    def start(self) -> Any:
        """Begin; raise to say why not. May be async."""

    def stop(self) -> Any:
        """End, and give back what `start` took. May be async."""

    @property
    def summary(self) -> str:
        """The line that /help shows."""
        return _first_line(type(self).__doc__)


class FunctionPlugin(Plugin):
    """A function that answers messages, made by `@plugin`. It can still be called as one."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        id: str,
        prefixes: tuple[str, ...],
        default: bool,
        priority: int,
        version: str,
    ) -> None:
        check_asks(function, id)
        self.meta = PluginMeta(
            id=id, version=version, implements={"chat.message": "answer"}, priority=priority
        )
        self.prefixes = prefixes
        self.default = default
        self.answer = function
        self.__doc__ = function.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.answer(*args, **kwargs)

    def __repr__(self) -> str:
        reach = ", ".join(self.prefixes) or "everything that no other plugin takes"
        return f"plugin {self.meta.id}: {reach}"

    @property
    def summary(self) -> str:
        return _first_line(self.__doc__)


@overload
def plugin(function: Callable[..., Any], /) -> FunctionPlugin: ...
@overload
def plugin(
    *prefixes: str,
    id: str | None = None,
    default: bool = False,
    priority: int = 50,
    version: str = "0",
) -> Callable[[Callable[..., Any]], FunctionPlugin]: ...
def plugin(
    *prefixes: Any,
    id: str | None = None,
    default: bool = False,
    priority: int = 50,
    version: str = "0",
) -> Any:
    """Make a plugin of a function: `@plugin("!echo")`, or `@plugin` for all that is left over."""
    if len(prefixes) == 1 and callable(prefixes[0]):
        return plugin()(prefixes[0])
    for prefix in prefixes:
        if not isinstance(prefix, str) or not prefix or prefix.split() != [prefix]:
            raise PluginError(f"{prefix!r} is not a prefix; give one word, such as '!echo'")

    def declare(function: Callable[..., Any]) -> FunctionPlugin:
        if isinstance(function, type):
            raise PluginError(
                f"{function.__name__} is a class; @plugin is for functions. Give the class a "
                f"meta = PluginMeta(...) and join an instance: {function.__name__}()"
            )
        return FunctionPlugin(
            function,
            id=id or function.__name__,
            prefixes=prefixes,
            default=default or not prefixes,
            priority=priority,
            version=version,
        )

    return declare


def check_asks(function: Callable[..., Any], name: str) -> tuple[str, ...]:
    """The names that a function asks for, if it may; else a sentence that says what it may."""
    asks = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise PluginError(
                f"{name} asks for *{parameter.name}; name what it needs: {', '.join(MAY_ASK_FOR)}"
            )
        if parameter.name in MAY_ASK_FOR:
            asks.append(parameter.name)
        elif parameter.default is parameter.empty:
            raise PluginError(
                f'{name} asks for "{parameter.name}"; it may ask for {", ".join(MAY_ASK_FOR)}'
            )
    return tuple(asks)


def start_order(plugins: Iterable[PluginMeta], *, disabled: Iterable[str] = ()) -> list[PluginMeta]:
    """Dependencies first; among equals the lower priority, then the id."""
    known = {meta.id: meta for meta in plugins}
    off = set(disabled)
    needs: dict[str, set[str]] = {}
    for meta in known.values():
        _check_points(meta, known.values())
        for wanted in meta.dependencies:
            if wanted in off:
                raise PluginError(f"{meta.id} needs {wanted}, which is disabled; enable {wanted}")
            if wanted not in known:
                raise PluginError(f"{meta.id} needs {wanted}, which is not here; add {wanted}")
        optional = {wanted for wanted in meta.optional_dependencies if wanted in known}
        needs[meta.id] = set(meta.dependencies) | optional

    ready = [(known[id].priority, id) for id, missing in needs.items() if not missing]
    heapq.heapify(ready)
    order: list[PluginMeta] = []
    while ready:
        _, id = heapq.heappop(ready)
        order.append(known[id])
        del needs[id]
        for other, missing in needs.items():
            if id in missing:
                missing.remove(id)
                if not missing:
                    heapq.heappush(ready, (known[other].priority, other))
    if needs:
        raise PluginError(f"plugins need each other in a circle: {_circle(needs)}; cut one arrow")
    return order


def _check_points(meta: PluginMeta, everybody: Iterable[PluginMeta]) -> None:
    points = EXTENSION_POINTS.union(*(other.extension_points for other in everybody))
    for point in meta.implements:
        if point not in points:
            raise PluginError(
                f"{meta.id} implements {point}, which nobody declares; "
                f"declare it in extension_points, or use one of: {', '.join(sorted(points))}"
            )


def _circle(needs: Mapping[str, set[str]]) -> str:
    # Everything left needs something left, so walking along the arrows must come round.
    walk = [min(needs)]
    while (following := min(wanted for wanted in needs[walk[-1]] if wanted in needs)) not in walk:
        walk.append(following)
    return " -> ".join([*walk[walk.index(following) :], following])


def _first_line(text: str | None) -> str:
    lines = inspect.cleandoc(text or "").splitlines()
    return lines[0] if lines else ""
