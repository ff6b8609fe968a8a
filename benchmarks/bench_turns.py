"""A durable turn, against a bare commit and against toolkits that answer people."""

import sys
from pathlib import Path

from benchmarks.harness import Section, at_least, at_most
from benchmarks.peers import peers_python

ROOT = Path(__file__).parents[1]


def case(python: str, name: str, people: int) -> list[str]:
    """A case in a process of its own, all of them with the same Python."""
    return [python, "-m", "benchmarks.turn_cases", name, str(people)]


async def main(section: Section) -> None:
    """Measure each case in fresh processes, in turn."""
    python = peers_python()

    latency = section.table("One person: p50 of a turn, in raw SQLite commits", unit="commits")
    latency.process("a durable echo turn", case(python, "latency", 1), goal=at_most(4.0))
    await latency.measure()

    for peer, factor in (("langgraph", 25.0), ("nonebot2", 2.0), ("aiogram", 0.8)):
        table = section.table(
            f"64 people: turns a second, against {peer}", unit="turns/s", against=peer, rounds=7
        )
        table.process("a durable echo turn", case(python, "ours", 64), goal=at_least(factor))
        table.process(peer, case(python, peer, 64))
        await table.measure()

    section.note(
        "A turn of one person is two fsyncs: the message before it is acknowledged, and the answer "
        "with all that the turn changed; that the platform took it rides on the next commit. A "
        "question that ends a turn costs none more, a step in the middle one. 64 people share "
        "theirs: about 2 fsyncs for 20 to 60 turns."
    )
    section.note(
        "langgraph keeps its state in SQLite too, with synchronous=FULL; nonebot2 and aiogram "
        "store nothing and send nothing."
    )


if __name__ == "__main__":
    Section(
        "turns",
        "A turn",
        uses=("pydantic", "orjson"),
        intro=f"Python {sys.version_info.major}.{sys.version_info.minor}.",
    ).run(main)
