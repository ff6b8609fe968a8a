"""HTTP as the client needs it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sessionbot_kit.channels.session_messenger.web import open_web, post
from sessionbot_kit.errors import NodeError, SettingsError


class Listener:
    """Hears the first bytes of a connection, answers nothing, and tells when it is closed."""

    def __init__(self) -> None:
        self.came = asyncio.Event()
        self.gone = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4_096):
            self.came.set()
        self.gone.set()
        writer.close()


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[Listener, str]]:
    listener = Listener()
    server = await asyncio.start_server(listener.serve, "127.0.0.1", 0)
    async with server:
        yield listener, f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_who_is_canceled_while_he_connects_leaves_no_connection_open(scheme: str) -> None:
    async with (
        listening() as (listener, address),
        open_web(verify=False, proxy=None, timeout_s=30) as web,
    ):
        asking = asyncio.create_task(
            post(web, f"{scheme}://{address}/", b"{}", limit=10, timeout_s=30)
        )
        await listener.came.wait()
        asking.cancel()
        await asyncio.wait([asking])
        async with asyncio.timeout(5):
            await listener.gone.wait()


async def test_a_server_that_says_nothing_is_given_up() -> None:
    async with (
        listening() as (listener, address),
        open_web(verify=False, proxy=None, timeout_s=30) as web,
    ):
        with pytest.raises(NodeError, match=r"does not answer within 0\.05 s"):
            await post(web, f"http://{address}/", b"{}", limit=10, timeout_s=0.05)
        await listener.gone.wait()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "https://[::1]:1/", "nonsense", "ftp://x/"])
async def test_where_nobody_is_the_error_says_so(url: str) -> None:
    async with open_web(verify=False, proxy=None, timeout_s=1) as web:
        with pytest.raises(NodeError, match="cannot be reached"):
            await post(web, url, b"{}", limit=10, timeout_s=1)


@pytest.mark.parametrize("proxy", ["carrier-pigeon://coop", "127.0.0.1", ""])
def test_a_proxy_of_an_unknown_kind_is_refused_with_a_sentence(proxy: str) -> None:
    with pytest.raises(SettingsError, match="socks5://host:port"):
        open_web(verify=False, proxy=proxy, timeout_s=1)
