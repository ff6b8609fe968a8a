"""How soon a bot answers, and what it holds while nobody speaks to it."""

from benchmarks.harness import Section

FIRST_REPLY = """
import asyncio, time
from sessionbot_kit import Bot
from sessionbot_kit.plugins.echo import echo

async def main():
    start = time.perf_counter()
    async with Bot(echo) as bot:
        assert await bot.hear("!echo hello") == ["hello"]
        first = time.perf_counter()
        assert await bot.hear("!echo again") == ["again"]
        print(((time.perf_counter() - first) if {second} else (first - start)) * 1e3)

asyncio.run(main())
"""

# What the process holds, not its peak: the peak is reached while modules are compiled.
RESIDENT = """
import resource, sys
def resident():
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize() / 1e6
    except FileNotFoundError:
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return used / (1e6 if sys.platform == "darwin" else 1e3)
"""

IDLE_BOT = """
import asyncio
from sessionbot_kit import Bot
from sessionbot_kit.plugins.echo import echo

async def main():
    async with Bot(echo) as bot:
        await bot.hear("!echo hello")
        print(resident())

asyncio.run(main())
"""


async def main(section: Section) -> None:
    """Measure both in fresh processes."""
    speed = section.table("From Bot(echo) to a reply", against="the first reply")
    speed.process("the first reply", ["-c", FIRST_REPLY.format(second=False)])
    speed.process("the second reply", ["-c", FIRST_REPLY.format(second=True)])
    await speed.measure()

    memory = section.table("Memory held", unit="MB", against="Python alone", rounds=7)
    for name, work in (
        ("Python alone", "print(resident())"),
        ("its dependencies imported", "import pydantic, websockets, httpx\nprint(resident())"),
        ("an idle bot", IDLE_BOT),
    ):
        memory.process(name, ["-c", RESIDENT + work])
    await memory.measure()


if __name__ == "__main__":
    Section("bot", "A bot begins, and waits", uses=("pydantic", "websockets", "httpx")).run(main)
