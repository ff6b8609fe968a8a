"""What the store costs when there is much of it: memory a session, and 1,000,000 messages.

python -m benchmarks.bench_store_size       # in the environment of the peers
"""

import asyncio
import random
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from time import perf_counter

from benchmarks.harness import Section, at_most
from sessionbot_kit.models import SessionKey
from sessionbot_kit.store import NewMessage
from sessionbot_kit.stores.sqlite import SqliteStore

TEXT = "The quick brown fox jumps over the lazy dog. " * 3
SMALL, LARGE = 1_000, 100_000
MESSAGES = 10
ROUNDS = 25
TITLES = (
    "Create a session",
    "Append to any session",
    "Context of any session, not in memory",
    "Statistics",
)

# The sessions and what was read of them are held, as a program that serves them all would do.
LOADED = """
import asyncio, gc, resource, sys, tempfile
from pathlib import Path
from benchmarks.memories import Agents, Kit
from sessionbot_kit.stores.sqlite import SqliteStore

SESSIONS = 300

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1024

async def main():
    with tempfile.TemporaryDirectory() as folder:
        if {kit}:
            store = await SqliteStore(Path(folder) / "kit.db").__aenter__()
            memory = Kit(store)
        else:
            memory = Agents(Path(folder) / "agents.db")
        names = [f"s{{n}}" for n in range(SESSIONS)]
        filler = await memory.session("filler")
        for name in names:
            session = await memory.session(name)
            await memory.fill(session, 50)
            memory.forget(session)
        del session
        gc.collect()
        before = resident()
        held = []
        for name in names:
            session = await memory.session(name)
            held.append((session, await memory.context(session, 50)))
        gc.collect()
        print((resident() - before) / SESSIONS)
        await memory.close()

asyncio.run(main())
"""


async def fill(store: SqliteStore, sessions: int) -> list[str]:
    """Make so many sessions with ten messages each."""
    line = NewMessage("user", TEXT, datetime.now(UTC), 34)
    ids: list[str] = []

    async def one(number: int) -> str:
        session = await store.session_for(SessionKey("bot", "web", f"c{number}", f"u{number}"))
        await store.append(session.id, [line] * MESSAGES)
        return session.id

    for start in range(0, sessions, 500):
        ids += await asyncio.gather(*(one(number) for number in range(start, start + 500)))
    return ids


async def timed(calls: int, work: Callable[[], Awaitable[object]]) -> float:
    start = perf_counter()
    for _ in range(calls):
        await work()
    return (perf_counter() - start) / calls * 1e6


async def main(section: Section) -> None:
    held = section.table("Memory of a loaded session of 50 messages", unit="KB", rounds=5)
    for name, kit in (("sessionbot_kit", True), ("openai-agents", False)):
        command = ["-W", "ignore", "-c", LOADED.format(kit=kit)]
        held.process(name, command, goal=at_most(47, "KB") if kit else None)
    await held.measure()

    if not any(map(section.wants, TITLES)):
        return
    with tempfile.TemporaryDirectory() as folder:
        async with (
            SqliteStore(Path(folder) / "small.db") as small,
            SqliteStore(Path(folder) / "large.db") as large,
        ):
            stores = {SMALL: (small, await fill(small, SMALL))}
            stores[LARGE] = (large, await fill(large, LARGE))
            await compare(section, stores)


async def compare(section: Section, stores: dict[int, tuple[SqliteStore, list[str]]]) -> None:
    numbers = count()
    line = NewMessage("user", TEXT, datetime.now(UTC), 34)
    chance = random.Random(1)

    async def create(store: SqliteStore, ids: list[str]) -> None:
        await store.session_for(SessionKey("bot", "web", f"new {next(numbers)}", "u"))

    async def append(store: SqliteStore, ids: list[str]) -> None:
        await store.append(chance.choice(ids), [line])

    async def context(store: SqliteStore, ids: list[str]) -> None:
        session_id = chance.choice(ids)
        store.unload(session_id)
        await store.tail(session_id, 50)

    async def stats(store: SqliteStore, ids: list[str]) -> None:
        await store.stats()

    cases = ((create, 20), (append, 20), (context, 50), (stats, 50))
    for title, (work, calls) in zip(TITLES, cases, strict=True):
        table = section.table(title, unit="us", against=f"{SMALL:,} sessions", rounds=ROUNDS)
        for size, (store, ids) in stores.items():
            goal = at_most(1.2) if size == LARGE else None
            sample = partial(timed, calls, partial(work, store, ids))
            table.sample(f"{size:,} sessions", sample, goal=goal)
        await table.measure()


if __name__ == "__main__":
    if find_spec("agents") is None:
        from benchmarks.peers import MEMORIES, peers_python

        command = [peers_python(MEMORIES), "-m", "benchmarks.bench_store_size", *sys.argv[1:]]
        sys.exit(subprocess.run(command, check=False).returncode)
    Section(
        "store_size",
        "A store with much in it",
        intro="1,000 sessions hold 10,000 messages, 100,000 hold 1,000,000.",
        uses=("openai-agents",),
    ).run(main)
