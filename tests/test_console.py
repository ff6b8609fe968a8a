import io
from typing import Any

from sessionbot_kit import Bot, IncomingMessage, OutgoingMessage, plugin
from sessionbot_kit.channels.console import Console
from sessionbot_kit.models import Media
from sessionbot_kit.plugins import echo


async def conversation(text: str, *plugins: Any) -> list[str]:
    screen = io.StringIO()
    console = Console(source=io.StringIO(text), screen=screen)
    async with Bot(*plugins, channels=[console]) as bot:
        await console.ended.wait()
        await bot.settle()
    return screen.getvalue().splitlines()


async def test_every_line_is_a_message_and_answers_are_printed_in_order() -> None:
    assert await conversation("!echo one\n\n!echo two\n", echo) == ["one", "two"]


async def test_the_last_line_needs_no_end() -> None:
    assert await conversation("!echo last", echo) == ["last"]


async def test_a_file_is_named() -> None:
    @plugin
    async def picture(message: IncomingMessage) -> OutgoingMessage:
        return message.reply("look", media=(Media.from_bytes(b"abc", name="cat.png"),))

    assert await conversation("show me\n", picture) == ["look", "[cat.png, 3 bytes]"]
