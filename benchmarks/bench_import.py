"""What an import costs, in fresh processes."""

from benchmarks.harness import Section, at_most
from benchmarks.peers import peers_python, peers_versions

MEASURE = "import time; start = time.perf_counter(); {}; print((time.perf_counter() - start) * 1e3)"
OURS = "from sessionbot_kit import Bot, Gateway, PluginKernel, SessionManager"
DEPENDENCIES = "import pydantic, websockets, httpx"


async def main(section: Section) -> None:
    """Compare our import with its own dependencies, and with peers."""
    python = peers_python()
    table = section.table("Import in a fresh process", against=DEPENDENCIES)
    for statement, goal in (
        (DEPENDENCIES, None),
        (OURS, at_most(2.0)),
        ("import nonebot", None),
        ("import aiogram", None),
        ("import chainlit", None),
    ):
        table.process(statement, [python, "-c", MEASURE.format(statement)], goal=goal)
    await table.measure()
    section.note(f"All in one virtual environment: {peers_versions()}.")


if __name__ == "__main__":
    Section("import", "What an import costs").run(main)
