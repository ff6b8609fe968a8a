"""How soon a cell that makes a plugin is live."""

from itertools import count
from time import perf_counter

from benchmarks.harness import Section, at_most
from sessionbot_kit import Bot
from sessionbot_kit.cell import open_cell, read_cell
from sessionbot_kit.live_cell import place

GREET = """\
from sessionbot_kit import plugin


@plugin("!greet")
async def greet(message):
    return "version {}"
"""


async def main(section: Section) -> None:
    """Swap a version in and talk to it, in the same bot again and again."""
    numbers = count()
    table = section.table("A %%plugin cell", unit="ms", against="an answer without a swap")
    async with Bot() as bot:
        await place(bot, "greet", GREET.format("first"))
        await bot.hear("!greet")

        async def answer() -> float:
            began = perf_counter()
            await bot.hear("!greet")
            return (perf_counter() - began) * 1e3

        async def look() -> float:
            text = GREET.format(f"{next(numbers)} of its own")
            began = perf_counter()
            plugin = open_cell(read_cell("greet", text))
            took = (perf_counter() - began) * 1e3
            plugin.edition.release(plugin)  # type: ignore[attr-defined]  # made of a cell
            return took

        async def first_answer() -> float:
            text = GREET.format(n := next(numbers))
            await place(bot, "greet", text)
            began = perf_counter()
            assert await bot.hear("!greet") == [f"version {n}"]
            return (perf_counter() - began) * 1e3

        async def whole() -> float:
            text = GREET.format(n := next(numbers))
            began = perf_counter()
            await place(bot, "greet", text)
            assert await bot.hear("!greet") == [f"version {n}"]
            return (perf_counter() - began) * 1e3

        table.sample("an answer without a swap", answer)
        table.sample("read, check and run the cell", look)
        table.sample(
            "from its end to the first answer of the new version",
            first_answer,
            goal=at_most(50, "ms"),
        )
        table.sample("the cell and the first answer", whole, goal=at_most(50, "ms"))
        await table.measure()


if __name__ == "__main__":
    Section("cells", "A plugin in a cell", uses=("ipykernel",)).run(main)
