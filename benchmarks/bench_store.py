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
from benchmarks.memories import Memory, opened

OURS = "sessionbot_kit"
AGENTS = "openai-agents"
RAW = "raw sqlite3, FULL"
CLOSE = (OURS, AGENTS, RAW)
OTHERS = (AGENTS, "google-adk", "langgraph", "langchain")
TEXT = "The quick brown fox jumps over the lazy dog. " * 3
ROUNDS = 25
ROUNDS_OF_OTHERS = 7
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


long_ones: dict[Memory, object] = {}


async def long_one(memory: Memory) -> object:
    """The one long conversation of a library; some need a minute to write it."""
    if memory not in long_ones:
        long_ones[memory] = await memory.session(new_name("long"))
        await memory.fill(long_ones[memory], LONG)
    return long_ones[memory]


def appends(history: int, calls: int) -> Sample:
    """Append one after the other to a conversation that is so long."""

    async def sample(memory: Memory) -> float:
        if history == LONG:
            session = await long_one(memory)
        else:
            session = await memory.session(new_name(f"append{history}"))
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

    async def sample(memory: Memory) -> float:
        session = await long_one(memory)
        assert len(await memory.context(session, CONTEXT)) == CONTEXT

        async def work() -> None:
            for _ in range(calls):
                if cold:
                    memory.forget(session)
                await memory.context(session, CONTEXT)

        return await rate(calls, work)

    return sample


class Side:
    """Some of them, side by side, each in a file of its own."""

    def __init__(self, section: Section, folder: Path, names: tuple[str, ...], rounds: int) -> None:
        self.section = section
        self.memories: dict[str, Memory] = {}
        self._folder = folder
        self._names = names
        self._rounds = rounds

    async def compare(
        self, title: str, unit: str, sample: Sample, goal: float, *, without: str = ""
    ) -> None:
        """Measure one table, if it is asked for."""
        heading = title if OURS in self._names else f"{title}: others"
        table = self.section.table(heading, unit=f"{unit}/s", against=AGENTS, rounds=self._rounds)
        if not table.wanted:
            return
        await self.open()
        for name, memory in self.memories.items():
            if name != without:
                bound = at_least(goal) if name == OURS else None
                table.sample(name, partial(sample, memory), goal=bound)
        await table.measure()

    async def open(self) -> None:
        """Open the files and bring their logs to size: as long as one grows, syncs are slower."""
        if self.memories:
            return
        for name in self._names:
            self.memories[name] = memory = await opened(name, self._folder)
            for _ in range(40 if name in CLOSE else 4):
                session = await memory.session(new_name("warm"))
                for _ in range(20):
                    await memory.append(session, TEXT)

    async def close(self) -> None:
        for memory in self.memories.values():
            await memory.close()


async def main(section: Section) -> None:
    with tempfile.TemporaryDirectory() as folder:
        close = Side(section, Path(folder), CLOSE, ROUNDS)
        try:
            await measure(close, slow=1)
            await flat(close)
        finally:
            await close.close()
    # Apart, for these keep the disk and the memory of the process busy.
    with tempfile.TemporaryDirectory() as folder:
        others = Side(section, Path(folder), OTHERS, ROUNDS_OF_OTHERS)
        try:
            await measure(others, slow=10)
        finally:
            await others.close()


async def measure(side: Side, *, slow: int) -> None:
    """All tables; with `slow` the samples of a long history are so much shorter."""
    compare = side.compare
    for history in (1, 100, LONG):
        calls = 20 // slow if history == LONG else 20
        title = f"Append to a conversation of {history:,}"
        await compare(title, "appends", appends(history, calls), 1.4)
    for tasks, goal in ((8, 3), (64, 5)):
        # With 64 writers google-adk gives up: "database is locked".
        without = "google-adk" if tasks > 8 else ""
        title = f"Append from {tasks} tasks at once"
        sample = appends_at_once(tasks, 256 // tasks)
        await compare(title, "appends", sample, goal, without=without)
    title = "Append or read a context, 8 tasks, 1,000 conversations"
    await compare(title, "calls", mixed(8, 15, 1_000), 4)
    title = "Begin a conversation with its first message"
    await compare(title, "conversations", creations(10), 2)
    title = f"Context of {CONTEXT} of {LONG:,}, in memory"
    await compare(title, "contexts", contexts(50 // slow, cold=False), 30)
    title = f"Context of {CONTEXT} of {LONG:,}, not in memory"
    await compare(title, "contexts", contexts(50 // slow, cold=True), 1.4)


async def flat(side: Side) -> None:
    """A long conversation costs no more than a short one."""
    table = side.section.table(
        "A long conversation", unit="appends/s", against="100", rounds=ROUNDS
    )
    if not table.wanted:
        return
    await side.open()
    ours = side.memories[OURS]
    table.sample("100", lambda: appends(100, 40)(ours))
    table.sample(f"{LONG:,}", lambda: appends(LONG, 40)(ours), goal=at_least(1 / 1.15))
    await table.measure()


if __name__ == "__main__":
    if find_spec("agents") is None:
        from benchmarks.peers import MEMORIES, peers_python

        command = [peers_python(MEMORIES), "-m", "benchmarks.bench_store", *sys.argv[1:]]
        sys.exit(subprocess.run(command, check=False).returncode)
    Section(
        "store",
        "The store",
        intro=f"SQLite {sqlite3.sqlite_version}. More is better in these tables.",
        uses=("openai-agents", "google-adk", "langgraph-checkpoint-sqlite", "langchain-community"),
    ).run(main)
