"""What all tests share: hypothesis profiles, and what is said of tests that cannot run here."""

import logging
import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

from sessionbot_kit.testing import talk as talk
from tests.machine import pytest_collection_modifyitems as pytest_collection_modifyitems
from tests.machine import pytest_unconfigure as pytest_unconfigure

# No deadlines: a test must not fail because the machine is busy. In CI the examples are the same
# each time, so that a red run is about the change; to find new ones there is `make fuzz`.
settings.register_profile("house", deadline=None, print_blob=True)
settings.register_profile("ci", settings.get_profile("house"), derandomize=True, database=None)
settings.register_profile("fuzz", settings.get_profile("house"), max_examples=5_000)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "house")
)


@pytest.fixture(autouse=True)
def _lines_go_where_they_went() -> Iterator[None]:
    """A test of a door decides where log lines go; the next test begins as if it had not."""
    root, room = logging.getLogger(), logging.getLogger("sessionbot_kit")
    before = root.handlers[:], root.level, room.level
    yield
    root.handlers[:], level, room_level = before
    root.setLevel(level)
    room.setLevel(room_level)


@pytest.fixture(autouse=True)
def _drafts_are_put_away() -> Iterator[None]:
    """A bot keeps the code of its plugins, for its next start; a test has none."""
    yield
    for name in [name for name in sys.modules if name.startswith("sessionbot_plugin_")]:
        if (module := sys.modules.get(name)) is not None:
            getattr(module.__spec__.loader, "close")()  # type: ignore[union-attr]  # noqa: B009
