"""For channels that were written for cobot: change their import lines, and nothing else.

    from sessionbot_kit.compat.cobot import IncomingMessage, OutgoingMessage, Plugin, PluginMeta

There, `receive` is polled and `send` answers with a truth value; both run in threads here. Times
without a zone are what that house calls the time of this machine: they become UTC. Everywhere
else here, such a time is refused.
"""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator

from sessionbot_kit import models
from sessionbot_kit.extension import Plugin, PluginMeta
from sessionbot_kit.models import Media, Moment, OutgoingMessage

__all__ = ["IncomingMessage", "Media", "OutgoingMessage", "Plugin", "PluginMeta"]


def _local(value: Any) -> Any:
    naive = isinstance(value, datetime) and value.tzinfo is None
    return value.astimezone(UTC) if naive else value


class IncomingMessage(models.IncomingMessage):
    """A message whose time may be that of this machine."""

    timestamp: Annotated[Moment, BeforeValidator(_local)]
