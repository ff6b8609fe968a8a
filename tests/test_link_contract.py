"""Every link of the house keeps the contract, and whoever writes another can use it as it is."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest

from sessionbot_kit.link import Link
from sessionbot_kit.links.memory import memory_link
from sessionbot_kit.links.websocket import connect_link, serve_links
from sessionbot_kit.testing import LinkContract
from sessionbot_kit.testing.link_contract import Ends

pytest_plugins = ["pytester"]

THEIRS = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})

import pytest_asyncio
from sessionbot_kit.link import Event
from sessionbot_kit.links.memory import MemoryLink, memory_link
from sessionbot_kit.testing import LinkContract

class Careless(MemoryLink):
    async def send(self, frame):
        await super().send(Event("t1", "step") if isinstance(frame, Event) else frame)

class TestGood(LinkContract):
    @pytest_asyncio.fixture
    async def ends(self):
        yield memory_link()

class TestCareless(LinkContract):
    @pytest_asyncio.fixture
    async def ends(self):
        good, bad = memory_link()
        yield good, Careless(bad.name, bad._inward, bad._outward)
"""


class TestMemoryLink(LinkContract):
    @pytest.fixture
    def ends(self) -> Ends:
        return memory_link()


class TestBinaryWebSocketLink(LinkContract):
    codec: Literal["binary", "text"] = "binary"

    @pytest.fixture
    async def ends(self) -> AsyncIterator[Ends]:
        joined: asyncio.Queue[Link] = asyncio.Queue()
        async with (
            serve_links(joined.put_nowait, port=0) as server,
            connect_link(f"ws://127.0.0.1:{server.port}", codec=self.codec) as kernel_end,
        ):
            yield await joined.get(), kernel_end


class TestTextWebSocketLink(TestBinaryWebSocketLink):
    codec = "text"


@pytest.mark.timeout(300)  # it starts another pytest
def test_the_contract_runs_in_a_project_of_its_own_and_finds_a_fault(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(THEIRS)
    result = pytester.runpytest_subprocess("-p", "no:randomly", "-k", "TestGood or in_order")
    result.assert_outcomes(passed=15, failed=1)
    result.stdout.fnmatch_lines(["FAILED *TestCareless*arrive_in_order*"])
