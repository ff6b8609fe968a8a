"""Sum samples up and keep `RESULTS.md`, where every script owns one section.

    row = Row("ours", (1.0, 1.1, 1.2), at_most(2.0))
    print(TableReport("Encode 1 MB", "ms", (row,), "ours", rounds=3).text())

A section stands between two comments that name it; writing one leaves every other byte of the
file alone. One rule to remember: spread is the distance between the quartiles, so that one
disturbed round does not hide the rest.
"""

import os
import platform
import re
import statistics
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Literal

HEAD = """# Results

Written by `make bench`, one section a script; do not edit by hand. Cases are measured in turn
within one run, and the ratio of their medians is what counts: the figures themselves belong to the
machine that is named beside them.
"""

SECTION = re.compile(r"<!-- (?P<key>\S+) -->\n(?P<body>.*?)<!-- end of (?P=key) -->\n", re.DOTALL)
TABLE = re.compile(r"^### (?P<title>.+)\n\n(?:\|.*\n)+\n\d+ rounds, .*$", re.MULTILINE)


@dataclass(frozen=True)
class Goal:
    """A bound on the ratio, or with a unit on the median itself."""

    kind: Literal["at most", "at least"]
    bound: float
    unit: str | None = None

    def met(self, median: float, ratio: float | None) -> bool:
        """Compare; a goal on a ratio needs something to compare with."""
        value = median if self.unit else ratio
        if value is None:
            raise ValueError(f"the goal {self} needs a case to compare with; name it in `against`")
        return value <= self.bound if self.kind == "at most" else value >= self.bound

    def __str__(self) -> str:
        return f"{self.kind} {self.bound:g}{' ' + self.unit if self.unit else 'x'}"


def at_most(bound: float, unit: str | None = None) -> Goal:
    """Make a goal: a ratio of at most `bound`, or with a unit a median of at most that."""
    return Goal("at most", bound, unit)


def at_least(bound: float, unit: str | None = None) -> Goal:
    """Make a goal: a ratio of at least `bound`, or with a unit a median of at least that."""
    return Goal("at least", bound, unit)


@dataclass(frozen=True)
class Row:
    """One case and its samples, one a round."""

    name: str
    samples: tuple[float, ...]
    goal: Goal | None = None

    @property
    def median(self) -> float:
        """The middle sample."""
        return statistics.median(self.samples)

    @property
    def spread(self) -> float:
        """The distance between the quartiles."""
        if len(self.samples) < 2:
            return 0.0
        low, _, high = statistics.quantiles(self.samples, n=4, method="inclusive")
        return high - low


@dataclass(frozen=True)
class TableReport:
    """Rows that share a unit and are compared with the row called `against`."""

    title: str
    unit: str
    rows: tuple[Row, ...]
    against: str | None
    rounds: int

    def ratio(self, row: Row) -> float | None:
        """Divide a row's median by that of the row to compare with."""
        base = next((other.median for other in self.rows if other.name == self.against), None)
        return row.median / base if base else None

    def met(self, row: Row) -> bool | None:
        """Say whether a row reached its goal; None when it has none."""
        return None if row.goal is None else row.goal.met(row.median, self.ratio(row))

    def cells(self) -> list[list[str]]:
        """Lay the rows out as text, the heading first."""
        lines = [["case", "median", "spread", "ratio", "goal", ""]]
        for row in self.rows:
            ratio = self.ratio(row)
            lines.append(
                [
                    row.name,
                    f"{_figure(row.median)} {self.unit}",
                    f"{_figure(row.spread)} {self.unit}",
                    "" if ratio is None else f"{_figure(ratio)}x",
                    str(row.goal or ""),
                    {None: "", True: "met", False: "**missed**"}[self.met(row)],
                ]
            )
        return lines

    def markdown(self) -> str:
        """Write the table for RESULTS.md."""
        head, *rows = (f"| {' | '.join(_escape(cell) for cell in line)} |" for line in self.cells())
        rule = "|---|---:|---:|---:|---|---|"
        return "\n".join([f"### {self.title}", "", head, rule, *rows, "", self._footing()])

    def text(self) -> str:
        """Write the table for a terminal."""
        lines = self.cells()
        widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
        rows = (
            "  ".join(
                cell.ljust(width) if column in (0, 4, 5) else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )
        return "\n".join([f"\n{self.title} ({self._footing()})", *rows])

    def _footing(self) -> str:
        return f"{self.rounds} rounds, spread is the distance between the quartiles"


@dataclass(frozen=True)
class Report:
    """A section of RESULTS.md."""

    key: str
    title: str
    intro: str
    command: str
    uses: tuple[str, ...]
    tables: tuple[TableReport, ...]
    notes: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()  # of all tables that the script has, measured or not

    def missed(self) -> list[str]:
        """Name the cases that did not reach their goal."""
        return [
            f"{table.title}: {row.name}"
            for table in self.tables
            for row in table.rows
            if table.met(row) is False
        ]

    def markdown(self, before: str = "") -> str:
        """Write the section, without the comments that enclose it.

        A table that was not measured this time is as it was `before`.
        """
        parts = [f"## {self.title}", self.intro, f"`{self.command}`, {_surroundings(self.uses)}."]
        tables = {table["title"]: table[0] for table in TABLE.finditer(before)}
        tables |= {table.title: table.markdown() for table in self.tables}
        measured = tuple(table.title for table in self.tables)
        parts += [tables[title] for title in self.titles or measured if title in tables]
        parts += self.notes
        return "\n\n".join(part for part in parts if part)


def write_section(path: Path, report: Report) -> None:
    """Put a section in its place in the file; all others stay as they are."""
    old = path.read_text("utf-8") if path.exists() else HEAD
    new = replaced(old, report.key, report.markdown(section(old, report.key)))
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, prefix=path.name, delete=False
    ) as file:
        file.write(new)
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


def section(document: str, key: str) -> str:
    """Find the section called `key`; empty when there is none."""
    return next((found["body"] for found in SECTION.finditer(document) if found["key"] == key), "")


def replaced(document: str, key: str, body: str) -> str:
    """Replace the section called `key`; a new one goes in by the alphabet."""
    block = f"<!-- {key} -->\n{body}\n<!-- end of {key} -->\n"
    for found in SECTION.finditer(document):
        if found["key"] == key:
            return document[: found.start()] + block + document[found.end() :]
        if found["key"] > key:
            return document[: found.start()] + block + "\n" + document[found.start() :]
    return document.rstrip("\n") + "\n\n" + block


def _surroundings(uses: tuple[str, ...]) -> str:
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in uses)
    return ", ".join(
        part
        for part in (
            f"{datetime.now(UTC):%Y-%m-%d}",
            f"Python {platform.python_version()}",
            versions,
            f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        )
        if part
    )


def _figure(value: float) -> str:
    """Three digits that mean something: 0.0123, 1.23, 12.3, 123, 12,345."""
    if value == 0:
        return "0"
    magnitude = abs(value)
    if magnitude >= 100:
        return f"{value:,.0f}"
    if magnitude >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if magnitude >= 1 else f"{value:.3g}"


def _escape(cell: str) -> str:
    return cell.replace("|", "\\|")
