from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from pydantic import JsonValue

from sessionbot_kit import Bot, Chat, IncomingMessage, KitError, PluginKernel, plugin
from sessionbot_kit.link import Link, Watch, Watched
from sessionbot_kit.links.websocket import connect_link
from sessionbot_kit.models import Media, OutgoingMessage


@plugin("!far")
async def far(chat: Chat) -> str:
    """Count, in another kernel."""
    chat.vars["n"] = int(str(chat.vars.get("n", 0))) + 1
    return f"far {chat.vars['n']}"


@plugin("!file")
async def file(message: IncomingMessage) -> OutgoingMessage:
    """Answer with a large file."""
    return message.reply("here", media=(Media.from_bytes(b"x" * 3_000_000, name="large.bin"),))


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Bot]:
    """A bot without plugins of its own, which listens on a free port."""
    async with Bot(store=tmp_path / "bot.db") as bot:
        await bot.start(listen=0)
        yield bot


def address(bot: Bot) -> str:
    return f"ws://127.0.0.1:{bot.gateway.reception.port}"


async def test_a_kernel_joins_over_a_socket_and_answers(bot: Bot) -> None:
    async with await PluginKernel(far).attach(address(bot)):
        assert [await bot.hear("!far") for _ in range(2)] == [["far 1"], ["far 2"]]


async def test_a_large_file_comes_over_the_socket_whole(bot: Bot) -> None:
    async with await PluginKernel(file).attach(address(bot)):
        await bot.hear("!file")
    (said,) = bot.loopback.said
    assert said.media[0].data == b"x" * 3_000_000


async def test_without_the_token_nobody_joins(tmp_path: Path) -> None:
    async with Bot(store=tmp_path / "bot.db") as bot:
        await bot.start(listen=0, token="s3cret")
        with pytest.raises(KitError):
            await PluginKernel(far).attach(address(bot), token="wrong", give_up_after_s=5)
        async with await PluginKernel(far).attach(address(bot), token="s3cret"):
            assert await bot.hear("!far") == ["far 1"]


async def test_starting_again_keeps_the_port(bot: Bot) -> None:
    before = bot.gateway.reception.port
    await bot.start(listen=0)
    assert bot.gateway.reception.port == before


async def test_a_port_that_is_taken_is_one_sentence(bot: Bot, tmp_path: Path) -> None:
    taken = bot.gateway.reception.port or 0
    async with Bot(store=tmp_path / "other.db") as other:
        with pytest.raises(KitError, match=f"port {taken} on 127.0.0.1 cannot be opened"):
            await other.start(listen=taken)


async def test_a_watcher_sees_what_passes_and_not_itself(bot: Bot) -> None:
    async with (
        connect_link(address(bot)) as watcher,
        await PluginKernel(file).attach(address(bot)) as far_away,
    ):
        await watcher.send(Watch("wire"))
        assert await watcher.receive() == Watched("wire")
        await bot.hear("!file")
        seen = [event async for event in _until_complete(watcher)]
    assert len({event["link"] for event in seen}) == 1
    assert sum(1 for event in seen if event["state"] == "open") >= 22  # 3 MB in 128 KiB pieces
    assert far_away.link is not watcher


async def test_a_watcher_of_what_is_not_there_is_told(bot: Bot) -> None:
    async with connect_link(address(bot)) as watcher:
        await watcher.send(Watch("weather"))
        answer = await watcher.receive()
    assert answer == Watched("weather", error="there is no weather to watch; watch wire")


async def test_the_wire_can_be_watched_from_inside(bot: Bot) -> None:
    assert bot.wire is not None
    with bot.wire.listen() as passing:
        async with await PluginKernel(far).attach(address(bot)):
            await bot.hear("!far")
        assert {frame.way for frame in passing.take()} == {"in", "out"}


async def test_after_the_stop_the_port_is_free(tmp_path: Path) -> None:
    async with Bot(store=tmp_path / "bot.db") as bot:
        await bot.start(listen=0)
        port = bot.gateway.reception.port or 0
    async with Bot(store=tmp_path / "bot.db") as bot:
        await bot.start(listen=port)
        assert bot.gateway.reception.port == port


async def _until_complete(watcher: Link) -> AsyncIterator[Mapping[str, JsonValue]]:
    async for frame in watcher:
        assert isinstance(frame, Watched)
        for event in frame.events:
            yield event
            if (event["state"], event["way"]) == ("complete", "in"):
                return
