"""Tells people what the bot is and what it has in mind of them."""

from sessionbot_kit.dialog import Chat
from sessionbot_kit.extension import Plugin, PluginMeta
from sessionbot_kit.registry import Registry


class Status(Plugin):
    """Say whether I am well, and what I remember of you."""

    meta = PluginMeta(id="status", version="1", implements={"chat.message": "answer"})
    prefixes = ("/status", "!status")
    registry: Registry

    async def answer(self, chat: Chat) -> str:
        plugins = len(self.registry.routes())
        lines = len(await chat.history(1_000_000))
        return (
            f"I am well, with {_count(plugins, 'plugin')}. Of this conversation I have in mind "
            f"{_count(lines, 'line')} and {_count(len(chat.vars), 'variable')}."
        )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number:,} {what}s"


status = Status()
