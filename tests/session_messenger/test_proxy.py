"""Behind a proxy nothing goes out past it."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sessionbot_kit.channels.session_messenger.identity import Identity
from sessionbot_kit.channels.session_messenger.loopback import LoopbackNetwork, Person
from sessionbot_kit.channels.session_messenger.state import State
from sessionbot_kit.channels.session_messenger.swarm import SwarmClient
from sessionbot_kit.errors import ChannelError
from sessionbot_kit.models import Media

from .people import talking
from .proxies import connect, socks5


@pytest.fixture
async def network() -> AsyncIterator[LoopbackNetwork]:
    async with LoopbackNetwork(nodes=2, swarms=1) as network:
        yield network


async def test_behind_a_socks_proxy_seeds_nodes_and_files_are_reached_through_it(
    network: LoopbackNetwork, ada: Identity, tmp_path: Path
) -> None:
    async with (
        socks5().running() as proxy,
        talking(network, ada, tmp_path, proxy=proxy.url) as one,
        Person("Bob", network) as bob,
    ):
        await one.says(bob.session_id, "Look", media=(Media.from_bytes(b"meow", name="cat"),))
        assert (await bob.hears()).media[0].data == b"meow"
        await bob.says(one.id, "Nice")
        await one.hears()
    nodes = {node.port for node in network.nodes}
    assert {urlsplit(network.seeds[0].url).port, network.plain_port} <= proxy.ports
    assert proxy.ports & nodes


async def test_behind_a_web_proxy_seeds_and_nodes_are_reached_through_it(
    network: LoopbackNetwork, ada: Identity, tmp_path: Path
) -> None:
    async with connect().running() as proxy:
        with State.open(tmp_path / "state.db") as state:
            async with SwarmClient(state, seeds=network.seeds, proxy=proxy.url) as swarm:
                assert await swarm.store(ada.session_id, b"record", ttl=60_000)
    assert urlsplit(network.seeds[0].url).port in proxy.ports
    assert proxy.ports & {node.port for node in network.nodes}


async def test_when_the_proxy_is_gone_nothing_goes_out_past_it(
    network: LoopbackNetwork, ada: Identity, tmp_path: Path
) -> None:
    with State.open(tmp_path / "state.db") as state:
        gone = "socks5://127.0.0.1:1"
        async with SwarmClient(state, seeds=network.seeds, proxy=gone, timeout_s=1) as swarm:
            with pytest.raises(ChannelError):
                await swarm.store(ada.session_id, b"record", ttl=60_000)
    assert not any(node.calls for node in network.nodes)
