"""What a test may need of the machine, and what to say when it is missing.

    @pytest.mark.needs("chromium", "playwright")
    def test_the_first_notebook_runs_in_jupyterlab(): ...

A test whose needs are not met is not skipped in silence. It is left out, and the very last lines
of the run name it: `NOT RUN: browser tests (1) - apt-get install chromium`. The rule to remember:
a need is of the machine. What pip can install everywhere belongs in pyproject.toml.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec

import pytest

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Need:
    """Something of the machine: what is not run without it, how to see it, how to get it."""

    what: str
    is_there: Callable[[], bool]
    remedy: str


def chromium() -> str | None:
    """Find the browser."""
    return next((path for name in CHROMIUMS if (path := shutil.which(name))), None)


NEEDS: Mapping[str, Need] = {
    "chromium": Need("browser tests", lambda: bool(chromium()), "apt-get install chromium"),
    "playwright": Need(
        "browser tests",
        lambda: find_spec("playwright") is not None,
        ".venv/bin/pip install playwright",
    ),
    "openai-mock-api": Need(
        "tests with a third party's fake of the OpenAI API",
        lambda: bool(shutil.which("openai-mock-api")),
        "npm install --global openai-mock-api",
    ),
    "docker-compose": Need(
        "tests of the compose file",
        lambda: bool(shutil.which("docker-compose")),
        "apt-get install docker-compose",
    ),
    "strace": Need(
        "tests that look at system calls",
        lambda: bool(shutil.which("strace")),
        "apt-get install strace",
    ),
}

LEFT_OUT = pytest.StashKey[Counter[Need]]()


def missing_needs(names: tuple[str, ...]) -> list[Need]:
    """List the needs that this machine does not meet."""
    for name in names:
        if name not in NEEDS:
            raise pytest.UsageError(f"no need is called {name!r}; tests/machine.py has {[*NEEDS]}")
    return [NEEDS[name] for name in names if not NEEDS[name].is_there()]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take out what cannot run here, and remember it."""
    left_out = config.stash.setdefault(LEFT_OUT, Counter())
    kept: list[pytest.Item] = []
    dropped: list[pytest.Item] = []
    for item in items:
        names = tuple(name for mark in item.iter_markers("needs") for name in mark.args)
        missing = missing_needs(names)
        left_out.update(missing)
        (dropped if missing else kept).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=dropped)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Print what was not run, after everything else."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    for need, count in sorted(config.stash.get(LEFT_OUT, Counter()).items(), key=str):
        line = f"NOT RUN: {need.what} ({count}) - {need.remedy}"
        if reporter:
            reporter.write_line(line, yellow=True)
