"""The other client, `session-python`, as tests use it: in a process that does not outlive them.

async with running_peer(network) as ada:
    await ada.does("say", to=bot.id, text="Hello")
    await ada.does("poll")
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sessionbot_kit.channels.session_messenger.loopback import LoopbackNetwork

from .vectors import KEYS

PEER = Path(__file__).with_name("peer_process.py")
PATIENCE_S = 15.0


class OtherClient:
    """The other client: `await peer.does("say", to=..., text=...)`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def does(self, what: str, **order: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, **order}).encode() + b"\n")
        return (await self.answer())["answer"]

    async def answer(self) -> Any:
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            line = await self._process.stdout.readline()
        assert line, "the other client has died"
        return json.loads(line)


@asynccontextmanager
async def running_peer(network: LoopbackNetwork) -> AsyncIterator[OtherClient]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PEER),
        *(str(network.plain_port), KEYS[0]["mnemonic"], "Ada"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    try:
        peer = OtherClient(process)
        assert await peer.answer() == {"ready": KEYS[0]["session_id"]}
        yield peer
    finally:
        process.kill()
        await process.wait()
