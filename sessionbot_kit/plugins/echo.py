"""The smallest plugin: it says what it hears."""

from sessionbot_kit.extension import plugin
from sessionbot_kit.models import IncomingMessage


@plugin("!echo")
async def echo(message: IncomingMessage) -> str:
    """Say it again."""
    return message.content
