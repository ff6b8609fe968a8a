"""What is known of a plugin's function without running it; looked at once, not in each turn.

shape_of(pizza.answer, "pizza")     # -> Shape(asks=("message", "chat"), native=True, ...)
"""

import hashlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType
from typing import Any
from weakref import WeakKeyDictionary

from sessionbot_kit.extension import check_asks


@dataclass(frozen=True, slots=True)
class Shape:
    """What a function asks for, how it is called, and which code it is."""

    asks: tuple[str, ...]
    native: bool  # it runs in the loop: `async def`
    streams: bool  # ... and yields
    code: str


_known: WeakKeyDictionary[Any, Shape] = WeakKeyDictionary()


def shape_of(function: Callable[..., Any], plugin: str) -> Shape:
    """Look at a function, or remember it."""
    plain = getattr(function, "__func__", function)
    try:
        shape = _known.get(plain)
    except TypeError:  # it cannot be remembered: it has no hash, or takes no weak references
        return _look(function, plugin)
    if shape is None:
        shape = _known[plain] = _look(function, plugin)
    return shape


def _look(function: Callable[..., Any], plugin: str) -> Shape:
    streams = inspect.isasyncgenfunction(function)
    return Shape(
        asks=check_asks(function, plugin),
        native=streams or inspect.iscoroutinefunction(function),
        streams=streams,
        code=_fingerprint(function),
    )


def _fingerprint(function: Callable[..., Any]) -> str:
    """The same for the same code, wherever its lines stand."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return ""
    digest = hashlib.sha256()
    _digest(code, digest.update)
    return digest.hexdigest()[:16]


def _digest(code: CodeType, add: Callable[[bytes], None]) -> None:
    add(code.co_code)
    add(repr(code.co_names).encode())
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _digest(constant, add)
        else:
            # A set is written in another order in each process.
            value = sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant
            add(repr(value).encode("utf-8", "backslashreplace"))
