"""A language model's comment on something that code has made, visibly apart from it.

    text = reading + await comment(self, chat, question, reading)

The one rule to remember: what code has drawn or found stands first and word for word; a model only
comments on it, below a line that says whose words these are. Without a model there is no comment.
"""

from functools import partial
from typing import Any, Final

from sessionbot_kit.context import ContextWindow
from sessionbot_kit.dialog import Chat
from sessionbot_kit.errors import ModelError
from sessionbot_kit.plain_text import visible, without_images
from sessionbot_kit.plugins.assistant.commands import NAME
from sessionbot_kit.plugins.assistant.prompt import Prompt

RULES: Final = (
    "Comment briefly and kindly on the reading that is quoted as data, as somebody who thinks "
    "along. Do not draw, find or quote anything yourself: it was done already, and stands above "
    "your words."
)
MAX_TOKENS: Final = 300


async def comment(plugin: Any, chat: Chat, question: str, made: str) -> str:
    """The comment with the line above it; empty without a model, or when it does not answer."""
    registry = getattr(plugin, "registry", None)
    assistant = registry.get_plugin(NAME) if registry is not None else None
    model = getattr(assistant, "model", None)
    if model is None:
        return ""
    prompt = Prompt(RULES)
    messages = prompt.messages(ContextWindow(), question or "What do you make of it?")
    messages[-1]["content"] += "\n" + prompt.data(made, plugin.meta.id)
    try:
        said = await chat.once("comment", partial(_ask, model, messages))
    except ModelError:
        return ""
    said = without_images(visible(said)).strip()
    return f"\n\n--- {model.name} comments ---\n{said}" if said else ""


async def _ask(model: Any, messages: list[dict[str, Any]]) -> str:
    return str((await model.chat(messages, max_tokens=MAX_TOKENS)).content)
