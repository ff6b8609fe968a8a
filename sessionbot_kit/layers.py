"""Layers of settings over each other, and which of them gave a value.

    layers = Layers(
        names=frozenset({"home", "courier.tries"}),
        arguments={},
        environment={"courier": {"tries": "3"}},
        file=parse("home: /srv", "sessionbot.yml", {}),
    )
    layers.merged()                         # {"home": "/srv", "courier": {"tries": "3"}}
    layers.source(("courier", "tries"))     # "SESSIONBOT_COURIER__TRIES"
    layers.source(("home",))                # "sessionbot.yml line 1"

The one rule to remember: **the upper layer wins value by value**, not section by section.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import ErrorDetails

from sessionbot_kit.config_file import ConfigFile
from sessionbot_kit.secrecy import conceal, mask

Place = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layers:
    """Arguments over environment over file; what none of them gives is a default."""

    names: frozenset[str]  # every setting, dotted
    arguments: Mapping[str, Any]
    environment: Mapping[str, Any]
    file: ConfigFile
    prefix: str = "SESSIONBOT_"

    def merged(self) -> dict[str, Any]:
        """One value for each setting that somebody gave; secrets of plugins are wrapped."""
        # What a plugin's settings mean is the plugin's affair, so all that the environment gave
        # to one is treated as a secret.
        file = self._wrapped(_filled(self.file.values, self.names), self.file.borrowed.__contains__)
        environment = self._wrapped(self.environment, lambda path: True)
        return _over(self._wrapped(self.arguments, lambda path: False), _over(environment, file))

    def source(self, path: Place) -> str:
        """Say who gave a value: "argument", the variable, the line of the file, or "default"."""
        if _gives(self.arguments, path):
            return "argument"
        if _gives(self.environment, path):
            return self.prefix + "__".join(path).upper()
        if _gives(self.file.values, path):
            return self.file.where(path)
        return "default"

    def sentence(self, fault: ErrorDetails) -> str:
        """Say what is wrong with which value, who gave it, and what to do."""
        path = tuple(str(part) for part in fault["loc"])
        name, source = ".".join(path), self.source(path)
        if fault["type"] == "extra_forbidden":
            return f"{source}: {unknown(name, self.names)}"
        wish = fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
        if fault["type"] in ("model_type", "dict_type", "dict_attributes_type"):
            wish = "should be a section, with lines like `name: value` under it"
        elif fault["type"] == "path_type":
            wish = "should be a path"
        return f"{name} {wish}{self._instead(fault, path)} ({source})"

    def _wrapped(
        self, values: Mapping[str, Any], secret: Callable[[Place], bool]
    ) -> dict[str, Any]:
        wrapped = dict(values)
        if isinstance(plugins := wrapped.get("plugins"), Mapping):
            wrapped["plugins"] = {
                name: value
                if f"plugins.{name}" in self.names
                else conceal(value, _within(("plugins", name), secret))
                for name, value in plugins.items()
            }
        return wrapped

    def _instead(self, fault: ErrorDetails, path: Place) -> str:
        # What a variable gave may be a secret that ended up in the wrong place.
        if path[0] == "plugins" or any(
            path[:n] in self.file.borrowed for n in range(len(path) + 1)
        ):
            return ""
        return f", not {mask(fault['input'])!r}"


def unknown(name: str, names: frozenset[str]) -> str:
    """Say that there is no such setting, and which one is meant."""
    last = name.rpartition(".")[2]
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6) or [
        known for known in sorted(names) if known.rpartition(".")[2] == last
    ]
    if close:
        return f"there is no setting {name}; did you mean {close[0]}?"
    return (
        f"there is no setting {name}; `sessionbot config show` lists them all, and what belongs "
        "to a plugin goes under `plugins:` and its id"
    )


def _within(head: Place, secret: Callable[[Place], bool]) -> Callable[[Place], bool]:
    return lambda path: secret(head + path)


def _filled(values: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    # A section whose lines are all commented out is an empty one.
    filled = {
        name: {} if value is None and name not in names else value for name, value in values.items()
    }
    if isinstance(plugins := filled.get("plugins"), Mapping):
        filled["plugins"] = {
            name: {} if value is None else value for name, value in plugins.items()
        }
    return filled


def _over(upper: Mapping[str, Any], lower: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(lower)
    for name, value in upper.items():
        below = merged.get(name)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            value = _over(value, below)
        merged[name] = value
    return merged


def _gives(values: Any, path: Place) -> bool:
    for name in path:
        match values:
            case Mapping() if name in values:
                values = values[name]
            case Mapping() | None:
                return False
            case _:
                return True  # a part of a value that was given whole
    return True
