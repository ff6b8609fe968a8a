"""The client of the swarm, against a network that breaks."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sessionbot_kit.channels.session_messenger import rpc
from sessionbot_kit.channels.session_messenger.identity import Identity
from sessionbot_kit.channels.session_messenger.loopback import LoopbackNetwork
from sessionbot_kit.channels.session_messenger.loopback.faults import (
    Codes,
    Fault,
    HangsUp,
    KeepsNothing,
    Refuses,
    Silent,
)
from sessionbot_kit.channels.session_messenger.loopback.http import Response
from sessionbot_kit.channels.session_messenger.loopback.storage_node import StorageNode
from sessionbot_kit.channels.session_messenger.rpc import Node
from sessionbot_kit.channels.session_messenger.seeds import Seed, official
from sessionbot_kit.channels.session_messenger.state import State
from sessionbot_kit.channels.session_messenger.swarm import Found, SwarmClient
from sessionbot_kit.errors import ChannelError, SendRefused, SettingsError

TTL = 86_400_000
HOUR = 3_600.0

BROKEN: list[Fault] = [
    Refuses(429, "Too Many Requests\n"),
    Refuses(500, "request failed"),
    Refuses(503, "Server busy, try again later"),
    Refuses(502, "<html>Bad Gateway</html>", "text/html"),
    Refuses(200, "<html>Welcome to the hotel</html>", "text/html"),
    Refuses(200, '{"results": []}', "application/json"),
    Refuses(302),
    Codes(500, "request failed"),
    Codes(200, "a text"),
    Codes(200, {"messages": "none"}),
    Codes(200, {"messages": [{"hash": "short"}]}),
    HangsUp(),
    HangsUp(after=60),
    HangsUp(after=250),
    KeepsNothing(),
    Silent(),
]


@pytest.fixture
async def network() -> AsyncIterator[LoopbackNetwork]:
    async with LoopbackNetwork(nodes=6, swarms=2) as network:
        yield network
        assert not network.ignored


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State.open(tmp_path / "state.db") as state:
        yield state


@pytest.fixture
async def client(network: LoopbackNetwork, state: State) -> AsyncIterator[SwarmClient]:
    async with client_of(network, state) as client:
        yield client


def client_of(network: LoopbackNetwork, state: State, **more: object) -> SwarmClient:
    settings = {"seeds": network.seeds, "timeout_s": 0.5, "chance": random.Random(1), **more}
    return SwarmClient(state, **settings)  # type: ignore[arg-type]  # a table of settings


def swarm_of(network: LoopbackNetwork, owner: Identity) -> list[StorageNode]:
    return network.swarm_of(owner.session_id)[1]


async def look(client: SwarmClient, owner: Identity, prefer: Node | None = None) -> Found:
    return await client.retrieve(owner, cursor=lambda node: "", prefer=prefer)


async def test_what_is_stored_for_somebody_is_retrieved_by_him(
    client: SwarmClient, network: LoopbackNetwork, ada: Identity
) -> None:
    hash = await client.store(ada.session_id, b"record", ttl=TTL)
    found = await look(client, ada)
    assert (found.records, found.more) == ([rpc.Stored(hash, b"record")], False)
    assert not network.refusals


@pytest.mark.parametrize("fault", BROKEN, ids=repr)
async def test_a_node_that_is_broken_is_passed_by(
    client: SwarmClient, network: LoopbackNetwork, ada: Identity, fault: Fault
) -> None:
    for node in swarm_of(network, ada)[:2]:
        node.always = fault
    hash = await client.store(ada.session_id, b"record", ttl=TTL)
    assert [stored.hash for stored in (await look(client, ada)).records] == [hash]


@pytest.mark.parametrize("fault", BROKEN, ids=repr)
async def test_when_every_node_is_broken_it_ends_with_a_sentence(
    client: SwarmClient, network: LoopbackNetwork, ada: Identity, fault: Fault
) -> None:
    await client.swarm_of(ada.session_id)
    for node in network.nodes:
        node.always = fault
    with pytest.raises(ChannelError, match="Try again later"):
        await client.store(ada.session_id, b"record", ttl=TTL)
    assert sum(node.calls.count("store") for node in network.nodes) <= 6


async def test_what_two_nodes_refuse_for_good_is_not_sent_again(
    client: SwarmClient, network: LoopbackNetwork, ada: Identity
) -> None:
    with pytest.raises(SendRefused, match="Provided expiry/TTL is not valid"):
        await client.store(ada.session_id, b"record", ttl=5)
    assert len(network.refusals) == 2


async def test_one_node_alone_cannot_refuse_for_good(
    client: SwarmClient, network: LoopbackNetwork, ada: Identity
) -> None:
    swarm_of(network, ada)[0].always = Codes(400, "I do not like you")
    for _ in range(5):
        assert await client.store(ada.session_id, b"record", ttl=TTL)


@pytest.mark.parametrize("hours", [-1, 1, 24 * 400])
async def test_a_clock_that_is_wrong_is_put_right_by_the_network(
    client: SwarmClient, network: LoopbackNetwork, ada: Identity, hours: float
) -> None:
    network.wind(hours=hours)
    hash = await client.store(ada.session_id, b"record", ttl=TTL)
    assert [stored.hash for stored in (await look(client, ada)).records] == [hash]
    assert abs(client.clock.now_ms() - network.now_ms()) < 1_000
    assert not network.refusals


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_clock_that_changes_while_we_run_is_put_right_after_one_refusal(
    network: LoopbackNetwork, state: State, ada: Identity, hours: float
) -> None:
    async with client_of(network, state) as client:
        await look(client, ada)
        network.wind(hours=hours)
        assert await look(client, ada)
        assert {refusal.code for refusal in network.refusals} == {406}
        assert len(network.refusals) <= 3


async def test_when_swarms_move_the_new_one_is_taken_from_the_answer(
    client: SwarmClient, network: LoopbackNetwork, ada: Identity
) -> None:
    await client.store(ada.session_id, b"before", ttl=TTL)
    network.move_swarms()
    await client.store(ada.session_id, b"after", ttl=TTL)
    assert [stored.data for stored in (await look(client, ada)).records] == [b"before", b"after"]
    assert [refusal.code for refusal in network.refusals] == [421]
    assert sum(node.calls.count("get_swarm") for node in network.nodes) == 1


async def test_a_421_that_leads_nowhere_is_not_followed_for_ever(
    client: SwarmClient, network: LoopbackNetwork, ada: Identity
) -> None:
    elsewhere = {"snodes": [{**network.nodes[0].describe(), "ip": "203.0.113.5"}], "swarm": "1"}
    await client.swarm_of(ada.session_id)
    for node in network.nodes:
        node.always = Codes(421, elsewhere)
    with pytest.raises(ChannelError, match="Try again later"):
        await client.store(ada.session_id, b"record", ttl=TTL)
    assert sum(len(node.calls) for node in network.nodes) < 50


async def test_a_node_that_knows_nothing_of_its_own_swarm_is_passed_by(
    client: SwarmClient, network: LoopbackNetwork, ada: Identity
) -> None:
    confused, *_ = nodes = swarm_of(network, ada)
    confused.always = Codes(421, {"snodes": [node.describe() for node in nodes]})
    for _ in range(10):
        assert await client.store(ada.session_id, b"record", ttl=TTL)
    assert confused.calls.count("store") <= 1


async def test_a_node_that_failed_is_left_alone_for_a_while(
    client: SwarmClient, network: LoopbackNetwork, ada: Identity
) -> None:
    broken = swarm_of(network, ada)[0]
    broken.always = Refuses(500)
    for _ in range(10):
        assert await client.store(ada.session_id, b"record", ttl=TTL)
    assert len(broken.calls) == 1


@pytest.mark.parametrize(("age_s", "is_found"), [(660, True), (60, False)])
async def test_nodes_newer_than_the_list_are_found_when_it_is_not_brand_new(
    network: LoopbackNetwork, state: State, ada: Identity, age_s: int, is_found: bool
) -> None:
    async with client_of(network, state) as client:
        await client.swarm_of(ada.session_id)
    known, _ = state.nodes(local=True)
    old = tuple(n for n in known if n.port not in {m.port for m in swarm_of(network, ada)})
    state.set_nodes(old, int((time.time() - age_s) * 1000))
    async with client_of(network, state) as client:
        if is_found:
            assert await client.store(ada.session_id, b"record", ttl=TTL)
        else:
            with pytest.raises(ChannelError, match="nobody knows the swarm"):
                await client.store(ada.session_id, b"record", ttl=TTL)


async def test_a_node_cannot_send_us_to_a_machine_that_no_seed_named(
    client: SwarmClient, network: LoopbackNetwork, ada: Identity
) -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise AssertionError("somebody came")

    trap = await asyncio.start_server(never, "127.0.0.1", 0)
    port = trap.sockets[0].getsockname()[1]
    swarm = [
        {"ip": "127.0.0.1", "port": port, "pubkey_ed25519": "e" * 64},
        {**network.nodes[0].describe(), "port": port},
    ]
    for node in network.nodes:
        node.always = Codes(200, {"snodes": swarm})
    with pytest.raises(ChannelError):
        await client.store(ada.session_id, b"record", ttl=TTL)
    trap.close()


async def test_the_preferred_node_is_asked_as_long_as_it_answers(
    client: SwarmClient, network: LoopbackNetwork, ada: Identity
) -> None:
    first = (await look(client, ada)).node
    for _ in range(5):
        assert (await look(client, ada, prefer=first)).node == first
    next(node for node in network.nodes if node.port == first.port).always = HangsUp()
    assert (await look(client, ada, prefer=first)).node != first


async def test_more_records_than_an_answer_holds_are_announced(
    client: SwarmClient, network: LoopbackNetwork, ada: Identity
) -> None:
    for number in range(80):
        await client.store(ada.session_id, bytes((number,)) * 76_800, ttl=TTL)
    found = await look(client, ada)
    assert found.more
    rest = await client.retrieve(ada, cursor=lambda node: found.records[-1].hash, prefer=found.node)
    assert len(found.records) + len(rest.records) == 80
    assert not rest.more


async def test_our_own_records_can_be_deleted(
    client: SwarmClient, network: LoopbackNetwork, ada: Identity
) -> None:
    hash = await client.store(ada.session_id, b"record", ttl=TTL)
    await client.delete(ada, (hash,))
    assert (await look(client, ada)).records == []


async def test_the_list_of_nodes_outlives_a_restart_and_dead_seeds(
    network: LoopbackNetwork, state: State, ada: Identity
) -> None:
    async with client_of(network, state) as client:
        await client.swarm_of(ada.session_id)
    network.seed_faults = [Response(500, b"")] * 20
    async with client_of(network, state) as client:
        assert await client.store(ada.session_id, b"record", ttl=TTL)


async def test_an_old_list_is_better_than_none(
    network: LoopbackNetwork, state: State, ada: Identity
) -> None:
    async with client_of(network, state) as client:
        await client.swarm_of(ada.session_id)
    state.set_nodes(state.nodes(local=True)[0], 1)
    network.seed_faults = [Response(500, b"")] * 20
    async with client_of(network, state) as client:
        assert await client.store(ada.session_id, b"record", ttl=TTL)
    assert len(network.seed_faults) < 20


@pytest.mark.parametrize(
    "answer",
    [
        Response(500, b"no"),
        Response(200, b"<html>"),
        Response(200, b"[]"),
        Response(200, b'{"result": {"service_node_states": 5}}'),
        Response(200, b'{"result": {"service_node_states": []}}'),
        Response(200, b"x" * 5_000_000),
        Response(200, b"{}", sent=30),
    ],
    ids=repr,
)
async def test_without_any_seed_it_ends_with_a_sentence(
    client: SwarmClient, network: LoopbackNetwork, ada: Identity, answer: Response
) -> None:
    network.seed_faults = [answer] * 20
    with pytest.raises(ChannelError, match="no seed answers"):
        await client.store(ada.session_id, b"record", ttl=TTL)


async def test_a_seed_with_another_certificate_is_not_believed(
    network: LoopbackNetwork, state: State, ada: Identity
) -> None:
    pinned = official()[0].certificate
    wrong = tuple(Seed(seed.url, pinned) for seed in network.seeds)
    async with client_of(network, state, seeds=wrong) as client:
        with pytest.raises(ChannelError, match="CERTIFICATE_VERIFY_FAILED"):
            await client.store(ada.session_id, b"record", ttl=TTL)


def test_the_official_seeds_are_pinned() -> None:
    assert [seed.url for seed in official()] == [
        "https://seed1.getsession.org",
        "https://seed2.getsession.org",
        "https://seed3.getsession.org",
    ]
    assert all(seed.context().get_ca_certs() and not seed.is_local for seed in official())


@pytest.mark.parametrize(
    ("url", "certificate"), [("http://x", "BEGIN CERTIFICATE"), ("https://x", "")]
)
def test_a_seed_that_is_not_pinned_is_refused(url: str, certificate: str) -> None:
    with pytest.raises(SettingsError, match="not pinned"):
        Seed(url, certificate)


async def test_a_proxy_of_an_unknown_kind_is_refused_with_a_sentence(
    network: LoopbackNetwork, state: State
) -> None:
    with pytest.raises(SettingsError, match="socks5://host:port"):
        async with client_of(network, state, proxy="carrier-pigeon://coop"):
            pass


async def test_what_the_environment_says_of_proxies_is_for_browsers(
    client: SwarmClient, monkeypatch: pytest.MonkeyPatch, ada: Identity
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert await client.store(ada.session_id, b"record", ttl=TTL)


async def test_an_answer_that_never_ends_is_cut(
    client: SwarmClient, network: LoopbackNetwork, ada: Identity
) -> None:
    await client.swarm_of(ada.session_id)
    for node in network.nodes:
        node.always = Refuses(200, "x" * 12_000_001)
    with pytest.raises(ChannelError, match="more than 12,000,000 bytes"):
        await look(client, ada)
