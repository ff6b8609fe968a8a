"""Nesting is for who asks, and never by the package that loses cells."""

import subprocess
import sys
from pathlib import Path

import pytest

from sessionbot_kit.nesting import loses_cells

ROOT = Path(__file__).parents[1]
NESTED = "async def cell(): return asyncio.run(asyncio.sleep(0, 7))\nprint(asyncio.run(cell()))\n"


def run(code: str) -> str:
    """Run code in a process of its own, since it patches asyncio for good."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr.strip().rpartition("\n")[2]


def test_a_running_loop_may_be_run_again_when_that_is_asked_for() -> None:
    begin = "import asyncio\nfrom sessionbot_kit import enable_nesting\n"
    assert run(begin + "enable_nesting()\nenable_nesting()\n" + NESTED) == "7\n"
    assert "cannot be called from a running event loop" in run(begin + NESTED)


def test_the_package_that_loses_cells_is_refused_where_it_was_applied() -> None:
    begin = "import nest_asyncio; nest_asyncio.apply()\nfrom sessionbot_kit import enable_nesting\n"
    said = run(begin + "enable_nesting()\n")
    assert "UsageError: nest_asyncio 1.6 is applied, and loses waiting cells with ipykernel" in said
    assert "restart the Jupyter kernel and call enable_nesting() instead" in said


@pytest.mark.parametrize(
    ("ipykernel", "loses"),
    [("", False), ("6.29.5", False), ("7.0.1", False), ("7.1.0", True), ("8.0a1", True)],
)
def test_it_loses_cells_from_one_version_on(ipykernel: str, loses: bool) -> None:
    assert loses_cells(ipykernel) is loses
