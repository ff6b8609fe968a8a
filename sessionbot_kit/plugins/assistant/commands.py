"""/model and /kb: what a person may choose in a conversation, and see of it.

    /model                    which model answers, and what was used so far
    /model mistral 0.2        another one of those that are allowed, and its temperature
    /kb house                 look things up in this collection, in this conversation alone
    /kb off                   look nothing up

Choices are variables of the session under `assistant`. The one rule to remember: a person chooses
among what the owner of the bot has allowed, and nothing else.
"""

from collections.abc import Sequence
from typing import Any, Final

from sessionbot_kit.dialog import Chat
from sessionbot_kit.errors import UsageError

NAME: Final = "assistant"
HOTTEST: Final = 2.0


def choices_of(chat: Chat) -> dict[str, Any]:
    """What was chosen in this conversation; a copy."""
    kept = chat.vars.get(NAME)
    return dict(kept) if isinstance(kept, dict) else {}


def choose_model(chat: Chat, words: Sequence[str], default: str, allowed: Sequence[str]) -> str:
    """Answer /model."""
    choices = choices_of(chat)
    if not words:
        usage = choices.get("usage") or {}
        among = f" You may choose: {', '.join(allowed)}." if allowed else ""
        return (
            f"{choices.get('model') or default} answers here. "
            f"So far {usage.get('prompt_tokens', 0):,} tokens were read and "
            f"{usage.get('completion_tokens', 0):,} written, in {usage.get('calls', 0):,} "
            f"answers.{among}"
        )
    name, *rest = words
    if name not in (*allowed, default):
        return f"There is no model {name[:80]} here; choose {' or '.join((*allowed, default))}."
    try:
        temperature = float(rest[0]) if rest else None
    except ValueError:
        temperature = -1.0
    if temperature is not None and not 0 <= temperature <= HOTTEST:
        return f"A temperature is a number from 0 to {HOTTEST:g}, such as 0.7."
    choices |= {"model": name, "temperature": temperature}
    chat.vars[NAME] = choices
    return f"From now on {name} answers here."


def choose_collection(
    chat: Chat, words: Sequence[str], active: Sequence[str], allowed: Sequence[str]
) -> str:
    """Answer /kb."""
    if not words:
        here = ", ".join(active) or "nothing"
        return f"I look things up in: {here}. There is: {', '.join(allowed) or 'nothing'}."
    wanted = [] if list(words) == ["off"] else list(dict.fromkeys(words))
    if missing := [name for name in wanted if name not in allowed]:
        return f"There is no collection {missing[0][:80]}; there is {', '.join(allowed) or 'none'}."
    chat.vars[NAME] = choices_of(chat) | {"collections": wanted}
    return f"I look things up in {', '.join(wanted)}." if wanted else "I look nothing up."


def number_of(section: Any, name: str, default: int, least: int = 1) -> int:
    """A whole number of the settings."""
    value = section.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UsageError(f"assistant.{name} is {value!r}; give a whole number of at least {least}")
    return value
