"""Begins a conversation anew: what was said and remembered in it goes, preferences stay."""

from sessionbot_kit.dialog import Chat
from sessionbot_kit.extension import plugin

DONE = "I have forgotten what we talked about. Let us begin anew."


@plugin("/reset", "!reset")
async def reset(chat: Chat) -> str:
    """Forget what we talked about, and begin anew."""
    for name in set(chat.vars) - {"preferences"}:
        del chat.vars[name]
    await chat.forget()
    return DONE
