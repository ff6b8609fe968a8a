"""People with a real browser, and a bot in a process of its own that can be killed."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.machine import chromium

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Page

ROOT = Path(__file__).parents[2]
WAIT_MS = 15_000


@dataclass
class Visit:
    """A page in a browser, and what went wrong on it."""

    page: "Page"
    home: str
    errors: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    async def open(self, path: str = "") -> None:
        """Go to the page and wait until it is connected."""
        await self.page.goto(self.home + path)
        await self.online()

    async def online(self) -> None:
        await self.page.wait_for_selector('#state[data-state="online"]')

    async def say(self, text: str) -> None:
        await self.page.fill("#text", text)
        await self.page.keyboard.press("Enter")

    async def ask(self, text: str) -> str:
        """Say something and wait for the next thing that the bot says."""
        before = await self.page.locator("#log li.bot").count()
        await self.say(text)
        return await self.nth_answer(before)

    async def nth_answer(self, number: int) -> str:
        return await self.page.locator("#log li.bot .bubble").nth(number).inner_text()

    async def texts(self) -> list[str]:
        """Everything on the page, the oldest first."""
        return await self.page.locator("#log li .bubble").all_inner_texts()


@asynccontextmanager
async def visiting(home: str, **look: Any) -> AsyncIterator[Visit]:
    """Open a browser of one's own at an address."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium(), args=["--headless", "--no-sandbox"]
        )
        context: BrowserContext = await browser.new_context(**look)
        context.set_default_timeout(WAIT_MS)
        visit = Visit(await context.new_page(), home)
        visit.page.on("pageerror", lambda error: visit.errors.append(str(error)))
        visit.page.on("dialog", lambda dialog: visit.errors.append(f"dialog: {dialog.message}"))
        visit.page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((home, "blob:"))
                else visit.outside.append(request.url)
            ),
        )
        try:
            yield visit
        finally:
            await context.close()
            await browser.close()


@dataclass
class Server:
    """`sessionbot run` in a process of its own."""

    folder: Path
    port: int = 0
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *options: str) -> None:
        """Start it, at the same port each time, and wait until it says where it is."""
        with (self.folder / "turns.jsonl").open("a") as turns:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sessionbot_kit", "run", "--port", str(self.port), *options],
                cwd=self.folder,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdout=turns,
                stderr=subprocess.PIPE,
                text=True,
            )
        assert self.process.stderr is not None
        said = []
        for line in self.process.stderr:
            said.append(line)
            if found := re.match(r"Open http://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                return
        raise AssertionError("".join(said))

    def kill(self, sign: signal.Signals = signal.SIGKILL) -> int:
        """End it; its exit status."""
        assert self.process is not None
        self.process.send_signal(sign)
        assert self.process.stderr is not None
        self.process.stderr.read()
        self.process.stderr.close()
        return self.process.wait(30)


@contextmanager
def running(folder: Path, plugin: str, *options: str) -> Iterator[Server]:
    """A bot with one plugin, given as its source."""
    (folder / "plugins").mkdir()
    (folder / "plugins" / "mine.py").write_text(plugin)
    (folder / "sessionbot.yml").write_text("web:\n  admin_token: the-admin-token\n")
    server = Server(folder)
    server.start(*options)
    try:
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            server.kill()
