"""Run named cases in turn, A B A B, and say by how much they differ.

    from benchmarks.harness import Section, at_most

    async def main(section: Section) -> None:
        document = {"text": "x" * 1_000_000}
        table = section.table("Encode 1 MB", against="json")
        table.time("json", lambda: json.dumps(document))
        table.time("orjson", lambda: orjson.dumps(document), goal=at_most(0.5))
        await table.measure()

    if __name__ == "__main__":
        Section("encode", "Encoding", uses=("orjson",)).run(main)

Saved as `benchmarks/bench_encode.py` it is run by `python -m benchmarks.bench_encode`; it prints
the table and writes its own section of `benchmarks/RESULTS.md`. `--quick` runs three rounds and
writes nothing; `--only PATTERN` measures the tables in whose title it is found, and leaves the
others of the section as they are.

A case is a function or a coroutine function. `time` measures a call, `sample` takes what the
function returns (a rate, a size, a percentile), and `process` takes the number that a fresh
process prints last. In every round each case is measured once and the order turns by one, so that
a slow minute of the machine falls on all of them.

One rule to remember: a figure means nothing alone. Compare medians of the same run, as a ratio.
"""

import argparse
import asyncio
import gc
import inspect
import os
import re
import sys
import tempfile
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.report import Goal, Report, Row, TableReport, at_least, at_most, write_section

__all__ = ["Goal", "Section", "Table", "at_least", "at_most"]

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "RESULTS.md"
MIN_SAMPLE_S = 0.02
SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
PROCESS_TIMEOUT_S = 300

Work = Callable[[], Any]  # what it returns is awaited where that is possible
Sampler = Callable[[], Awaitable[float]]


@dataclass
class Table:
    """Cases that are compared with each other, in one unit.

    With a unit of time ("s", "ms", "us") a timed call is worth its duration; with any other unit
    it is worth `amount` per second: `unit="MB/s", amount=1.0` for a call that handles 1 MB.
    """

    title: str
    unit: str = "ms"
    against: str | None = None
    amount: float | None = None
    rounds: int = 15
    samples: dict[str, list[float]] = field(default_factory=dict)
    goals: dict[str, Goal | None] = field(default_factory=dict)
    samplers: dict[str, Sampler] = field(default_factory=dict)
    wanted: bool = True

    def time(
        self, name: str, work: Work, *, goal: Goal | None = None, number: int | None = None
    ) -> None:
        """Measure how long a call takes; `number` calls a sample, or as many as 20 ms need."""
        if self.unit not in SECONDS and self.amount is None:
            raise ValueError(f"{self.title} is in {self.unit}; give the amount that a call handles")
        calls = number

        async def sampler() -> float:
            nonlocal calls
            if calls is None:
                calls = await _enough_calls(work)
            return self._worth(await _seconds(work, calls) / calls)

        self._add(name, sampler, goal)

    def sample(self, name: str, work: Work, *, goal: Goal | None = None) -> None:
        """Take what the function returns, a number in the unit of this table."""

        async def sampler() -> float:
            return _number(name, await _result(work))

        self._add(name, sampler, goal)

    def process(self, name: str, command: Sequence[str], *, goal: Goal | None = None) -> None:
        """Take the last word that a fresh process prints, a number in the unit of this table.

        A command that begins with "-c" or "-m" is given to this Python.
        """
        argv = [sys.executable, *command] if command[0].startswith("-") else list(command)

        async def sampler() -> float:
            return _number(name, await _last_line(name, argv))

        self._add(name, sampler, goal)

    async def measure(self) -> TableReport:
        """Warm every case up once, then run the rounds."""
        if self.against is not None and self.against not in self.samplers:
            raise ValueError(f"{self.title} compares with {self.against!r}, which is not a case")
        if not self.wanted:
            return self.report()
        for sampler in self.samplers.values():
            await sampler()
        cases = list(self.samplers.items())
        for round_number in range(self.rounds):
            turn = round_number % len(cases)
            for name, sampler in cases[turn:] + cases[:turn]:
                self.samples[name].append(await sampler())
        report = self.report()
        print(report.text(), flush=True)
        return report

    def report(self) -> TableReport:
        """Sum up what has been measured."""
        rows = tuple(
            Row(name, tuple(values), self.goals[name]) for name, values in self.samples.items()
        )
        return TableReport(self.title, self.unit, rows, self.against, self.rounds)

    def _add(self, name: str, sampler: Sampler, goal: Goal | None) -> None:
        if name in self.samplers:
            raise ValueError(f"{self.title} has two cases called {name!r}")
        self.samplers[name], self.goals[name], self.samples[name] = sampler, goal, []

    def _worth(self, seconds: float) -> float:
        if self.unit in SECONDS:
            return seconds / SECONDS[self.unit]
        assert self.amount is not None
        return self.amount / seconds


class Section:
    """What one script measures: its tables, its remarks, its part of RESULTS.md."""

    def __init__(self, key: str, title: str, *, intro: str = "", uses: Sequence[str] = ()) -> None:
        self.key = key
        self.title = title
        self.intro = intro
        self.uses = tuple(uses)
        self.quick = False
        self.only: list[str] = []
        self.tables: list[Table] = []
        self.notes: list[str] = []

    def table(
        self,
        title: str,
        *,
        unit: str = "ms",
        against: str | None = None,
        amount: float | None = None,
        rounds: int = 15,
    ) -> Table:
        """Begin a table; cases without a partner have no `against`."""
        table = Table(title, unit, against, amount, 3 if self.quick else rounds)
        table.wanted = self.wants(title)
        self.tables.append(table)
        return table

    def wants(self, title: str) -> bool:
        """Say whether a table is asked for; ask before what takes long to prepare."""
        return not self.only or any(
            re.search(pattern, title, re.IGNORECASE) for pattern in self.only
        )

    def note(self, text: str) -> None:
        """Add a sentence under the tables, for what a figure alone would not say."""
        print(text, flush=True)
        self.notes.append(text)

    def run(self, main: Callable[["Section"], Awaitable[None]]) -> None:
        """Measure, print, write the section; ends with status 1 when a goal is missed."""
        parser = argparse.ArgumentParser(description=f"{self.title}: measure and write {RESULTS}.")
        parser.add_argument("--quick", action="store_true", help="three rounds, nothing is written")
        parser.add_argument(
            "--only", action="append", default=[], metavar="PATTERN", help="tables by title"
        )
        asked = parser.parse_args()
        self.quick, self.only = asked.quick, asked.only
        asyncio.run(_awaited(main(self)))
        report = Report(
            key=self.key,
            title=self.title,
            intro=self.intro,
            command=_command(),
            uses=self.uses,
            tables=tuple(table.report() for table in self.tables if table.wanted),
            notes=tuple(self.notes),
            titles=tuple(table.title for table in self.tables),
        )
        if not self.quick:
            write_section(RESULTS, report)
        sys.exit(1 if report.missed() else 0)


def _command() -> str:
    spec = sys.modules["__main__"].__spec__
    return f"python -m {spec.name}" if spec else f"python {sys.argv[0]}"


async def _awaited(work: Awaitable[None]) -> None:
    await work


async def _result(work: Work) -> object:
    result = work()
    return await result if inspect.isawaitable(result) else result


async def _last_line(name: str, argv: list[str]) -> str:
    # In a folder of its own: some packages write files where they are imported.
    with tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            *argv, stdout=PIPE, stderr=PIPE, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        try:
            async with asyncio.timeout(PROCESS_TIMEOUT_S):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    if process.returncode:
        raise RuntimeError(f"{name} ended with {process.returncode}: {err.decode()[-2000:]}")
    return (out.decode().split() or [""])[-1]


async def _enough_calls(work: Work) -> int:
    calls = 1
    while (taken := await _seconds(work, calls)) < MIN_SAMPLE_S:
        calls = max(calls * 2, min(calls * 10, int(calls * MIN_SAMPLE_S / max(taken, 1e-9)) + 1))
    return calls


async def _seconds(work: Work, calls: int) -> float:
    # The collector would run in whichever case happens to fill its generation.
    gc.collect()
    gc.disable()
    try:
        start = perf_counter()
        first = work()
        if inspect.isawaitable(first):
            await first
            for _ in range(calls - 1):
                await work()
        else:
            for _ in range(calls - 1):
                work()
        return perf_counter() - start
    finally:
        gc.enable()


def _number(name: str, value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        raise RuntimeError(f"{name} gave {value!r} where a number was expected") from None
