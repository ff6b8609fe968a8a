"""What the house adds to a model server's stream: to its first piece, and to all of them."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from benchmarks.harness import Section, at_least, at_most
from sessionbot_kit import Bot
from sessionbot_kit.channels.loopback import Loopback
from sessionbot_kit.llms import OpenAICompatible
from sessionbot_kit.models import OutgoingMessage, SendResult
from sessionbot_kit.plugins.assistant import Assistant

PIECES = 3_000
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
PIECE = {"choices": [{"delta": {"content": "word "}, "finish_reason": None}]}
END = {"choices": [{"delta": {}, "finish_reason": "stop"}]}


class Server:
    """Streams pieces, and remembers when it has sent the first one."""

    def __init__(self) -> None:
        self.pieces = 1
        self.first = 0.0
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next(line for line in head.split("\r\n") if line.startswith("content-length"))
        await reader.readexactly(int(length.split(":")[1]))
        writer.write(HEAD)
        await writer.drain()
        self.first = time.perf_counter()
        line = f"data: {json.dumps(PIECE)}\n\n".encode()
        for _ in range(self.pieces):
            writer.write(line)
            await writer.drain()
        writer.write(f"data: {json.dumps(END)}\n\ndata: [DONE]\n\n".encode())
        writer.close()


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    served = Server()
    server = await asyncio.start_server(served.answer, "127.0.0.1", 0)
    served.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield served
    finally:
        server.close()
        await server.wait_closed()


class Watched(Loopback):
    """A platform that remembers when it was first asked to show something."""

    first = 0.0

    async def send(self, message: OutgoingMessage) -> SendResult:
        self.first = self.first or time.perf_counter()
        return await super().send(message)


async def bare(server: Server, client: httpx.AsyncClient) -> float:
    """Read the stream as anybody would; when the first piece was there."""
    first = 0.0
    wanted = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Go"}]}
    async with client.stream("POST", f"{server.url}/chat/completions", json=wanted) as response:
        async for line in response.aiter_lines():
            if line.startswith("data: {") and json.loads(line[6:])["choices"][0]["delta"]:
                first = first or time.perf_counter()
    return first


async def main(section: Section) -> None:
    loopback = Watched()
    async with serving() as server, httpx.AsyncClient() as client:
        model = OpenAICompatible(server.url, model="m")
        bot = Bot(Assistant(model))
        bot.loopback, bot.channels = loopback, (loopback,)
        async with bot:

            async def first_bare() -> float:
                server.pieces = 20
                return (await bare(server, client) - server.first) * 1000

            async def first_ours() -> float:
                server.pieces, loopback.first = 20, 0.0
                await bot.hear("Go")
                return (loopback.first - server.first) * 1000

            async def added() -> float:
                alone = await first_bare()
                return await first_ours() - alone

            table = section.table("First piece: from the server's hand to the channel's", rounds=41)
            table.sample("a bare httpx stream, parsed", first_bare)
            table.sample("model, assistant, link, gateway, channel", first_ours)
            table.sample("what that adds", added, goal=at_most(15, "ms"))
            await table.measure()

            async def all_bare() -> float:
                server.pieces = PIECES
                began = time.perf_counter()
                await bare(server, client)
                return PIECES / (time.perf_counter() - began)

            async def all_ours() -> float:
                server.pieces = PIECES
                began = time.perf_counter()
                await bot.hear("Go", user=f"{began}")
                return PIECES / (time.perf_counter() - began)

            table = section.table(
                f"An answer of {PIECES:,} pieces", unit="pieces/s", against="a bare httpx stream"
            )
            table.sample("a bare httpx stream", all_bare)
            table.sample("the whole way to the channel", all_ours, goal=at_least(0.9))
            await table.measure()
    section.note(
        "The server runs in the same process. The bare stream is taken apart and each piece "
        "decoded, since without that there is no text; on the whole way the turn is committed too."
    )


if __name__ == "__main__":
    Section("assistant", "The local assistant", uses=("httpx",)).run(main)
