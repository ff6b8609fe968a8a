"""Chat bots from notebook cells: a gateway, durable sessions and live plugins.

from sessionbot_kit import Bot, plugin

@plugin("!echo")
async def echo(message):
    return message.content

await Bot(echo).hear("!echo hello")          # -> ['hello']
"""

from importlib import import_module
from typing import TYPE_CHECKING

from sessionbot_kit.bot import Bot
from sessionbot_kit.channel import Channel
from sessionbot_kit.dialog import Chat
from sessionbot_kit.errors import KitError
from sessionbot_kit.extension import Plugin, PluginMeta, plugin
from sessionbot_kit.gateway import Gateway
from sessionbot_kit.kernel import PluginKernel
from sessionbot_kit.models import IncomingMessage, Media, OutgoingMessage, SendResult
from sessionbot_kit.sessions import SessionManager

if TYPE_CHECKING:
    from sessionbot_kit.chunker import Chunker
    from sessionbot_kit.nesting import enable_nesting
    from sessionbot_kit.promotion import promote
    from sessionbot_kit.reassembler import Reassembler
    from sessionbot_kit.settings import Settings

__version__ = "0.1.0"

# A third of what an import would cost, for rooms that many programs never enter.
_ON_DEMAND = {
    "Chunker": "sessionbot_kit.chunker",
    "Reassembler": "sessionbot_kit.reassembler",
    "Settings": "sessionbot_kit.settings",
    "enable_nesting": "sessionbot_kit.nesting",
    "promote": "sessionbot_kit.promotion",
}

__all__ = [
    "Bot",
    "Channel",
    "Chat",
    "Chunker",
    "Gateway",
    "IncomingMessage",
    "KitError",
    "Media",
    "OutgoingMessage",
    "Plugin",
    "PluginKernel",
    "PluginMeta",
    "Reassembler",
    "SendResult",
    "SessionManager",
    "Settings",
    "enable_nesting",
    "plugin",
    "promote",
]


def load_ipython_extension(shell: object) -> None:
    """`%load_ext sessionbot_kit`: the magics."""
    import_module("sessionbot_kit.magics").load(shell)


def unload_ipython_extension(shell: object) -> None:
    """`%unload_ext sessionbot_kit`: as if they had never been."""
    import_module("sessionbot_kit.magics").unload(shell)


def __getattr__(name: str) -> object:
    if name not in _ON_DEMAND:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_ON_DEMAND[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
