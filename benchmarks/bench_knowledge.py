"""Search over folders: against the bare query, again over what has not changed, and how well."""

import json
import os
import random
import sqlite3
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.harness import Section, at_least, at_most
from sessionbot_kit.knowledge import Knowledge
from sessionbot_kit.knowledge.query import any_of, words_of

HERE = Path(__file__).parent
CHUNKS = 100_000
FILES = 10_000
LIMIT = 5


def a_library(folder: Path, files: int, passages: int) -> list[str]:
    """Documents of words that are as unevenly common as in any language."""
    chance = random.Random(1)
    words = [f"{chance.choice('bdfglmnprst')}{'aeiou'[n % 5]}w{n:x}" for n in range(20_000)]
    weights = [1 / (n + 10) for n in range(len(words))]
    for number in range(files):
        parts = (" ".join(chance.choices(words, weights, k=40)) for _ in range(passages))
        text = "\n\n".join(f"# Part {n}\n{part}" for n, part in enumerate(parts))
        (folder / f"{number:05}.md").write_text(text)
        os.utime(folder / f"{number:05}.md", (1, 1))  # nobody has just written it
    return words


async def searches(section: Section, home: Path) -> None:
    folder = home / "chunks"
    folder.mkdir()
    words = a_library(folder, CHUNKS // 100, 100)
    async with Knowledge(home / "chunks.db") as knowledge:
        report = await knowledge.add("chunks", folder)
        bare = sqlite3.connect(home / "chunks.db", check_same_thread=False)
        chance = random.Random(2)
        questions = [" ".join(chance.choices(words[20:5_000], k=4)) for _ in range(8)]

        def the_bare_query() -> None:
            for question in questions:
                bare.execute(
                    "SELECT path, first, last, heading, text FROM passages_1 "
                    "WHERE passages_1 MATCH ? ORDER BY rank LIMIT ?",
                    (any_of(words_of(question)), LIMIT),
                ).fetchall()

        async def ours() -> None:
            for question in questions:
                await knowledge.search(question, among=["chunks"], limit=LIMIT)

        table = section.table(
            f"8 questions over {report.passages:,} passages", against="the bare FTS5 query"
        )
        table.time("the bare FTS5 query", the_bare_query, number=1)
        table.time("Knowledge.search", ours, goal=at_most(1.5), number=1)
        await table.measure()
        bare.close()


async def updates(section: Section, home: Path) -> None:
    folder = home / "files"
    folder.mkdir()
    a_library(folder, FILES, 2)
    async with Knowledge(home / "files.db") as knowledge:
        began = time.perf_counter()
        first = await knowledge.add("files", folder)
        first_s = time.perf_counter() - began
        again = []
        for _ in range(5):
            began = time.perf_counter()
            report = await knowledge.update("files")
            again.append(time.perf_counter() - began)
        if first.added != FILES or report.opened:
            raise ValueError(f"{first.added} files were added, then {report.opened} opened again")
    table = section.table(f"A folder of {FILES:,} files", unit="x", rounds=1)

    async def faster() -> float:
        return first_s / median(again)

    table.sample("unchanged, against the first time", faster, goal=at_least(20, "x"))
    await table.measure()
    section.note(
        f"The first time took {first_s:.2f} s, an unchanged folder {median(again) * 1000:.0f} ms; "
        "no file was opened."
    )


async def answers(section: Section, home: Path) -> None:
    questions = json.loads((HERE / "questions.json").read_text("utf-8"))
    async with Knowledge(home / "answers.db") as knowledge:
        await knowledge.add("town", HERE / "documents")
        found = 0
        for wanted in questions:
            hits = await knowledge.search(wanted["question"], among=["town"], limit=5)
            found += any(
                (hit.path, hit.heading) == (wanted["file"], wanted["heading"]) for hit in hits
            )

    async def recall() -> float:
        return found / len(questions)

    table = section.table(f"{len(questions)} questions, by words alone", unit="recall", rounds=1)
    table.sample("answered within 5 passages", recall, goal=at_least(0.9, "recall"))
    await table.measure()


async def main(section: Section) -> None:
    with tempfile.TemporaryDirectory() as home:
        await answers(section, Path(home))
        await searches(section, Path(home))
        await updates(section, Path(home))


if __name__ == "__main__":
    Section("knowledge", "Search over documents").run(main)
