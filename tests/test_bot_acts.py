"""What a plugin does to messages that are there already, in a whole bot."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from sessionbot_kit import Bot, Chat, IncomingMessage, Media, OutgoingMessage, plugin
from sessionbot_kit.channels.loopback import Down, Loopback, Request
from sessionbot_kit.courier import Patience
from sessionbot_kit.errors import UsageError
from sessionbot_kit.extension import PluginMeta
from sessionbot_kit.testing import Person
from tests.table import message

Talking = Callable[..., Person]

CAT = Media.from_bytes(b"meow", name="cat.png")


class Plain(Loopback):
    """A platform that can only carry words."""

    meta = PluginMeta(
        id="loopback",
        implements={"session.receive": "receive", "session.send": "send"},
    )


class Desk(Loopback):
    """Another place where people are."""

    meta = PluginMeta(id="desk", implements=Plain.meta.implements)


@plugin("!day")
async def day(chat: Chat) -> None:
    """Change one's mind."""
    said = await chat.say("Monday")
    if await chat.ask("Really?") == "no":
        await chat.edit(said, "Tuesday")
    else:
        await chat.delete(said)


@plugin("!secret")
async def secret(chat: Chat) -> None:
    """Say something that does not stay."""
    await chat.say("the key is under the mat", delete_after=timedelta(hours=1))


@plugin("!fade")
async def fade(message: IncomingMessage) -> OutgoingMessage:
    """Say it in the message itself."""
    return message.reply("soon gone", metadata={"delete_after": 60})


@plugin("!like")
async def like(chat: Chat) -> None:
    """React."""
    await chat.react("\U0001f44d")
    if await chat.ask("Still?") == "no":
        await chat.react("\U0001f44d", to=chat.first.id, remove=True)


@plugin("!cat")
async def cat(chat: Chat) -> None:
    """Show a cat."""
    await chat.send_media(CAT, "Look")


@plugin("!move")
async def move(chat: Chat) -> str:
    """Go on elsewhere."""
    chat.vars["moved"] = True
    await chat.transfer("desk", "ada at the desk")
    return "See you there."


@plugin("!who")
async def who(chat: Chat) -> str:
    """Know each other again."""
    return str(chat.vars.get("moved"))


async def test_what_was_said_is_edited_after_a_restart(talk: Talking) -> None:
    user = talk(day)
    assert await user.says("!day") == ["Monday", "Really?"]
    user.restart()
    await user.says("no")
    bot = await user.bot()
    assert bot.loopback.requests[-1] == Request("edit", "ada", "Tuesday")


async def test_what_was_said_is_taken_back() -> None:
    async with Bot(day) as bot:
        await bot.hear("!day")
        await bot.hear("yes")
        assert bot.loopback.said_to("you") == ["Really?"]


async def test_an_edit_does_not_become_a_line_of_the_conversation() -> None:
    async with Bot(day) as bot:
        await bot.hear("!day")
        await bot.hear("no")
        (session,) = await bot.sessions.list()
        lines = await bot.gateway.store.messages(session.id)
        assert [line.content for line in lines] == ["!day", "Monday", "Really?", "no"]


async def test_where_nothing_can_be_edited_it_is_said_again() -> None:
    bot = Bot(day)
    bot.loopback = Plain()
    bot.channels = (bot.loopback,)
    async with bot:
        await bot.hear("!day")
        await bot.hear("no")
        assert bot.loopback.said_to("you") == ["Monday", "Really?", "(edited) Tuesday"]


async def test_what_says_how_long_it_stays_is_taken_back_then(talk: Talking) -> None:
    user = talk(secret, fade)
    await user.says("!secret")
    await user.says("!fade")
    assert (await user.bot()).loopback.said_to("ada") == ["the key is under the mat", "soon gone"]
    await user.waits(minutes=1)
    assert (await user.bot()).loopback.said_to("ada") == ["the key is under the mat"]
    await user.waits(hours=1)
    assert (await user.bot()).loopback.said_to("ada") == []


async def test_it_is_taken_back_by_a_bot_that_was_killed_meanwhile(talk: Talking) -> None:
    user = talk(secret)
    await user.says("!secret")
    user.restart()
    await user.waits(hours=2)
    assert [request.verb for request in (await user.bot()).loopback.requests] == ["delete"]


@pytest.mark.parametrize("seconds", [0, -1.0, timedelta(0)])
async def test_a_time_that_is_over_is_refused(seconds: float | timedelta) -> None:
    chat = Chat(message("?"), session="s", variables={})
    with pytest.raises(UsageError, match="is not in the future; give seconds"):
        chat.say("x", delete_after=seconds)


async def test_a_delete_after_that_is_no_time_is_ignored_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @plugin
    async def odd(message: IncomingMessage) -> OutgoingMessage:
        return message.reply("stays", metadata={"delete_after": "soon"})

    assert await Bot(odd).hear("?") == ["stays"]
    assert "delete_after ignored" in caplog.messages


async def test_a_message_is_reacted_to_and_the_reaction_taken_away() -> None:
    async with Bot(like) as bot:
        await bot.loopback.hear("!like", id="m1")
        await bot.settle()
        assert list(bot.loopback.reactions) == [("m1", "\U0001f44d")]
        await bot.hear("no")
        assert list(bot.loopback.reactions) == []


async def test_files_are_sent_and_named_where_they_cannot_be() -> None:
    async with Bot(cat) as bot:
        await bot.hear("!cat")
        (message,) = bot.loopback.said
        assert (message.content, message.media[0].name) == ("Look", "cat.png")
    bot = Bot(cat)
    bot.loopback = Plain()
    bot.channels = (bot.loopback,)
    assert await bot.hear("!cat") == ["Look\n[cat.png, 4 bytes]"]


async def test_a_conversation_goes_on_on_another_channel() -> None:
    desk = Desk()
    async with Bot(move, who, channels=[desk]) as bot:
        assert await bot.hear("!move") == ["See you there."]
        await bot.settle()
        assert desk.said_to("ada at the desk") == ["Let us go on here."]
        await desk.hear("!who", user="ada at the desk")
        await bot.settle()
        assert desk.said_to("ada at the desk")[1:] == ["True"]
        assert len(await bot.sessions.list()) == 1


async def test_who_cannot_be_reached_elsewhere_is_told_so() -> None:
    async with Bot(move) as bot:
        await bot.hear("!move")
        await bot.settle()
        assert bot.loopback.said_to("you")[-1] == ("I cannot reach you on desk. Let us go on here.")


async def test_an_edit_waits_behind_what_it_edits_however_often_that_fails() -> None:
    @plugin
    async def hasty(chat: Chat) -> None:
        await chat.edit(await chat.say("one"), "two")

    async with Bot(hasty, patience=Patience(first_wait_s=0.001)) as bot:
        bot.loopback.troubles += [Down()] * 2
        await bot.hear("?")
        assert bot.loopback.said_to("you") == ["two"]
