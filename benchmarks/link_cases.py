"""The cases of `bench_link`: a server in a process of its own, a client here, then one number.

    python -m benchmarks.link_cases mb_per_s binary 1048576
    python -m benchmarks.link_cases latency_ms loaded

Each is run in a fresh process, because a process that has moved large frames before reuses their
memory and looks three times as fast. The last word that is printed is the result.
"""

import asyncio
import json
import statistics
import sys
from asyncio.events import Handle
from asyncio.subprocess import PIPE
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, thread_time
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve

from benchmarks import original_chunker
from sessionbot_kit.link import Event, Link, Result
from sessionbot_kit.links.websocket import Rules, connect_link, serve_links
from sessionbot_kit.models import Media, OutgoingMessage

BULK_BYTES = 60_000_000
CHAT_BYTES = 1_000
IN_FLIGHT = 8  # large messages
CHATS_IN_FLIGHT = 64

# Every case, the bare socket too, runs without compression and with room for one large frame.
OPTIONS: dict[str, Any] = {"compression": None, "max_size": None}


def with_file(size: int) -> Result:
    """A link frame with one attachment."""
    media = Media.from_bytes(bytes(size), name="a.bin")
    reply = OutgoingMessage(channel_type="web", channel_id="c", content="", media=(media,))
    return Result("t", 1, 1, (reply,))


def chat() -> Result:
    """A chat message of 1 KB."""
    text = "x" * CHAT_BYTES
    return Result("t", 1, 1, (OutgoingMessage(channel_type="web", channel_id="c", content=text),))


# The servers: each prints its port, and lives until its input closes.


async def handle_link(link: Link) -> None:
    """Handle every frame; answer events, and delete the files that came."""
    async with asyncio.TaskGroup() as group:
        async for frame in link:
            if isinstance(frame, Event):
                await link.send(frame)
            elif isinstance(frame, Result):
                for media in frame.replies[0].media:
                    if media.path is not None:  # it takes the disk 10 ms to forget 60 MB
                        group.create_task(asyncio.to_thread(media.path.unlink))


async def handle_raw(socket: ServerConnection) -> None:
    """Echo what is short, acknowledge what is long, looking at every byte's place once."""
    async for data in socket:
        await socket.send(data if len(data) <= 4_096 else b"ok")


async def handle_original(socket: ServerConnection) -> None:
    """Read, validate and decode as the original does, and acknowledge."""
    while True:
        whole = await original_chunker.receive(socket.recv)  # type: ignore[arg-type]  # text frames
        message = original_chunker.FullMessagePayload.model_validate(whole)
        assert all(b64decode(each.content) for each in message.attachments)
        await socket.send("ok")


async def serve_case(kind: str) -> None:
    """Run a server until the parent closes our input."""
    loop = asyncio.get_running_loop()
    if kind in ("binary", "text", "spooled"):
        with TemporaryDirectory() as folder:
            rules = Rules(spool_folder=Path(folder) if kind == "spooled" else None)
            async with serve_links(handle_link, port=0, rules=rules) as server:
                print(server.port, flush=True)
                await loop.run_in_executor(None, sys.stdin.read)
        return
    handler = handle_raw if kind == "raw" else handle_original
    async with serve(handler, "127.0.0.1", 0, **OPTIONS) as sockets:
        print(next(iter(sockets.sockets)).getsockname()[1], flush=True)
        await loop.run_in_executor(None, sys.stdin.read)


async def against_server(kind: str, work: Callable[[str], Awaitable[float]]) -> float:
    """Start a server, let the client work, stop the server."""
    argv = [sys.executable, "-m", "benchmarks.link_cases", "serve", kind]
    child = await asyncio.create_subprocess_exec(*argv, stdin=PIPE, stdout=PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        port = int(await child.stdout.readline())
        return await work(f"ws://127.0.0.1:{port}")
    finally:
        child.stdin.close()
        await child.wait()


# The clients.


def a_while(size: int) -> int:
    """How many messages of a size make a sample of about a second."""
    return max(8, min(20_000, 300_000_000 // max(size, 10_000)))


async def link_rate(url: str, codec: Any, frame: Result, count: int, in_flight: int) -> float:
    """Messages a second over a link: sent, validated, handled and acknowledged."""
    rules = Rules(outbox_messages=in_flight)
    async with connect_link(url, codec=codec, rules=rules) as link:
        start = perf_counter()
        for _ in range(count):
            await link.send(frame)
        await link.flush()
        return count / (perf_counter() - start)


async def raw_rate(url: str, data: bytes, count: int, in_flight: int) -> float:
    """Messages a second over a bare socket, each answered."""
    async with connect(url, **OPTIONS) as socket:
        start = perf_counter()
        await _in_flight(socket, lambda: socket.send(data), count, in_flight)
        return count / (perf_counter() - start)


async def original_rate(url: str, size: int, count: int) -> float:
    """Messages a second in the way of the original peers."""
    content = bytes(size)
    async with connect(url, **OPTIONS) as socket:

        async def send() -> None:
            file = {"name": "a.bin", "type": "application/octet-stream"}
            file["content"] = b64encode(content).decode()
            message = {"to": "a", "from": "b", "text": "", "attachments": [file]}
            await original_chunker.send(message, socket.send)

        start = perf_counter()
        await _in_flight(socket, send, count, IN_FLIGHT)
        return count / (perf_counter() - start)


async def _in_flight(
    socket: ClientConnection, send: Callable[[], Awaitable[None]], count: int, in_flight: int
) -> None:
    first = min(in_flight, count)
    for _ in range(first):
        await send()
    for _ in range(count - first):
        await socket.recv()
        await send()
    for _ in range(first):
        await socket.recv()


async def mb_per_s(kind: str, size: str) -> float:
    """Bytes of attachments a second, in MB."""
    each = int(size)
    count = a_while(each)

    async def work(url: str) -> float:
        if kind == "raw":
            rate = await raw_rate(url, bytes(each), count, IN_FLIGHT)
        elif kind == "original":
            rate = await original_rate(url, each, max(8, count // 8))
        else:
            codec = "text" if kind == "text" else "binary"
            rate = await link_rate(url, codec, with_file(each), count, IN_FLIGHT)
        return rate * each / 1e6

    return await against_server(kind, work)


async def chats_per_s(kind: str) -> float:
    """Chat messages of 1 KB a second."""

    async def work(url: str) -> float:
        if kind == "raw":
            return await raw_rate(url, bytes(CHAT_BYTES), 10_000, CHATS_IN_FLIGHT)
        return await link_rate(url, kind, chat(), 10_000, 1_024)

    return await against_server(kind, work)


async def latency_ms(load: str) -> float:
    """The 99th percentile of 500 short round trips, one every 2 ms."""

    async def work(url: str) -> float:
        async with connect_link(url) as link, asyncio.TaskGroup() as group:
            bulk = group.create_task(_transfer(link)) if load == "loaded" else None
            times = []
            for number in range(500):
                start = perf_counter()
                await link.send(Event(f"small {number}", "note", {"text": "x" * 150}))
                await link.receive()
                times.append((perf_counter() - start) * 1e3)
                await asyncio.sleep(0.002)
            if bulk is not None:
                bulk.cancel()
        return statistics.quantiles(times, n=100)[98]

    return await against_server("spooled", work)


async def _transfer(link: Link) -> None:
    frame = with_file(BULK_BYTES)
    while True:
        await link.send(frame)


async def stall_ms(codec: str) -> float:
    """The longest that one callback held the loop, either end, during a message of 64 MB."""
    longest = 0.0
    run = Handle._run

    def timed(self: Handle) -> None:
        nonlocal longest
        start = thread_time()
        run(self)
        longest = max(longest, thread_time() - start)

    done = asyncio.Event()

    async def on_link(link: Link) -> None:
        async for _ in link:
            done.set()

    folder = TemporaryDirectory()
    rules = Rules(spool_folder=Path(folder.name))
    async with (
        serve_links(on_link, port=0, rules=rules) as server,
        connect_link(f"ws://127.0.0.1:{server.port}", codec=codec) as link,  # type: ignore[arg-type]  # from the command line
    ):
        frame = with_file(BULK_BYTES if codec == "binary" else 45_000_000)
        Handle._run = timed  # type: ignore[method-assign]  # to look from outside
        await link.send(frame)
        await done.wait()
        Handle._run = run  # type: ignore[method-assign]  # as it was
    folder.cleanup()
    return longest * 1e3


async def main() -> None:
    """Run the case that the command line names."""
    name, *arguments = sys.argv[1:]
    if name == "serve":
        await serve_case(*arguments)
        return
    cases: dict[str, Callable[..., Awaitable[float]]] = {
        "mb_per_s": mb_per_s,
        "chats_per_s": chats_per_s,
        "latency_ms": latency_ms,
        "stall_ms": stall_ms,
    }
    print(json.dumps(await cases[name](*arguments)))


if __name__ == "__main__":
    asyncio.run(main())
