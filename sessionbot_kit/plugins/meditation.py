"""A guided sitting: a few sentences, with silence between them that survives a restart.

    !sit            asks how long
    !sit 10         ten minutes

Each sentence waits in the store as a timer of its own. One rule to remember: nobody needs to be
here while somebody sits; a bot that was away says what is due when it comes back.
"""

from datetime import timedelta
from typing import Final

from sessionbot_kit.dialog import Chat
from sessionbot_kit.extension import Plugin, PluginMeta
from sessionbot_kit.models import IncomingMessage

SHORTEST, LONGEST = 1, 120
BEGIN: Final = "Sit so that you can stay. Let the breath come and go by itself."
# When, as a part of the sitting, and what is said then.
ON_THE_WAY: Final = (
    (0.25, "Notice where the breath is clearest. Stay there."),
    (0.5, "Halfway. If you were away, come back; that is all there is to do."),
    (0.8, "Let go of doing it well."),
)
END: Final = "The bell. Take a moment before you get up."


def minutes_of(text: str) -> int | None:
    """How long somebody wants to sit; None if that is no length."""
    word = text.strip().split(" ")[0]
    if word.isascii() and word.isdigit() and SHORTEST <= int(word) <= LONGEST:
        return int(word)
    return None


def check(answer: str) -> str | bool:
    """What is wrong with an answer, if anything is."""
    wrong = f"Please give whole minutes, from {SHORTEST} to {LONGEST}."
    return wrong if minutes_of(answer) is None else True


class Meditation(Plugin):
    """Sit for a while: !sit 10, in minutes."""

    meta = PluginMeta(id="meditation", version="1", implements={"chat.message": "answer"})
    prefixes = ("!sit",)

    async def answer(self, message: IncomingMessage, chat: Chat) -> str:
        minutes = minutes_of(message.content)
        if minutes is None:
            minutes = (
                minutes_of(await chat.ask("For how many minutes?", validate=check)) or SHORTEST
            )
        length = timedelta(minutes=minutes)
        for part, text in ON_THE_WAY:
            await chat.later(length * part, text)
        await chat.later(length, END)
        return f"{minutes} minutes. {BEGIN}"


meditation = Meditation()
