"""Tells people what the bot can do, in the words of the plugins themselves."""

from sessionbot_kit.extension import CANCEL, Plugin, PluginMeta
from sessionbot_kit.registry import Registry


class Help(Plugin):
    """Show what I can do."""

    meta = PluginMeta(id="help", version="1", implements={"chat.message": "answer"})
    prefixes = ("/help", "!help")
    registry: Registry

    async def answer(self) -> str:
        lines = []
        for route in self.registry.routes():
            reach = " or ".join(route.prefixes) or "anything else"
            lines.append(f"{reach} - {route.summary}" if route.summary else reach)
        lines.append(f"{CANCEL} - End a dialog in the middle.")
        return "\n".join(lines)


help = Help()
