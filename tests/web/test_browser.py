"""The chat page in a real browser."""

import asyncio
import os
import zlib
from pathlib import Path

import pytest

from sessionbot_kit import Chat, IncomingMessage, Media, OutgoingMessage, plugin
from tests.web.people import House, house
from tests.web.visitors import Visit, running, visiting

pytestmark = [pytest.mark.needs("chromium", "playwright"), pytest.mark.timeout(120)]

SLOW_TO_DIE = """
import asyncio
from sessionbot_kit import plugin

@plugin(default=True)
async def count(message, chat):
    '''Count, slowly.'''
    await asyncio.sleep(0.05)
    chat.vars["n"] = int(chat.vars.get("n", 0)) + 1
    return f"number {chat.vars['n']}"
"""
SCRIPTS = [
    "<script>document.title='stolen'</script>",
    "<img src=x onerror=\"document.title='stolen'\">",
    "javascript:document.title='stolen'",
    "<svg/onload=alert(1)>",
    'https://example.org/"onmouseover="alert(1)',
    "[click](javascript:alert(1)) ![x](https://evil.example/leak.png)",
    "\u202e}<b>bold</b> {{7*7}} ${7*7} </textarea><script>alert(1)</script>",
]


async def chat_of(home: House) -> str:
    """The chat of the one visitor there is."""
    (session,) = await home.bot.sessions.list(interface="web")
    return session.key.chat


async def test_a_person_talks_with_the_bot(home: House) -> None:
    async with visiting(home.door.url) as visit:
        await visit.open()
        assert await visit.ask("Hello!") == "You said: Hello!"
        assert await visit.page.title() == "bot"
        assert (visit.errors, visit.outside) == ([], [])


async def test_a_question_is_answered_with_a_button(home: House) -> None:
    async with visiting(home.door.url) as visit:
        await visit.open()
        assert await visit.ask("!size") == "Small or large?"
        await visit.page.get_by_role("button", name="large").click()
        assert await visit.nth_answer(1) == "One large pizza."
        assert await visit.page.locator("#choices").is_hidden()


async def test_the_history_is_there_after_the_browser_was_closed(
    home: House, tmp_path: Path
) -> None:
    async with visiting(home.door.url) as visit:
        await visit.open()
        await visit.ask("Hello!")
        state = await visit.page.context.storage_state()
    async with visiting(home.door.url, storage_state=state) as visit:
        await visit.open()
        assert await visit.texts() == ["Hello!", "You said: Hello!"]


async def test_what_the_bot_does_to_its_messages_is_seen(home: House) -> None:
    async with visiting(home.door.url) as visit:
        await visit.open()
        await visit.ask("Hello!")
        chat = await chat_of(home)
        mine, answer = await home.channel.page(chat).newer()
        await home.channel.react(chat, mine["id"], "👍")
        await visit.page.get_by_role("img", name="bot reacted: 👍").wait_for()
        await home.channel.edit(chat, answer["id"], "Something else")
        await visit.page.get_by_text("edited").wait_for()
        assert await visit.texts() == ["Hello!", "Something else"]
        await home.channel.stream(chat, "new/0", "Once upon")
        await visit.page.locator("li[aria-busy]").wait_for()
        await home.channel.delete(chat, answer["id"])
        await visit.page.get_by_text("This message was taken back").wait_for()
        await home.channel.typing(chat)
        await visit.page.get_by_text("is writing…").wait_for()
        await home.channel.presence("away")
        await visit.page.get_by_text("Away").wait_for()


async def test_a_file_is_dropped_sent_and_seen_by_the_bot(tmp_path: Path) -> None:
    @plugin(default=True)
    async def weigh(message: IncomingMessage) -> OutgoingMessage:
        (file,) = message.media
        picture = Media.from_bytes(png(), name="thanks.png")
        return message.reply(f"{file.name}: {zlib.crc32(file.read())}", media=(picture,))

    data = os.urandom(200_000)
    async with house(tmp_path, weigh) as home, visiting(home.door.url) as visit:
        await visit.open()
        await drop(visit, data)
        await visit.page.wait_for_selector("#send[aria-disabled=false]")
        await visit.page.click("#send")
        thanks = visit.page.get_by_alt_text("thanks.png")
        await thanks.wait_for()
        assert f"data.bin: {zlib.crc32(data)}" in await visit.texts()
        assert await thanks.evaluate("image => image.decode().then(() => image.naturalWidth)") == 1


async def drop(visit: Visit, data: bytes) -> None:
    handle = await visit.page.evaluate_handle(
        """bytes => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "data.bin"));
            return transfer;
        }""",
        list(data),
    )
    await visit.page.dispatch_event("#drop", "drop", {"dataTransfer": handle})


async def test_no_script_runs_whoever_sends_it(tmp_path: Path) -> None:
    @plugin(default=True)
    async def reflect(chat: Chat, message: IncomingMessage) -> OutgoingMessage:
        file = Media.from_bytes(
            b"<script>alert(1)</script>", name=message.content, mime="text/html"
        )
        link = Media(kind="image", name=message.content, url=message.content)
        more = {"choices": [message.content]}
        return message.reply(message.content, media=(file, link), metadata=more)

    async with house(tmp_path, reflect, asks_per_minute=10_000) as home:
        home.bot.name = SCRIPTS[1]
        async with visiting(home.door.url) as visit:
            await visit.open()
            for number, script in enumerate(SCRIPTS):
                await visit.say(script)
                await visit.page.locator("#log li.bot").nth(number).wait_for()
            await visit.page.reload()  # and what is stored
            await visit.online()
            texts = await visit.texts()
            assert all(script in texts for script in SCRIPTS)
            assert await visit.page.title() == SCRIPTS[1]
            links = await visit.page.locator("#log a").evaluate_all(
                "all => all.map(a => a.protocol)"
            )
            assert set(links) <= {"http:", "https:"}
            assert await visit.page.locator("#log script, #log b, #log svg").count() == 0
            assert (visit.errors, visit.outside) == ([], [])


async def test_a_killed_server_loses_nothing_and_says_nothing_twice(tmp_path: Path) -> None:
    with running(tmp_path, SLOW_TO_DIE) as server:
        async with visiting(server.url) as visit:
            await visit.open()
            for number in range(6):
                await visit.say(f"message {number}")
                if number in (1, 3):
                    # In the middle of a turn, with a message under way.
                    await asyncio.to_thread(server.kill)
                    await visit.say(f"offline {number}")
                    await asyncio.to_thread(server.start)
                    await visit.online()
            await visit.page.get_by_text("number 8").wait_for()
            texts = await visit.texts()
            said = [text for text in texts if not text.startswith("number")]
            told = [text for text in texts if text.startswith("number")]
            assert said == [
                "message 0",
                "message 1",
                "offline 1",
                "message 2",
                "message 3",
                "offline 3",
                "message 4",
                "message 5",
            ]
            assert sorted(told) == [f"number {n}" for n in range(1, 9)]
            await visit.page.reload()
            await visit.online()
            assert sorted(await visit.texts()) == sorted(texts)


async def test_what_is_written_without_a_connection_survives_a_reload(home: House) -> None:
    async with visiting(home.door.url) as visit:
        await visit.open()
        await visit.page.route("**/api/session", lambda route: route.abort())
        for browser in [b for each in home.channel._viewers.values() for b in each]:
            await browser.close(1012, "restart")  # type: ignore[attr-defined]  # a Browser
        await visit.page.wait_for_selector('#state[data-state="offline"]')
        await visit.say("Are you there?")
        await visit.page.reload()
        assert await visit.texts() == ["Are you there?"]
        await visit.page.unroute("**/api/session")
        await visit.page.get_by_text("You said: Are you there?").wait_for()


async def test_the_keyboard_is_enough(home: House) -> None:
    async with visiting(home.door.url) as visit:
        await visit.open()
        await visit.page.keyboard.type("two")
        await visit.page.keyboard.press("Shift+Enter")
        await visit.page.keyboard.type("lines")
        await visit.page.keyboard.press("Enter")
        assert await visit.nth_answer(0) == "You said: two\nlines"
        assert await visit.page.evaluate("() => document.activeElement.id") == "text"


async def test_a_screen_reader_is_told_who_says_what(home: House) -> None:
    async with visiting(home.door.url) as visit:
        await visit.open()
        await visit.ask("Hello!")
        log = visit.page.get_by_role("log")
        assert await log.get_attribute("aria-live") == "polite"
        assert "You:" in (await log.inner_text())
        nameless = await visit.page.evaluate(
            """() => [...document.querySelectorAll("button, summary, textarea, a")]
                .filter(each => !each.getAttribute("aria-label") && !each.textContent.trim())
                .map(each => each.id)"""
        )
        assert nameless == []


async def test_the_page_speaks_french_to_those_who_do(home: House) -> None:
    async with visiting(home.door.url, locale="fr-CA") as visit:
        await visit.open()
        assert await visit.page.get_attribute("html", "lang") == "fr"
        assert await visit.page.get_attribute("#text", "placeholder") == "Écrivez un message"


@pytest.mark.parametrize(
    "look",
    [
        {"viewport": {"width": 1100, "height": 760}},
        {"viewport": {"width": 320, "height": 560}, "is_mobile": True, "has_touch": True},
        {"viewport": {"width": 390, "height": 800}, "color_scheme": "dark"},
    ],
    ids=["desktop", "phone", "dark"],
)
async def test_nothing_is_cut_off_and_all_can_be_read(home: House, look: dict[str, object]) -> None:
    async with visiting(home.door.url, **look) as visit:
        await visit.open()
        await visit.ask("!size")
        await visit.ask("W" * 400)
        wide = await visit.page.evaluate(
            "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide == 0
        assert await visit.page.evaluate(CONTRAST) >= 4.5


# The smallest contrast between a text and what is behind it, as WCAG counts it.
CONTRAST = """() => {
    const numbers = color => color.match(/[\\d.]+/g).map(Number);
    const light = color => {
        const [r, g, b] = numbers(color).slice(0, 3).map(v => v / 255)
            .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = node => {
        for (let each = node; each; each = each.parentElement) {
            const color = getComputedStyle(each).backgroundColor;
            if ((numbers(color)[3] ?? 1) > 0.5) return color;
        }
        return "rgb(255, 255, 255)";
    };
    const texts = [...document.querySelectorAll("h1, #state, .bubble, #choices button, textarea")];
    return Math.min(...texts.filter(each => each.checkVisibility()).map(each => {
        const [a, b] = [light(getComputedStyle(each).color), light(behind(each))];
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    }));
}"""


def png() -> bytes:
    """A picture of one pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return len(data).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")

    head = (1).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    pixels = zlib.compress(b"\x00\x20\x80\x40")
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )
