"""A gateway and a plugin kernel with a wire between them that is cut again and again."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sessionbot_kit.channels.loopback import Loopback
from sessionbot_kit.extension import plugin
from sessionbot_kit.gateway import Gateway
from sessionbot_kit.kernel import PluginKernel
from sessionbot_kit.links.original import original_managers
from sessionbot_kit.links.websocket import LinkServer, connect_link, one_token, serve_links
from sessionbot_kit.models import IncomingMessage
from sessionbot_kit.plugins import echo
from sessionbot_kit.stores.sqlite import SqliteStore
from tests.cutting_proxy import CuttingProxy
from tests.link_people import at_once
from tests.original_manager import OriginalManager


@plugin("!long")
async def long(message: IncomingMessage) -> str:
    return message.content * 2_000


@asynccontextmanager
async def a_gateway(folder: Path) -> AsyncIterator[tuple[Gateway, Loopback, LinkServer]]:
    loopback = Loopback()
    async with (
        SqliteStore(folder / "bot.db") as store,
        Gateway(store, channels=(loopback,)) as gateway,
        serve_links(
            gateway.serve,
            port=0,
            check_token=one_token("s3cret"),
            on_original_peer=original_managers(gateway.serve),
        ) as server,
    ):
        yield gateway, loopback, server


@asynccontextmanager
async def a_kernel(port: int) -> AsyncIterator[None]:
    link = connect_link(f"ws://127.0.0.1:{port}", token="s3cret", backoff=at_once())
    async with PluginKernel(echo, long) as kernel, link as joined, asyncio.TaskGroup() as group:
        serving = group.create_task(kernel.serve(joined))
        yield
        serving.cancel()


async def test_a_kernel_in_another_place_answers(tmp_path: Path) -> None:
    async with a_gateway(tmp_path) as (gateway, loopback, server), a_kernel(server.port):
        receipt = await loopback.hear("!echo hello")
        await gateway.settle(receipt)
        assert loopback.answers(receipt) == ["hello"]


async def test_every_message_is_answered_once_however_often_the_wire_is_cut(
    tmp_path: Path,
) -> None:
    chance = random.Random(3)
    async with a_gateway(tmp_path) as (gateway, loopback, server):
        proxy = CuttingProxy(server.port)
        proxy.cut_after = lambda: chance.randint(1, 30_000)
        async with proxy, a_kernel(proxy.port):
            for number in range(40):
                word = "!echo" if number % 4 else "!long"
                await loopback.hear(f"{word} {number}", user=f"user {number % 5}")
            await gateway.settle()
            assert proxy.cuts > 3
        for user in range(5):
            numbers = range(user, 40, 5)
            expected = [str(n) if n % 4 else str(n) * 2_000 for n in numbers]
            assert loopback.said_to(f"user {user}") == expected


async def test_an_original_manager_answers_what_no_kernel_takes(tmp_path: Path) -> None:
    async with a_gateway(tmp_path) as (gateway, loopback, server):
        manager = OriginalManager(f"ws://127.0.0.1:{server.port}")
        async with asyncio.TaskGroup() as group:
            running = group.create_task(manager.run())
            await manager.connected.wait()
            receipt = await loopback.hear("!echo from the old days", user="ada")
            await gateway.settle(receipt)
            assert loopback.answers(receipt) == ["from the old days"]
            running.cancel()
