"""A bot that is killed again and again answers everything, counts right and says nothing twice.

The test is the platform and the people on it; the bot is a process that dies. The platform takes
idempotency keys: a reply that comes a second time has the name of the first.
"""

import asyncio
import contextlib
import json
import random
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sessionbot_kit.answering import ASIDE

ROOT = Path(__file__).parents[1]
ROUNDS = [pytest.param(4, id="few"), pytest.param(1000, id="many", marks=pytest.mark.long)]
POINTS = ["accept", "step", "ask", "end", "sent"]
UNASKED = "what nobody asked for"


class Platform:
    """What survives: which messages were acknowledged, and which replies have arrived."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.process: Process | None = None
        self.acknowledged: set[str] = set()
        self.replies: dict[str, list[tuple[str, str]]] = {}  # by the message they answer
        self.expected: dict[str, int] = {}
        self.copies = 0
        self._unheard: dict[str, dict[str, str]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._changed = asyncio.Condition()
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def close(self) -> None:
        await self.kill()
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def start(self, point: str = "") -> None:
        """Start the bot; it may kill itself at a commit."""
        command = (sys.executable, "-m", "tests.turn_child", str(self._path), str(self.port))
        self.process = await asyncio.create_subprocess_exec(*command, point, cwd=ROOT)

    async def kill(self) -> None:
        """Kill it as hard as can be."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def died(self) -> None:
        """Wait until the bot has killed itself."""
        assert self.process is not None
        assert await self.process.wait() == -signal.SIGKILL

    async def says(self, user: str, id: str, text: str, expected: int = 1) -> list[str]:
        """Say something until it is acknowledged; then wait for so many replies to it."""
        said = {"id": id, "user": user, "text": text}
        self._unheard[id] = said
        self.expected[id] = expected
        self._send(said)
        async with self._changed:
            await self._changed.wait_for(lambda: id in self.acknowledged)
        return await self.hears(id, expected)

    async def hears(self, id: str, expected: int) -> list[str]:
        """Wait for so many replies to a message."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.replies.get(id, ())) >= expected)
        return [text for _, text in self.replies[id]]

    async def hears_more(self, count: int) -> None:
        """Wait for more to be acknowledged."""
        before = len(self.acknowledged)
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.acknowledged) >= before + count)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        for said in list(self._unheard.values()):
            self._send(said)
        with contextlib.suppress(ConnectionError):  # it was killed in the middle of a line
            async for line in reader:
                await self._take(json.loads(line))
        writer.close()

    async def _take(self, said: dict[str, Any]) -> None:
        async with self._changed:
            if "ack" in said:
                self.acknowledged.add(said["ack"])
                self._unheard.pop(said["ack"], None)
            else:
                replies = self.replies.setdefault(said["reply_to"] or UNASKED, [])
                if said["say"] in dict(replies):
                    self.copies += 1
                    assert dict(replies)[said["say"]] == said["text"], "another text, same name"
                else:
                    replies.append((said["say"], said["text"]))
                self._send({"took": said["say"]})
            self._changed.notify_all()

    def _send(self, words: dict[str, str]) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(json.dumps(words).encode() + b"\n")


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    platform = Platform(tmp_path / "bot.db")
    await platform.open()
    yield platform
    await platform.close()


class Talker:
    """Somebody who counts, and goes on trips, and expects the right answers."""

    def __init__(self, platform: Platform, name: str) -> None:
        self._platform = platform
        self._name = name
        self._messages = 0
        self._n = 0

    async def count(self) -> None:
        self._n += 1
        assert await self._says("!count this") == [f"this is {self._n}"]

    async def trip(self) -> None:
        self._n += 3
        assert await self._says("!trip far") == ["Where?"]
        assert await self._says("Rome", 2) == ["To Rome.", "When?"]
        assert await self._says("now") == [f"far: Rome now 4, {self._n}"]

    async def _says(self, text: str, expected: int = 1) -> list[str]:
        self._messages += 1
        id = f"{self._name}/{self._messages}"
        return await self._platform.says(self._name, id, text, expected)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("point", POINTS)
async def test_nothing_is_lost_or_repeated_when_it_dies(
    platform: Platform, point: str, when: str
) -> None:
    await platform.start(f"{point}:{when}:2")
    talker = Talker(platform, "ada")
    async with talking(talker.trip(), talker.count):
        await platform.died()
        await platform.start()


@pytest.mark.parametrize("kills", ROUNDS)
@pytest.mark.timeout(3600)
async def test_nothing_is_lost_or_repeated_when_it_is_killed_at_any_moment(
    platform: Platform, kills: int
) -> None:
    stop = asyncio.Event()

    async def talk(name: str) -> None:
        talker = Talker(platform, name)
        while not stop.is_set():
            await talker.count()
            await talker.trip()

    async with asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(talk(f"user {number}"))
        for _ in range(kills):
            await platform.start()
            await platform.hears_more(random.randint(1, 40))
            await platform.kill()
        await platform.start()
        stop.set()
    assert platform.acknowledged == set(platform.expected)
    assert {id: len(replies) for id, replies in platform.replies.items()} == platform.expected


@pytest.mark.parametrize("when", ["before", "after"])
async def test_what_is_to_be_said_later_is_said_once(platform: Platform, when: str) -> None:
    await platform.start(f"fire:{when}:1")
    async with talking(platform.says("ada", "1", "!tea"), nothing):
        await platform.died()
        await platform.start()
    assert await platform.hears(UNASKED, 1) == ["Tea is ready."]
    assert await platform.says("ada", "2", "!count this") == ["this is 1"]
    assert len(platform.replies[UNASKED]) == 1


async def nothing() -> None:
    pass


async def test_a_message_that_ends_the_process_is_set_aside_and_harms_nobody_else(
    platform: Platform,
) -> None:
    deaths = 0

    async def restart() -> None:
        nonlocal deaths
        while True:
            await platform.start()
            await platform.died()
            deaths += 1

    async with talking(restart(), None) as restarting:
        said = await platform.says("bob", "killer", "!die")
        assert said == [ASIDE]
        assert deaths == 5  # at first, once again, and three times alone
        talker = Talker(platform, "ada")
        await talker.count()
        assert await platform.says("bob", "next", "!count that") == ["that is 1"]
        restarting.cancel()


@asynccontextmanager
async def talking(work: Any, then: Any) -> AsyncIterator["asyncio.Task[Any]"]:
    """Somebody talks while the bot dies and comes back."""

    async def talk() -> None:
        await work
        if then is not None:
            await then()

    task = asyncio.get_running_loop().create_task(talk())
    try:
        yield task
        if then is not None:
            await task
    finally:
        task.cancel()
        await asyncio.wait([task])
