"""What one version of a plugin leaves to the next: its state, as JSON.

    class Tarot(Plugin):
        def __getstate__(self):  return {"drawn": self.drawn}
        def adopt(self, state, version):  self.drawn = state["drawn"]    # from which version

Both are optional, and without them nothing crosses. JSON, because the classes of two versions
are never the same: an object of the old one would be a stranger in the new one.

The one rule to remember: **turns in flight end on the old version**, and what they still change in
it stays there. What must outlive that belongs into `chat.vars`.
"""

import inspect
import json
from typing import Any, NamedTuple

from pydantic import JsonValue

from sessionbot_kit.errors import PluginError

BORN_WITH: Any = getattr(object, "__getstate__", None)


class Handed(NamedTuple):
    """What a version was given, and by which version."""

    state: JsonValue
    version: str


async def hand_over(old: Any, new: Any) -> Handed | None:
    """Let the new version adopt the state of the old one, if one gives it and the other takes it.

    Both methods are called in the loop, and not in a thread: no turn comes between them.
    """
    # Every object is born with such a method; only one that the plugin wrote means something here.
    silent = getattr(type(old), "__getstate__", None) is BORN_WITH
    if getattr(new, "adopt", None) is None or silent:
        return None
    state = old.__getstate__()
    try:
        plain = json.loads(json.dumps(state, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise PluginError(
            f"{old.meta.id} cannot hand its state on: {error}; return JSON from __getstate__()"
        ) from error
    handed = Handed(plain, old.meta.version)
    await adopt(new, handed)
    return handed


async def adopt(new: Any, handed: Handed) -> None:
    """Give a version what one before it has left; a copy, for it may keep and change it."""
    outcome = new.adopt(json.loads(json.dumps(handed.state)), handed.version)
    if inspect.isawaitable(outcome):
        await outcome
