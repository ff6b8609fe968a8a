"""The SQLite store beside what others keep conversations in, at equal durability.

    python -m benchmarks.bench_store            # in the environment of the peers

Every append that is counted was acknowledged after its fsync (WAL, synchronous=FULL, or a rollback
journal). A context is the last 50 messages, as the objects that a caller of that library gets.
"""

import asyncio
import random
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from time import perf_counter

from benchmarks.harness import Section, at_least
from benchmarks.memories import Memory, peers

OURS = "sessionbot_kit"
AGENTS = "openai-agents"
RAW = "raw sqlite3, FULL"
CLOSE = (OURS, AGENTS, RAW)
OTHERS = (AGENTS, "google-adk", "langgraph", "langchain")
TEXT = "The quick brown fox jumps over the lazy dog. " * 3
ROUNDS = 25
LONG = 10_000
CONTEXT = 50

Sample = Callable[[Memory], Awaitable[float]]
numbers = count()


def new_name(what: str) -> str:
    return f"{what}-{next(numbers)}"


async def rate(calls: int, work: Callable[[], Awaitable[object]]) -> float:
    """How often a second it can be done."""
    start = perf_counter()
    await work()
    return calls / (perf_counter() - start)


def appends(history: int, calls: int) -> Sample:
    """Append one after the other to a conversation that is so long."""
    made: dict[Memory, object] = {}

    async def sample(memory: Memory) -> float:
        session = made.get(memory)
        if session is None or history < LONG:
            session = made[memory] = await memory.session(new_name(f"append{history}"))
            await memory.fill(session, history)

        async def work() -> None:
            for _ in range(calls):
                await memory.append(session, TEXT)

        return await rate(calls, work)

    return sample


def appends_at_once(tasks: int, calls: int) -> Sample:
    """Append to many conversations at the same time."""

    async def sample(memory: Memory) -> float:
        sessions = [await memory.session(new_name("parallel")) for _ in range(tasks)]
        for session in sessions:
            await memory.append(session, TEXT)

        async def write(session: object) -> None:
            for _ in range(calls):
                await memory.append(session, TEXT)

        return await rate(
            tasks * calls, lambda: asyncio.gather(*(write(session) for session in sessions))
        )

    return sample


def mixed(tasks: int, calls: int, sessions: int) -> Sample:
    """Append or read a context, as chance has it, in one of many conversations."""
    made: dict[Memory, list[object]] = {}

    async def sample(memory: Memory) -> float:
        if memory not in made:
            made[memory] = [await memory.session(new_name("mixed")) for _ in range(sessions)]
            for session in made[memory]:
                await memory.fill(session, 20)
        chance = random.Random(len(made))

        async def work() -> None:
            for _ in range(calls):
                session = chance.choice(made[memory])
                if chance.random() < 0.5:
                    await memory.append(session, TEXT)
                else:
                    await memory.context(session, CONTEXT)

        return await rate(tasks * calls, lambda: asyncio.gather(*(work() for _ in range(tasks))))

    return sample


def creations(calls: int) -> Sample:
    """Begin a conversation with its first message."""

    async def sample(memory: Memory) -> float:
        async def work() -> None:
            for _ in range(calls):
                session = await memory.session(new_name("create"))
                await memory.append(session, TEXT)

        return await rate(calls, work)

    return sample


def contexts(calls: int, *, cold: bool) -> Sample:
    """Read the last messages of a long conversation."""
    made: dict[Memory, object] = {}

    async def sample(memory: Memory) -> float:
        if memory not in made:
            made[memory] = await memory.session(new_name("context"))
            await memory.fill(made[memory], LONG)
        session = made[memory]
        assert len(await memory.context(session, CONTEXT)) == CONTEXT

        async def work() -> None:
            for _ in range(calls):
                if cold:
                    memory.forget(session)
                await memory.context(session, CONTEXT)

        return await rate(calls, work)

    return sample


async def compare(
    section: Section,
    memories: dict[str, Memory],
    title: str,
    unit: str,
    sample: Sample,
    goal: float,
    *,
    without: tuple[str, ...] = (),
) -> None:
    """Ours beside those that sync once an append; the others apart, for they keep a disk busy."""
    for heading, names in ((title, CLOSE), (f"{title}: others", OTHERS)):
        table = section.table(heading, unit=f"{unit}/s", against=AGENTS, rounds=ROUNDS)
        for name in names:
            if name not in without:
                bound = at_least(goal) if name == OURS else None
                table.sample(name, partial(sample, memories[name]), goal=bound)
        if len(table.samplers) > 1:
            await table.measure()
        else:
            section.tables.remove(table)


async def main(section: Section) -> None:
    with tempfile.TemporaryDirectory() as folder:
        memories = await peers(Path(folder))
        try:
            await measure(section, memories)
        finally:
            for memory in memories.values():
                await memory.close()


async def warm(memory: Memory) -> None:
    """Bring a log to its working size: as long as it grows, each sync is slower."""
    for _ in range(40):
        session = await memory.session(new_name("warm"))
        for _ in range(20):
            await memory.append(session, TEXT)


async def measure(section: Section, memories: dict[str, Memory]) -> None:
    for memory in memories.values():
        await warm(memory)
    # What rewrites or reads whole histories would need hours for the long ones.
    slow = OTHERS[1:]
    for history in (1, 100):
        title = f"Append to a conversation of {history}"
        await compare(section, memories, title, "appends", appends(history, 20), 1.4)
    title = f"Append to a conversation of {LONG:,}"
    await compare(section, memories, title, "appends", appends(LONG, 20), 1.4, without=slow)
    for tasks, goal in ((8, 3), (64, 5)):
        # With 64 writers google-adk gives up: "database is locked".
        without = ("google-adk",) if tasks > 8 else ()
        title = f"Append from {tasks} tasks at once"
        sample = appends_at_once(tasks, 256 // tasks)
        await compare(section, memories, title, "appends", sample, goal, without=without)
    title = "Append or read a context, 8 tasks, 1,000 conversations"
    await compare(section, memories, title, "calls", mixed(8, 15, 1_000), 4)
    title = "Begin a conversation with its first message"
    await compare(section, memories, title, "conversations", creations(10), 2)
    title = f"Context of {CONTEXT} of {LONG:,}, in memory"
    await compare(section, memories, title, "contexts", contexts(200, cold=False), 30, without=slow)
    title = f"Context of {CONTEXT} of {LONG:,}, not in memory"
    await compare(section, memories, title, "contexts", contexts(50, cold=True), 1.4, without=slow)
    await flat(section, memories[OURS])


async def flat(section: Section, memory: Memory) -> None:
    """A long conversation costs no more than a short one."""
    table = section.table("A long conversation", unit="appends/s", against="100", rounds=ROUNDS)
    table.sample("100", lambda: appends(100, 40)(memory))
    long = appends(LONG, 40)
    table.sample(f"{LONG:,}", lambda: long(memory), goal=at_least(1 / 1.15))
    await table.measure()


if __name__ == "__main__":
    if find_spec("agents") is None:
        from benchmarks.peers import peers_python

        command = [peers_python(), "-m", "benchmarks.bench_store", *sys.argv[1:]]
        sys.exit(subprocess.run(command, check=False).returncode)
    Section(
        "store",
        "The store",
        intro=f"SQLite {sqlite3.sqlite_version}. More is better in these tables.",
        uses=("openai-agents", "google-adk", "langgraph-checkpoint-sqlite", "langchain-community"),
    ).run(main)
