"""Several kernels at one gateway: who answers whom, and what becomes of those that die."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sessionbot_kit import Bot, Chat, IncomingMessage, PluginKernel, plugin
from sessionbot_kit.answering import NOT_HERE
from sessionbot_kit.channels.loopback import Loopback
from sessionbot_kit.errors import KitError, UsageError
from sessionbot_kit.gateway import Gateway
from sessionbot_kit.kernel import Attachment
from sessionbot_kit.routes import Only, place_of
from sessionbot_kit.stores.sqlite import SqliteStore
from sessionbot_kit.testing import FakeClock
from sessionbot_kit.tokens import Scope, Tokens

ROOT = Path(__file__).parents[1]


def says(text: str, *prefixes: str) -> Any:
    async def answer() -> str:
        return text

    return plugin(*prefixes, id="who")(answer) if prefixes else plugin(id="who")(answer)


@plugin("!trip")
async def trip(message: IncomingMessage, chat: Chat) -> str:
    where = await chat.ask("Where?")
    return f"To {where}, with {message.content}."


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Bot]:
    async with Bot(store=tmp_path / "bot.db") as bot:
        await bot.start(listen=0)
        yield bot


Logged = Callable[[str], Awaitable[None]]


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[Logged]:
    """Wait until something is in the log."""
    arrived: dict[str, asyncio.Event] = {}

    class Listen(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            arrived.setdefault(record.getMessage(), asyncio.Event()).set()

    async def wait(message: str) -> None:
        await arrived.setdefault(message, asyncio.Event()).wait()

    listen, room = Listen(), logging.getLogger("sessionbot_kit")
    caplog.set_level(logging.INFO, logger="sessionbot_kit")
    room.addHandler(listen)
    yield wait
    room.removeHandler(listen)


def address(bot: Bot) -> str:
    return f"ws://127.0.0.1:{bot.gateway.reception.port}"


@asynccontextmanager
async def kernel_at(bot: Bot, *plugins: Any, **options: Any) -> AsyncIterator[Attachment]:
    kernel = PluginKernel(*plugins)
    async with kernel, await kernel.attach(address(bot), **options) as attachment:
        yield attachment


async def test_each_kernel_answers_what_its_plugins_are_for(bot: Bot) -> None:
    async with kernel_at(bot, says("one", "!one")), kernel_at(bot, says("two", "!two")):
        assert await bot.hear("!one") == ["one"]
        assert await bot.hear("!two") == ["two"]


@pytest.mark.parametrize(
    "only", ["ada", {"user": "ada"}, {"chat": ["ada", "eve"]}, Only(users=("ada",))]
)
async def test_a_scoped_kernel_serves_its_chat_alone_and_comes_first_there(
    bot: Bot, only: Any
) -> None:
    async with kernel_at(bot, says("all", "!who")):
        async with kernel_at(bot, says("scoped", "!who"), only=only):
            assert await bot.hear("!who", user="ada") == ["scoped"]
            assert await bot.hear("!who", user="bob") == ["all"]
        assert await bot.hear("!who", user="ada") == ["all"]


async def test_a_scoped_kernel_comes_before_the_plugins_of_others(bot: Bot) -> None:
    async with kernel_at(bot, says("all", "!who")), kernel_at(bot, says("mine"), only="ada"):
        assert await bot.hear("!who", user="ada") == ["mine"]


async def test_a_kernel_may_serve_a_share_of_the_sessions(bot: Bot) -> None:
    answers = {}
    async with (
        kernel_at(bot, says("most", "!who")),
        kernel_at(bot, says("few", "!who"), only={"share": 0.5}),
    ):
        for number in range(20):
            (answers[f"user {number}"],) = await bot.hear("!who", user=f"user {number}")
    places = {session.key.user: place_of(session.id) for session in await bot.sessions.list()}
    assert answers == {user: "few" if place < 0.5 else "most" for user, place in places.items()}


async def test_a_message_waits_while_only_kernels_for_others_are_here(tmp_path: Path) -> None:
    async with (
        SqliteStore(tmp_path / "bot.db") as store,
        Gateway(store, channels=[Loopback()]) as house,
    ):
        url, platform = (
            f"ws://127.0.0.1:{await house.listen(port=0)}",
            house.channels.get("loopback"),
        )
        async with PluginKernel(says("mine")) as mine, await mine.attach(url, only="ada"):
            receipt = await platform.hear("hello", user="bob")
            await house.settle(await platform.hear("hello", user="ada"))
            assert platform.said_to("bob") == []
            async with PluginKernel(says("all")) as kernel, await kernel.attach(url):
                await house.settle(receipt)
        assert platform.said_to("bob") == ["all"]


@pytest.mark.parametrize("only", [{"chats": "ada"}, {"share": 0}, {"share": 2}, {"user": 7}])
async def test_a_scope_that_is_none_is_refused(bot: Bot, only: Any) -> None:
    with pytest.raises(UsageError, match=r"only=|share of|names nobody"):
        await PluginKernel().attach(address(bot), only=only)


async def test_a_dialog_waits_for_its_scoped_kernel_then_is_put_off_and_goes_on_when_it_returns(
    tmp_path: Path, logged: Logged
) -> None:
    clock = FakeClock()
    async with Bot(store=tmp_path / "bot.db", clock=clock) as bot:
        await bot.start(listen=0)
        async with kernel_at(bot, says("all")):
            async with kernel_at(bot, trip, only="ada"):
                assert await bot.hear("!trip a bag", user="ada") == ["Where?"]
            receipt = await bot.loopback.hear("Rome", user="ada")
            await logged("plugin is awaited")
            clock.turn(seconds=31)
            await bot.gateway.settle(receipt)
            assert bot.loopback.answers(receipt) == [NOT_HERE]
            async with kernel_at(bot, trip, only="ada"):
                assert await bot.hear("Rome", user="ada") == ["To Rome, with a bag."]


@asynccontextmanager
async def child(bot: Bot, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A kernel in a process of its own, which has joined."""
    before = len(bot.gateway.routes())
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.kernel_child", address(bot), *words, cwd=ROOT
    )
    try:
        while len(bot.gateway.routes()) == before:
            await bot.gateway.switchboard.changed.wait()
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_dialog_goes_on_in_another_kernel_when_its_own_is_killed(bot: Bot) -> None:
    async with child(bot, "first") as first, child(bot, "second"):
        assert await bot.hear("!trip") == ["first: Where?"]
        first.kill()
        await first.wait()
        assert await bot.hear("Rome") == ["second: To Rome."]


async def test_a_kernel_that_was_frozen_changes_nothing_when_it_comes_back(
    bot: Bot, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    monkeypatch.setattr("sessionbot_kit.switchboard.GRACE_S", 0.0)
    async with child(bot, "frozen", "0.3") as frozen, child(bot, "awake", "0.3"):
        assert await bot.hear("!count") == ["frozen: 1"]
        os.kill(frozen.pid, signal.SIGSTOP)
        assert await bot.hear("!count") == ["awake: 2"]
        os.kill(frozen.pid, signal.SIGCONT)
        await logged("stale frame refused")
        assert (await bot.hear("!count"))[0].endswith(": 3")
        assert len(bot.loopback.said_to("you")) == 3


@pytest.mark.parametrize(
    ("scope", "options", "refusal"),
    [
        ("chat", {}, "this token is for chat alone; use one for kernel or shadow or watch"),
        ("shadow", {}, "this token is for shadow alone; use one for kernel"),
        ("watch", {}, "this token is for watch alone; use one for kernel"),
        ("watch", {"shadow": True}, "this token is for watch alone; use one for shadow"),
    ],
)
async def test_a_token_that_is_too_narrow_is_refused_with_what_to_do(
    tmp_path: Path, scope: Scope, options: Any, refusal: str
) -> None:
    async with Bot(store=tmp_path / "bot.db") as bot:
        secret = await Tokens(bot.gateway.store).issue(scope)
        await bot.start(listen=0)
        with pytest.raises(KitError, match=refusal) as refused:
            async with kernel_at(bot, says("me"), token=secret, **options):
                pass
        assert secret not in str(refused.value)
        assert bot.gateway.routes() == []


@pytest.mark.parametrize(
    ("scope", "options"),
    [("kernel", {}), ("admin", {}), ("kernel", {"shadow": True}), ("shadow", {"shadow": True})],
)
async def test_a_token_that_is_wide_enough_opens(
    tmp_path: Path, scope: Scope, options: Any
) -> None:
    async with Bot(says("bot"), store=tmp_path / "bot.db") as bot:
        secret = await Tokens(bot.gateway.store).issue(scope)
        await bot.start(listen=0)
        async with kernel_at(bot, says("me"), token=secret, **options):
            assert await bot.hear("hello") == ["bot"]


async def test_whoever_came_in_with_a_token_leaves_when_it_is_revoked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessionbot_kit.reception.LOOK_EVERY_S", 0.01)
    async with Bot(store=tmp_path / "bot.db") as bot:
        tokens = Tokens(bot.gateway.store)
        secret = await tokens.issue("kernel")
        await bot.start(listen=0)
        async with kernel_at(bot, says("me"), token=secret):
            assert await bot.hear("hello") == ["me"]
            board = bot.gateway.switchboard
            await tokens.revoke((await tokens.list())[0].id)
            while board.routes():
                await board.changed.wait()
