"""Every link of the house keeps the contract."""

import asyncio
from collections.abc import AsyncIterator
from typing import Literal

import pytest

from sessionbot_kit.link import Link
from sessionbot_kit.links.memory import memory_link
from sessionbot_kit.links.websocket import connect_link, serve_links
from tests.link_contract import Ends, LinkContract


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
