"""The rest of the stand-in: seeds, the file server, and the ways in which things break."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import orjson
import pytest

from sessionbot_kit.channels.session_messenger.loopback import LoopbackNetwork
from sessionbot_kit.channels.session_messenger.loopback.faults import (
    Codes,
    Fault,
    HangsUp,
    KeepsNothing,
    Refuses,
    Silent,
    Waits,
)
from sessionbot_kit.channels.session_messenger.seeds import question

INFO = {"method": "info", "params": {}}
BATCH = {"method": "batch", "params": {"requests": [INFO]}}


@pytest.fixture
async def network() -> AsyncIterator[LoopbackNetwork]:
    async with LoopbackNetwork() as network:
        yield network


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(verify=False) as http:
        yield http


async def ask(http: httpx.AsyncClient, network: LoopbackNetwork, body: object) -> httpx.Response:
    url = f"https://127.0.0.1:{network.nodes[0].port}/storage_rpc/v1"
    return await http.post(url, content=orjson.dumps(body))


async def test_a_seed_names_every_node_and_one_without_an_address(network: LoopbackNetwork) -> None:
    (seed,) = network.seeds
    async with httpx.AsyncClient(verify=seed.context()) as http:
        response = await http.post(f"{seed.url}/json_rpc", json=question())
    states = response.json()["result"]["service_node_states"]
    assert [state["storage_port"] for state in states[:4]] == [n.port for n in network.nodes]
    assert states[4]["public_ip"] == "0.0.0.0"


async def test_a_seed_is_there_without_tls_for_clients_that_want_it_so(
    network: LoopbackNetwork, http: httpx.AsyncClient
) -> None:
    response = await http.post(f"http://127.0.0.1:{network.plain_port}/json_rpc", json=question())
    assert response.status_code == 200


async def test_a_file_is_kept_for_three_weeks(
    network: LoopbackNetwork, http: httpx.AsyncClient
) -> None:
    url = f"{network.file_server_url}/file"
    id = (await http.post(url, content=b"data")).json()["id"]
    assert id.isdecimal()
    response = await http.get(f"{url}/{id}")
    assert (response.content, response.headers["content-type"]) == (
        b"data",
        "application/octet-stream",
    )
    about = (await http.get(f"{url}/{id}/info")).json()
    assert (about["size"], about["expires"] - about["uploaded"]) == (4, 21 * 86_400)
    network.wind(hours=21 * 24)
    assert (await http.get(f"{url}/{id}")).status_code == 404


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "application/octet-stream"),
        (bytes(101), "application/octet-stream"),
        (b"a=b", "application/x-www-form-urlencoded"),
    ],
)
async def test_a_file_that_is_empty_or_too_large_is_refused(
    network: LoopbackNetwork, http: httpx.AsyncClient, data: bytes, kind: str
) -> None:
    network.files.max_file_bytes = 100
    response = await http.post(
        f"{network.file_server_url}/file", content=data, headers={"Content-Type": kind}
    )
    assert (response.status_code, response.json()) == (413, {"status_code": 413})


async def test_a_client_may_take_the_file_server_for_its_proxy(network: LoopbackNetwork) -> None:
    proxy = f"http://127.0.0.1:{network.plain_port}"
    async with httpx.AsyncClient(proxy=proxy) as http:
        response = await http.post("http://filev2.getsession.org/file", content=b"data")
    assert response.status_code == 200


@pytest.mark.parametrize("path", ["/file/1", "/file/1/info", "/nothing"])
async def test_an_unknown_file_is_not_found(
    network: LoopbackNetwork, http: httpx.AsyncClient, path: str
) -> None:
    response = await http.get(network.file_server_url + path)
    assert (response.status_code, response.json()) == (404, {"status_code": 404})


@pytest.mark.parametrize("fault", [HangsUp(), HangsUp(after=10), HangsUp(after=200)])
async def test_a_node_can_hang_up_before_or_in_the_middle_of_its_answer(
    network: LoopbackNetwork, http: httpx.AsyncClient, fault: Fault
) -> None:
    network.nodes[0].faults.append(fault)
    with pytest.raises(httpx.TransportError):
        await ask(http, network, BATCH)
    assert (await ask(http, network, BATCH)).status_code == 200


async def test_a_node_can_refuse_outside_and_inside_a_batch(
    network: LoopbackNetwork, http: httpx.AsyncClient
) -> None:
    network.nodes[0].faults += [Refuses(502, "<html>", "text/html"), Codes(500, "request failed")]
    assert (await ask(http, network, BATCH)).text == "<html>"
    response = await ask(http, network, BATCH)
    assert response.json() == {"results": [{"code": 500, "body": "request failed"}]}


async def test_a_silent_node_is_cut_off_when_the_network_ends(http: httpx.AsyncClient) -> None:
    async with LoopbackNetwork() as network:
        network.nodes[0].always = Silent()
        with pytest.raises(httpx.ReadTimeout):
            await http.post(
                f"https://127.0.0.1:{network.nodes[0].port}/storage_rpc/v1",
                content=orjson.dumps(INFO),
                timeout=0.05,
            )


async def test_a_slow_node_answers_when_it_is_let(
    network: LoopbackNetwork, http: httpx.AsyncClient
) -> None:
    slow = Waits()
    network.nodes[0].faults.append(slow)
    async with asyncio.TaskGroup() as tasks:
        answer = tasks.create_task(ask(http, network, BATCH))
        await slow.begun.wait()
        assert not answer.done()
        slow.until.set()
    assert answer.result().status_code == 200


async def test_a_store_that_nobody_keeps_is_answered_with_200_all_the_same(
    network: LoopbackNetwork, http: httpx.AsyncClient
) -> None:
    pubkey = "05" + "1" * 64
    node = network.swarm_of(pubkey)[1][0]
    node.faults.append(KeepsNothing(timeout=True))
    params = {"pubkey": pubkey, "data": "YWJj", "timestamp": network.now_ms(), "ttl": 20_000}
    url = f"https://127.0.0.1:{node.port}/storage_rpc/v1"
    response = await http.post(url, json={"method": "store", "params": params})
    assert response.status_code == 200
    assert "hash" not in response.json()
    assert all(entry["failed"] for entry in response.json()["swarm"].values())


async def test_a_head_that_never_ends_is_refused(network: LoopbackNetwork) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", network.plain_port)
    writer.write(b"GET /" + b"x" * 40_000)
    assert (await reader.read(12)).startswith(b"HTTP/1.1 431")
    writer.close()


async def test_a_body_that_is_too_large_is_not_read(network: LoopbackNetwork) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", network.plain_port)
    writer.write(b"POST /file HTTP/1.1\r\nContent-Length: 10485761\r\n\r\n")
    assert (await reader.read(12)).startswith(b"HTTP/1.1 413")
    writer.close()


@pytest.mark.parametrize("line", [b"Content-Length: x", b"Transfer-Encoding: chunked"])
async def test_a_body_without_a_length_is_refused(network: LoopbackNetwork, line: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", network.plain_port)
    writer.write(b"POST /file HTTP/1.1\r\n" + line + b"\r\n\r\n")
    assert (await reader.read(12)).startswith(b"HTTP/1.1 411")
    writer.close()


async def test_the_ports_are_free_again_afterwards() -> None:
    async with LoopbackNetwork() as network:
        port = network.plain_port
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
