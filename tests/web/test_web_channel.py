"""The chat page held to the contract of channels: the person's side is a real browser."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sessionbot_kit import Media
from sessionbot_kit.channels.web import WebChannel
from sessionbot_kit.testing import ChannelContract, Line
from tests.web.people import house
from tests.web.visitors import Visit, visiting

ROWS = """async () => Promise.all([...document.querySelectorAll("#log li")].map(async item => ({
    id: item.dataset.id,
    bot: item.classList.contains("bot"),
    gone: item.classList.contains("deleted"),
    text: [...item.querySelectorAll(".bubble:not(.media)")].map(each => each.textContent).join(""),
    reactions: [...item.querySelectorAll(".chips span")].map(each => each.textContent),
    files: await Promise.all([...item.querySelectorAll(".media img, .media a")].map(async file => [
        file.alt || file.download,
        [...new Uint8Array(await (await fetch(file.src || file.href)).arrayBuffer())],
    ])),
})))"""


class BrowserPeer:
    """Somebody with the page open in Chromium."""

    def __init__(self, channel: WebChannel, visit: Visit, chat: str) -> None:
        self.channel = channel
        self.chat = chat
        self._visit = visit
        self._seen = 0

    async def says(self, text: str, *files: Media) -> str:
        page = self._visit.page
        if files:
            payloads: list[Any] = [
                {"name": file.name, "mimeType": file.mime, "buffer": file.read()} for file in files
            ]
            await page.set_input_files("#files", payloads)
            await page.wait_for_selector("#send[aria-disabled=false]")
        before = await page.locator("#log li.user").count()
        await self._visit.say(text)
        return str(await page.locator("#log li.user").nth(before).get_attribute("data-id"))

    async def screen(self) -> list[Line]:
        await self._caught_up()
        return [
            Line(
                row["id"],
                row["text"],
                row["bot"],
                tuple((name, bytes(data)) for name, data in row["files"]),
                tuple(row["reactions"]),
            )
            for row in await self._visit.page.evaluate(ROWS)
            if not row["gone"] and not row["id"].startswith("sync/")
        ]

    async def notices(self) -> list[str]:
        await self._caught_up()
        state = await self._visit.page.get_attribute("#state", "data-state")
        typing = await self._visit.page.locator("#typing").is_visible()
        return [str(state), *(["typing"] if typing else [])]

    async def does(self, kind: str, message_id: str, content: str) -> None:
        raise NotImplementedError("the page has no button for that")

    async def _caught_up(self) -> None:
        # Frames keep their order: when this one is there, so is all that went before.
        self._seen += 1
        row = {"id": f"sync/{self._seen}", "who": "user", "content": "", "is_complete": False}
        self.channel._show(self.chat, {"type": "message", **row})
        await self._visit.page.locator(f'[data-id="sync/{self._seen}"]').wait_for(state="attached")


@pytest.mark.needs("chromium", "playwright")
@pytest.mark.timeout(120)
class TestWebChannel(ChannelContract):
    """Its files and edits, its typing and presence, all eight points."""

    @pytest.fixture
    async def peer(self, tmp_path: Path) -> AsyncIterator[BrowserPeer]:
        channel = WebChannel(tmp_path / "page")
        async with house(tmp_path) as home:
            channel.keep_in(home.bot.gateway.store)
            home.door.rooms[""].channel = channel
            async with visiting(home.door.url) as visit:
                await visit.open()
                (session,) = await home.bot.sessions.list(interface="web")
                yield BrowserPeer(channel, visit, session.key.chat)


def test_the_page_does_all_that_a_channel_can_do() -> None:
    points = {point for point in WebChannel.meta.implements if point.startswith("session.")}
    verbs = ("receive", "send", "typing", "presence", "edit", "delete", "react", "media")
    assert points == {f"session.{verb}" for verb in verbs}
