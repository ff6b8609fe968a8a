"""Views of real bots on real stores, without a browser."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from itertools import count
from typing import Any

import pytest
import pytest_asyncio

from sessionbot_kit import (
    Bot,
    Chat,
    OutgoingMessage,
    Plugin,
    PluginKernel,
    PluginMeta,
    plugin,
    views,
)
from sessionbot_kit.channel import Deliver
from sessionbot_kit.courier import Patience
from sessionbot_kit.errors import PluginError
from sessionbot_kit.events import Failed
from sessionbot_kit.models import SendResult
from sessionbot_kit.plugins import echo
from sessionbot_kit.views.chat import ChatBox
from sessionbot_kit.views.view import PAINT_EVERY_S, View
from tests.notebook import Notebook


@plugin("!pizza")
async def pizza(chat: Chat) -> str:
    chat.vars["size"] = await chat.ask("Small or large?")
    return f"One {chat.vars['size']} pizza."


@plugin("!boom", id="boom")
async def boom() -> None:
    raise ValueError("on purpose")


@pytest_asyncio.fixture
async def bot() -> AsyncIterator[Bot]:
    async with Bot(echo, pizza, boom) as bot:
        yield bot
        views.close(bot)


async def until(true: Callable[[], object]) -> None:
    """Let the views paint, until something is so; the test's time-out is the limit."""
    for _ in count():
        if true():
            return
        await asyncio.sleep(PAINT_EVERY_S / 10)


def press_enter(box: ChatBox, text: str) -> None:
    """What the page sends when somebody types and presses Enter: first the key, then the text."""
    box.field._handle_custom_msg({"event": "submit"}, [])
    box.field.set_state({"value": text})


async def test_what_is_typed_is_said_and_the_answer_appears(bot: Bot) -> None:
    box = views.chat(bot)
    press_enter(box, "!echo typed")
    await until(lambda: "typed" in box.html.value and "bot: typed" in box.text())
    assert box.text() == "Chat of you with bot\nyou: !echo typed\nbot: typed"
    assert box.field.value == ""


async def test_leaving_the_field_sends_nothing_until_enter_is_pressed(bot: Bot) -> None:
    box = views.chat(bot)
    box.field.set_state({"value": "!echo draft"})  # it lost the focus
    await bot.settle()
    assert box.field.value == "!echo draft"
    box.field._handle_custom_msg({"event": "submit"}, [])
    await until(lambda: "bot: draft" in box.text())


async def test_the_button_sends_what_is_in_the_field(bot: Bot) -> None:
    box = views.chat(bot, user="ada")
    box.field.set_state({"value": "!echo clicked"})
    box.button.click()
    await until(lambda: "bot: clicked" in box.text())
    assert "ada: !echo clicked" in box.text()


async def test_what_is_said_in_a_cell_appears_and_others_do_not(bot: Bot) -> None:
    box = views.chat(bot)
    await bot.hear("!echo mine")
    await bot.hear("!echo theirs", user="bob")
    await until(lambda: "bot: mine" in box.text())
    assert "theirs" not in box.text()


async def test_an_error_is_shown_in_words_and_the_field_goes_on(bot: Bot) -> None:
    box = views.chat(bot)
    await box.say("!boom")
    await until(lambda: "ValueError: on purpose" in box.html.value)
    assert '<div class="sbk-bad">' in box.html.value


async def test_an_empty_chat_says_what_to_try(bot: Bot) -> None:
    assert "Try !boom" in views.chat(bot).html.value


async def test_asking_twice_gives_the_same_view(bot: Bot) -> None:
    assert views.chat(bot) is views.chat(bot)
    assert views.chat(bot, "ada") is not views.chat(bot)


async def test_the_feed_tells_what_happened_newest_first(bot: Bot) -> None:
    feed = views.feed(bot)
    await bot.hear("!echo hello", user="ada")
    await until(lambda: len(feed.lines.newest) == 4)
    assert [tuple(line) for line in feed._rows()] == [
        ("sent", "", "the channel took it", "loopback/ada"),
        ("said", "echo", "hello", "loopback/ada"),
        ("offered", "echo", "to bot's kernel", "loopback/ada"),
        ("heard", "ada", "!echo hello", "loopback/ada"),
    ]


async def test_a_burst_is_ten_paints_a_second_and_the_last_row_is_right(bot: Bot) -> None:
    feed = views.feed(bot)
    await until(lambda: feed.paints)
    began, before = time.monotonic(), feed.paints
    for number in range(50_000):
        bot.feed.tell(Failed(turn="t", session="s", error=f"number {number:,}"))
        if not number % 1_000:
            await asyncio.sleep(0)
    await until(lambda: "number 49,999" in feed.html.value)
    assert feed.paints - before <= (time.monotonic() - began) / PAINT_EVERY_S + 2
    assert len(feed.lines.newest) == 200
    assert f"{50_000 - 200:,} older" in feed.html.value


async def test_a_view_that_is_closed_follows_no_more(bot: Bot) -> None:
    feed = views.feed(bot)
    assert bot.feed.watched
    views.close(bot)
    assert not bot.feed.watched
    assert views.feed(bot) is not feed


async def test_the_explorer_shows_the_conversation_its_variables_and_its_dialog(bot: Bot) -> None:
    explorer = views.sessions(bot)
    await bot.hear("!pizza", user="ada")
    await until(lambda: "waits for an answer" in explorer.html.value)
    await bot.hear("large", user="ada")
    await until(lambda: "One large pizza." in explorer.html.value)
    assert "<td>size</td><td>large</td>" in explorer.html.value
    assert explorer.list.options[0][0] == "bot:loopback/ada/ada: 4 messages"


async def test_a_conversation_can_be_forked_at_a_line(bot: Bot) -> None:
    explorer = views.sessions(bot)
    await bot.hear("!echo one")
    await bot.hear("!echo two")
    await explorer.refresh()
    explorer.line.value = 2
    await explorer.fork_here()
    assert explorer.said == "Line 2 of session 1 is now session 2."
    assert [session.totals.messages for session in await bot.sessions.list()] == [2, 4]


async def test_a_line_can_be_said_again_to_a_copy_and_the_original_stays(bot: Bot) -> None:
    explorer = views.sessions(bot)
    await bot.hear("!echo one")
    await explorer.refresh()
    explorer.line.value = 1
    for _ in range(2):  # the copy of the first try makes room for the second
        await explorer.say_again()
        assert explorer.said.endswith("'!echo one' → one")
    session = await bot.sessions.get_session(1)
    assert session is not None
    assert session.message_count == 2


async def test_only_what_a_person_said_can_be_said_again(bot: Bot) -> None:
    explorer = views.sessions(bot)
    await bot.hear("!echo one")
    await explorer.refresh()
    explorer.line.value = 2
    await explorer.say_again()
    assert "choose one of theirs" in explorer.said


async def test_the_plugin_room_counts_turns_errors_and_swaps(bot: Bot) -> None:
    room = views.plugins(bot)
    await bot.hear("!echo one")
    await bot.hear("!boom")
    await until(lambda: room.errors["boom"])
    await bot.add(plugin("!echo", id="echo", version="2")(lambda message: "new"))
    await until(lambda: room.history())
    assert room.history() == [("swapped", "echo", "version 0 → 2")]
    rows = {row[0]: row[1:5] for row in room.rows()}
    assert rows["boom"] == ("0", "!boom", 1, 1)
    assert rows["echo"] == ("2", "!echo", 0, 0)


async def test_a_version_that_cannot_start_is_in_the_history(bot: Bot) -> None:
    class Bad(Plugin):
        meta = PluginMeta(id="echo", version="3")

        def start(self) -> None:
            raise OSError("no cards")

    room = views.plugins(bot)
    with pytest.raises(PluginError):
        await bot.add(Bad())
    await until(lambda: room.history())
    assert room.history()[0][:2] == ("refused", "echo")
    assert "no cards" in room.last_error["echo"]


async def test_the_wire_shows_messages_that_cross_it() -> None:
    async with Bot(name="here") as bot:
        assert "No port is open" in views.wire(bot).text()
        await bot.start(listen=0)
        wire = views.wire(bot)
        assert wire.bot.gateway.reception.port
        kernel = PluginKernel(echo, name="there")
        attached = await kernel.attach(f"ws://127.0.0.1:{bot.gateway.reception.port}")
        assert await bot.hear("!echo far away") == ["far away"]
        await until(lambda: wire.frames >= 3)
        await attached.leave()
        await kernel.stop()
        assert {row[0] for row in wire.rows()} >= {"→ out", "← in"}
        views.close(bot)


class Deaf(Plugin):
    """A platform that takes nothing, until it does."""

    meta = PluginMeta(id="deaf", implements={"session.send": "send"})
    hears = False

    async def receive(self, deliver: Deliver) -> None:
        await asyncio.Event().wait()

    async def send(self, message: OutgoingMessage) -> SendResult:
        return SendResult(ok=self.hears, error="nobody is there", permanent=not self.hears)


async def test_a_dead_letter_is_shown_and_sent_once_more() -> None:
    deaf = Deaf()

    @plugin("!write")
    async def write() -> OutgoingMessage:
        return OutgoingMessage(channel_type="deaf", channel_id="them", content="a letter")

    async with Bot(write, channels=[deaf], patience=Patience(tries=1)) as bot:
        outbox = views.outbox(bot)
        await bot.hear("!write")
        await until(lambda: outbox.choice.options)
        assert outbox.rows() == [("dead", "deaf", "them", "a letter", 1, "nobody is there")]
        deaf.hears = True
        await outbox.retry_it()
        await bot.settle()
        await until(lambda: not outbox.rows())
        views.close(bot)


async def test_health_counts_what_passes_and_what_waits(bot: Bot) -> None:
    health = views.health(bot)
    await bot.hear("!echo one")
    health.sample(lag_s=0.005)
    assert (health.heard[-1], health.sent[-1], health.lag_ms[-1]) == (1, 1, 5.0)
    assert "Loop lag: 5 ms" in health.html.value


EACH: list[Callable[[Bot], View]] = [
    views.chat,
    views.feed,
    views.sessions,
    views.plugins,
    views.wire,
    views.outbox,
    views.health,
    views.dashboard,
]


@pytest.mark.parametrize("view", EACH)
async def test_each_view_has_a_widget_a_text_and_a_static_page(
    bot: Bot, view: Callable[[Bot], View]
) -> None:
    await bot.hear("!echo hello")
    bundle: dict[str, Any] = view(bot)._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/plain"] == view(bot).text()
    assert bundle["text/html"].startswith("<")


@pytest.mark.parametrize("view", EACH)
def test_each_view_of_a_bot_that_never_ran_works_without_a_loop(
    view: Callable[[Bot], View],
) -> None:
    assert view(Bot(echo)).text()


async def test_a_bot_as_the_last_line_of_a_cell_is_its_chat() -> None:
    notebook = Notebook()
    try:
        await notebook.cell("from sessionbot_kit import Bot\nbot = await Bot().start()")
        bot = notebook.names["bot"]
        shown, _ = notebook.shell.display_formatter.format(bot)
        assert shown["text/plain"] == "Chat of you with bot"
        assert "application/vnd.jupyter.widget-view+json" in shown
        await notebook.cell("%unload_ext sessionbot_kit")
        shown, _ = notebook.shell.display_formatter.format(bot)
        assert shown == {"text/plain": "bot: running, plugins: none"}
        views.close(bot)
    finally:
        await notebook.close()


async def test_a_shadow_is_shown_beside_what_was_said() -> None:
    louder = plugin("!echo", id="echo")(lambda message: f"{message.content} LOUD")
    async with Bot(echo) as bot:
        await bot.start(listen=0)
        url = f"ws://127.0.0.1:{bot.gateway.reception.port}"
        async with (
            PluginKernel(louder, name="shadow") as kernel,
            await kernel.attach(url, shadow=True) as attachment,
        ):
            view = views.differences(attachment)
            assert await bot.hear("!echo one <b>two</b>") == ["one <b>two</b>"]
            await until(lambda: view.differences.seen and "LOUD" in view.html.value)
            assert "one &lt;b&gt;two&lt;/b&gt;<ins> LOUD</ins>" in view.html.value
            assert view.rows()[0][0] == "differs"
            assert "1 turns, 0 the same" in view.text()
            views.close(attachment)
