"""Plugins as people draft them, for the tests of recordings, cells and promotion."""

from pathlib import Path
from typing import Any

from sessionbot_kit import Bot, Plugin, plugin
from sessionbot_kit.edition import Edition, Page
from sessionbot_kit.recording import Recording
from sessionbot_kit.sources import open_edition

COUNTER = """\
from sessionbot_kit import Plugin, PluginMeta

STEP = 1


class Counter(Plugin):
    '''Count out loud.'''

    meta = PluginMeta(id="counter", implements={"chat.message": "answer"})
    prefixes = ("!count",)
    n = 0

    async def answer(self, message):
        self.n += STEP
        return f"{message.sender_name} #{self.n}"

    def __getstate__(self):
        return {"n": self.n}

    def adopt(self, state, version):
        self.n = state["n"]
"""

PIZZA = """\
from sessionbot_kit import plugin

ovens = []


def order():
    ovens.append(1)
    return len(ovens)


@plugin("!pizza")
async def pizza(message, chat):
    '''Order a pizza.'''
    size = await chat.ask("Small or large?", choices=["small", "large"])
    oven = await chat.once("order", order)
    chat.vars["pizzas"] = chat.vars.get("pizzas", 0) + 1
    return f"{size.title()} pizza {chat.vars['pizzas']} is in oven {oven}."
"""


def made_of(source: str, name: str = "draft") -> Plugin:
    """Make a plugin of its source, as a cell or a file does."""
    (made,) = open_edition(Edition(name, {"": Page(Path(name), source.encode())}))
    return made


@plugin("!greet")
async def greet(message: Any) -> str:
    """Greet."""
    return f"Hello, {message.content or message.sender_name}!"


async def recorded(made: Any, *said: str, user: str = "ada", **options: Any) -> Recording:
    """Record a conversation with a plugin."""
    async with Bot(made, record="own", **options) as bot:
        for text in said:
            await bot.hear(text, user=user)
        return bot.recordings(made.meta.id)[-1]
