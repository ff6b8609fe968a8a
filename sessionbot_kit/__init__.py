"""Chat bots from notebook cells: a gateway, durable sessions and live plugins.

from sessionbot_kit import Bot, plugin

@plugin("!echo")
async def echo(message):
    return message.content

await Bot(echo).hear("!echo hello")          # -> ['hello']
"""

from sessionbot_kit.bot import Bot
from sessionbot_kit.channel import Channel
from sessionbot_kit.chunker import Chunker
from sessionbot_kit.dialog import Chat
from sessionbot_kit.errors import KitError
from sessionbot_kit.extension import Plugin, PluginMeta, plugin
from sessionbot_kit.gateway import Gateway
from sessionbot_kit.kernel import PluginKernel
from sessionbot_kit.models import IncomingMessage, Media, OutgoingMessage
from sessionbot_kit.reassembler import Reassembler
from sessionbot_kit.sessions import SessionManager
from sessionbot_kit.settings import Settings

__version__ = "0.1.0"

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
    "SessionManager",
    "Settings",
    "plugin",
]
