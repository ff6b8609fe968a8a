"""The web door: sessions over REST beside a plain peer, and many chats at once."""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter

import httpx
import orjson
from websockets.asyncio.client import connect

from benchmarks.harness import ROOT, Section, at_least, at_most

PEER = ROOT / ".venv-bench-web"
PACKAGES = ("fastapi", "uvicorn", "httptools", "sqlalchemy", "aiosqlite", "greenlet")
CLIENTS = 64
ASKS = 640
HEAD = (
    "POST /api/sessions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer bench\r\n"
    "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n"
)


def peer_python() -> str:
    """The Python of the peer, in a virtual environment that is made the first time."""
    python = PEER / "bin" / "python"
    if not python.exists():
        venv.create(PEER, with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return str(python)


@contextmanager
def server(command: list[str]) -> Iterator[tuple[int, int]]:
    """A server in a process of its own: its port and its process id."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen([*command, folder], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline()), process.pid
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()


async def asks_per_second(port: int, action: str) -> float:
    """What so many clients get done, each on a connection and a session of its own."""

    async def client(number: int) -> None:
        # A client that costs little, so that the servers are what is measured.
        body = orjson.dumps(
            {
                "action": action,
                "sessionId": number + 1,
                "data": {"role": "user", "content": "x" * 100} if action == "addMessage" else {},
            }
        )
        request = HEAD.format(len(body)).encode() + body
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(ASKS // CLIENTS):
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = next(
                int(line.split(b":")[1])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length")
            )
            await reader.readexactly(length)
        writer.close()

    began = perf_counter()
    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    return ASKS / (perf_counter() - began)


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


async def chats(port: int, count: int, *, every_s: float, rounds: int) -> list[float]:
    """So many chats, each saying something now and then; how long each answer took, in ms."""
    took: list[float] = []
    opened = asyncio.Semaphore(50)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:

        async def chat(number: int) -> None:
            async with opened:
                token = (await client.post("/api/session")).json()["token"]
                socket = await connect(f"ws://127.0.0.1:{port}/ws", compression=None)
                await socket.send(orjson.dumps({"type": "hello", "token": token}).decode())
                await socket.recv()
            async with socket:
                await asyncio.sleep(every_s * number / count)
                for turn in range(rounds):
                    began = perf_counter()
                    frame = {
                        "type": "message",
                        "id": f"chat-{number}-{turn}",
                        "content": "!echo hi",
                    }
                    await socket.send(orjson.dumps(frame).decode())
                    while orjson.loads(await socket.recv()).get("who") != "bot":
                        pass
                    took.append((perf_counter() - began) * 1000)
                    await asyncio.sleep(max(0.0, every_s - (perf_counter() - began)))

        await asyncio.gather(*map(chat, range(count)))
    return sorted(took)


def p99(took: list[float]) -> float:
    return took[min(len(took) - 1, len(took) * 99 // 100)]


async def held_by_a_chat(port: int, pid: int, count: int) -> float:
    """How much the server grows for each chat that is open and has said something, in KB."""
    before = resident(pid)
    await chats(port, count, every_s=0.0, rounds=0)
    task = asyncio.ensure_future(chats(port, count, every_s=8.0, rounds=1))
    await asyncio.sleep(12.0)
    grown = resident(pid) - before
    await task
    return grown / count / 1000


async def main(section: Section) -> None:
    """Measure both."""
    ours_command = [sys.executable, "-m", "benchmarks.web_ours"]
    peer_command = [peer_python(), str(ROOT / "benchmarks" / "web_peer.py")]
    with server(ours_command) as (ours, pid):
        with server(peer_command) as (peer, _):
            for action in ("addMessage", "buildContext"):
                table = section.table(
                    f"REST {action}, {CLIENTS} clients",
                    unit="asks/s",
                    against="FastAPI + SQLAlchemy + SQLite",
                    rounds=5,
                )
                table.sample(
                    "FastAPI + SQLAlchemy + SQLite", partial(asks_per_second, peer, action)
                )
                table.sample(
                    "sessionbot_kit",
                    partial(asks_per_second, ours, action),
                    goal=at_least(3.0),
                )
                await table.measure()
        held = await held_by_a_chat(ours, pid, 1_000)
        few = [p99(await chats(ours, 10, every_s=1.0, rounds=20)) for _ in range(2)]
        many = p99(await chats(ours, 1_000, every_s=10.0, rounds=3))
        figures = section.table(
            "1,000 chats, each every 10 s", unit="ms", against="10 chats", rounds=1
        )
        figures.sample("10 chats", lambda: statistics.median(few))
        figures.sample("1,000 chats", lambda: many, goal=at_most(5.0))
        await figures.measure()
        memory = section.table("Memory of a chat", unit="KB", against="60 KB", rounds=1)
        memory.sample("60 KB", lambda: 60.0)
        memory.sample("one of 1,000 open chats", lambda: held, goal=at_most(1.0))
        await memory.measure()


if __name__ == "__main__":
    Section("web", "The web door", uses=("uvicorn", "httptools", "websockets")).run(main)
