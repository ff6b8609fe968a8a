"""What comes with the house, and answers by the same doors as anybody's."""

from collections.abc import Callable

from sessionbot_kit import Bot, Chat, plugin
from sessionbot_kit.plugins import echo, help, reset, status
from sessionbot_kit.testing import Person

Talking = Callable[..., Person]


@plugin("!count")
async def count(chat: Chat) -> str:
    """Count."""
    chat.vars["n"] = chat.vars.get("n", 0) + 1  # type: ignore[operator]  # a number
    chat.vars["preferences"] = {"language": "en"}
    return str(chat.vars["n"])


async def test_help_says_what_each_plugin_says_of_itself() -> None:
    (text,) = await Bot(echo, help).hear("/help")
    assert text.splitlines() == [
        "!echo - Say it again.",
        "/help or !help - Show what I can do.",
        "/cancel - End a dialog in the middle.",
    ]


async def test_reset_forgets_what_was_said_but_not_what_is_preferred(talk: Talking) -> None:
    user = talk(count, reset)
    await user.says("!count")
    assert await user.says("/reset") == [
        "I have forgotten what we talked about. Let us begin anew."
    ]
    bot = await user.bot()
    await bot.settle()
    (session,) = await bot.sessions.list()
    assert await bot.gateway.store.tail(session.id, 10) == ()
    assert await user.variables() == {"preferences": {"language": "en"}}
    assert await user.says("!count") == ["1"]


async def test_status_says_what_the_bot_has_in_mind() -> None:
    async with Bot(count, status) as bot:
        await bot.hear("!count")
        assert await bot.hear("/status") == [
            "I am well, with 2 plugins. Of this conversation I have in mind "
            "2 lines and 2 variables."
        ]
