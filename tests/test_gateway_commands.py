"""The gateway as a process: started, joined, watched and stopped from outside."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import sessionbot_kit
from sessionbot_kit import IncomingMessage, Media, OutgoingMessage, PluginKernel, plugin
from sessionbot_kit.plugins import echo

ROOT = Path(sessionbot_kit.__file__).parents[1]
Process = asyncio.subprocess.Process


@asynccontextmanager
async def command(folder: Path, *arguments: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-m", "sessionbot_kit", *arguments,
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def line_of(process: Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().rstrip()


async def say(process: Process, text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(text.encode() + b"\n")
    await process.stdin.drain()


async def test_a_gateway_runs_is_joined_watched_and_stopped(tmp_path: Path) -> None:
    async with command(tmp_path, "gateway", "run", "--console", "--port", "0") as gateway:
        url = (await line_of(gateway)).split()[2].rstrip(",")
        assert await line_of(gateway) == f'Join it: await PluginKernel(...).attach("{url}")'
        async with await PluginKernel(echo).attach(url):
            await say(gateway, "!echo over there")
            assert await line_of(gateway) == "over there"
            async with command(tmp_path, "wire", "tail", "--once", url) as tail:
                assert (await line_of(tail)).split() == [
                    "link", "way", "message", "position", "bytes", "age", "state",
                ]  # fmt: skip
                while tail.stdout is not None and not tail.stdout.at_eof():
                    await say(gateway, "!echo again")
                    await line_of(gateway)
                    if seen := await line_of(tail):
                        break
                assert seen.split()[1] in {"in", "out"}
        gateway.send_signal(signal.SIGTERM)
        assert await line_of(gateway) == "Stopping: running turns have a moment."
        assert await gateway.wait() == 0


@plugin("!file")
async def file(message: IncomingMessage) -> OutgoingMessage:
    """Nine megabytes."""
    return message.reply("here", media=(Media.from_bytes(bytes(9_000_000), name="a.bin"),))


async def test_a_large_file_is_kept_on_the_disk_of_the_gateway(tmp_path: Path) -> None:
    async with command(tmp_path, "gateway", "run", "--console", "--port", "0") as gateway:
        url = (await line_of(gateway)).split()[2].rstrip(",")
        await line_of(gateway)
        async with await PluginKernel(file).attach(url):
            await say(gateway, "!file")
            assert await line_of(gateway) == "here"
        kept = [path.stat().st_size for path in (tmp_path / "data" / "received").iterdir()]
        assert kept == [9_000_000]


async def test_an_open_address_without_a_token_is_refused(tmp_path: Path) -> None:
    async with command(tmp_path, "gateway", "run", "--host", "0.0.0.0", "--port", "0") as gateway:
        assert await gateway.wait() == 2


WALL = '''
import asyncio
from datetime import UTC, datetime
from pathlib import Path

from sessionbot_kit import IncomingMessage, Plugin, PluginMeta


class Wall(Plugin):
    """A wall that people write on, once."""

    meta = PluginMeta(id="wall", implements={"session.receive": "read", "session.send": "write"})

    def configure(self, config):
        self.path = Path(config["path"])

    async def read(self, deliver):
        message = {"id": "1", "channel_id": "c", "sender_id": "ada", "sender_name": "Ada"}
        now = datetime.now(UTC)
        await deliver(
            IncomingMessage(channel_type="wall", content="!echo hello", timestamp=now, **message)
        )
        await asyncio.Event().wait()

    async def write(self, message):
        self.path.write_text(message.content)
        print("written", flush=True)
        return True
'''


async def test_a_channel_among_the_plugins_is_opened_by_the_gateway(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "wall.py").write_text(WALL)
    (tmp_path / "sessionbot.yml").write_text("plugins:\n  wall:\n    path: wall.txt\n")
    async with command(tmp_path, "gateway", "run", "--port", "0") as gateway:
        url = (await line_of(gateway)).split()[2].rstrip(",")
        await line_of(gateway)
        async with await PluginKernel(echo).attach(url):
            assert await line_of(gateway) == "written"
    assert (tmp_path / "wall.txt").read_text() == "hello"
