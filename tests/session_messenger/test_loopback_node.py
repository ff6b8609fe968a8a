"""The stand-in for a storage node: it accepts what the real one accepts, and refuses the rest."""

from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.channels.session_messenger import rpc
from sessionbot_kit.channels.session_messenger.identity import Identity, verify
from sessionbot_kit.channels.session_messenger.loopback import LoopbackNetwork
from sessionbot_kit.channels.session_messenger.loopback.batch import Asked, read_body
from sessionbot_kit.channels.session_messenger.loopback.mailbox import hash_of
from sessionbot_kit.channels.session_messenger.loopback.parameters import BadRequest
from sessionbot_kit.channels.session_messenger.loopback.rules import nearest, place_of
from sessionbot_kit.channels.session_messenger.loopback.storage_node import StorageNode

from .vectors import KEYS, load

ADA = KEYS[0]["session_id"]
KNOWN_HASH = "G3HFFX2z4H1YW5PP8/f9Jxx463V1BB5UY2Rt5i3n0+4"
TTL = 14 * 86_400_000
NOW = 1767225600.0


class Wire:
    """Speaks to nodes without any of our client's manners."""

    def __init__(self, network: LoopbackNetwork, http: httpx.AsyncClient) -> None:
        self.network, self.http = network, http

    @property
    def now(self) -> int:
        return self.network.now_ms()

    def node_of(self, pubkey: str) -> StorageNode:
        return self.network.swarm_of(pubkey)[1][0]

    async def post(self, node: StorageNode, body: object, **more: Any) -> httpx.Response:
        url = f"https://127.0.0.1:{node.port}/storage_rpc/v1"
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        return await self.http.post(url, content=data, **more)

    async def call(self, method: str, params: dict[str, Any]) -> tuple[int, Any]:
        node = self.node_of(str(params.get("pubkey", ADA)))
        body = {"method": "batch", "params": {"requests": [{"method": method, "params": params}]}}
        response = await self.post(node, body)
        if response.status_code != 200:
            return -response.status_code, response.text  # minus: the whole batch was refused
        (result,) = response.json()["results"]
        return result["code"], result["body"]

    def store(self, **more: Any) -> dict[str, Any]:
        return {
            **rpc.store(ADA, b"abc 123", timestamp=self.now, ttl=TTL),
            **more,
        }

    def retrieve(self, owner: Identity, **more: Any) -> dict[str, Any]:
        return {**rpc.retrieve(owner, timestamp=self.now), **more}


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with (
        LoopbackNetwork(clock=lambda: NOW) as network,
        httpx.AsyncClient(verify=False) as http,
    ):
        yield Wire(network, http)


@pytest.mark.parametrize(
    ("namespace", "hash"),
    [
        (0, KNOWN_HASH),
        (5, "m0AazGizzUlitsY0PXiFimCbdXULO394LP/yUbLhlOg"),
        (-10, "IqAyH7MWOCITs/orlL8G21BTUrm9aulqO6t8KnpZMwQ"),
    ],
)
def test_a_record_is_named_like_on_the_real_network(namespace: int, hash: str) -> None:
    assert hash_of(ADA, namespace, b"abc 123") == hash


def test_a_mailbox_lies_where_it_lies_on_the_real_network() -> None:
    assert f"{place_of(ADA):016x}" == "07aee4df82645655"


@pytest.mark.parametrize(
    ("place", "swarm"),
    [(0, 10), (2**64 - 1, 10), (19, 10), (20, 10), (21, 30), (2**64 - 200, 2**64 - 300)],
)
def test_the_nearest_swarm_of_the_ring_has_a_mailbox(place: int, swarm: int) -> None:
    assert nearest(place, [10, 30, 2**64 - 300]) == swarm


def test_one_swarm_has_every_mailbox() -> None:
    assert nearest(5, [2**63]) == 2**63


async def test_every_call_of_another_client_is_accepted(wire: Wire) -> None:
    for body in load("rpc_log.jsonl"):
        pubkey = body["params"]["requests"][0]["params"]["pubkey"]
        response = await wire.post(wire.node_of(pubkey), body)
        assert {result["code"] for result in response.json()["results"]} == {200}
    assert not wire.network.refusals


async def test_a_record_is_stored_on_every_node_and_each_signs_for_it(wire: Wire) -> None:
    code, body = await wire.call("store", wire.store())
    assert (code, body["hash"]) == (200, KNOWN_HASH)
    for node in wire.network.swarm_of(ADA)[1]:
        entry = body["swarm"][node.ed25519]
        signature = rpc._data(entry["signature"])
        assert verify(signature, KNOWN_HASH.encode(), bytes.fromhex(node.ed25519))
        assert entry["expiry"] == wire.now + TTL
        assert len(node.mailbox) == 1


async def test_the_same_record_twice_is_one_record(wire: Wire) -> None:
    await wire.call("store", wire.store(ttl=20_000))
    code, body = await wire.call("store", wire.store())
    assert (code, body["hash"]) == (200, KNOWN_HASH)
    assert all(entry["already"] for entry in body["swarm"].values())
    assert len(wire.node_of(ADA).mailbox) == 1


async def test_records_come_back_in_the_order_in_which_they_came(wire: Wire, ada: Identity) -> None:
    hashes = []
    for number in range(3):
        data = b64encode(bytes((number,))).decode()
        hashes.append((await wire.call("store", wire.store(data=data)))[1]["hash"])
    _, body = await wire.call("retrieve", wire.retrieve(ada))
    assert [entry["hash"] for entry in body["messages"]] == hashes
    _, body = await wire.call("retrieve", wire.retrieve(ada, last_hash=hashes[0]))
    assert [entry["hash"] for entry in body["messages"]] == hashes[1:]
    _, body = await wire.call("retrieve", wire.retrieve(ada, last_hash=KNOWN_HASH))
    assert [entry["hash"] for entry in body["messages"]] == hashes


async def test_a_long_mailbox_comes_in_pages(wire: Wire, ada: Identity) -> None:
    for number in range(16):
        data = b64encode(bytes((number,)) * 76_800).decode()
        await wire.call("store", wire.store(data=data))
    _, body = await wire.call("retrieve", wire.retrieve(ada, max_size=0))
    assert (len(body["messages"]), body["more"]) == (15, True)
    _, body = await wire.call("retrieve", wire.retrieve(ada, max_size=1))
    assert (len(body["messages"]), body["more"]) == (1, True)
    _, body = await wire.call("retrieve", wire.retrieve(ada, max_count=2))
    assert (len(body["messages"]), body["more"]) == (2, True)
    _, body = await wire.call("retrieve", wire.retrieve(ada, max_size=-1))
    assert (len(body["messages"]), body["more"]) == (16, False)


async def test_a_node_deletes_for_the_owner_and_signs_for_it(wire: Wire, ada: Identity) -> None:
    await wire.call("store", wire.store())
    code, body = await wire.call("delete", rpc.delete(ada, [KNOWN_HASH]))
    assert code == 200
    assert all(entry["deleted"] == [KNOWN_HASH] for entry in body["swarm"].values())
    assert not len(wire.node_of(ADA).mailbox)
    code, _ = await wire.call("delete", {**rpc.delete(ada, [KNOWN_HASH]), "required": True})
    assert code == 404


async def test_a_node_of_another_swarm_names_the_right_one(wire: Wire) -> None:
    right = wire.network.swarm_of(ADA)[1]
    wrong = next(node for node in wire.network.nodes if node not in right)
    call = {"method": "store", "params": wire.store()}
    alone = await wire.post(wrong, call)
    batch = await wire.post(wrong, {"method": "batch", "params": {"requests": [call]}})
    (result,) = batch.json()["results"]
    assert (alone.status_code, batch.status_code, result["code"]) == (421, 200, 421)
    assert result["body"] == alone.json()
    assert [entry["port"] for entry in result["body"]["snodes"]] == [str(n.port) for n in right]


async def test_any_node_says_whose_swarm_is_where(wire: Wire) -> None:
    for node in wire.network.nodes:
        call = {"method": "get_swarm", "params": {"pubkey": ADA.upper()}}
        body = (await wire.post(node, call)).json()
        assert len(body["snodes"]) == 2
        assert body["t"] == wire.now


async def test_a_node_tells_the_time(wire: Wire) -> None:
    assert (await wire.call("info", {}))[1] == {
        "version": [2, 8, 0],
        "timestamp": wire.now,
        "t": wire.now,
        "hf": [19, 4],
    }


RUN_TIME = [
    ("store", {"ttl": 9_999}, 403, "Provided expiry/TTL is not valid."),
    ("store", {"ttl": TTL + 1}, 403, "Provided expiry/TTL is not valid."),
    ("store", {"timestamp": +10_001}, 406, "Timestamp error: check your clock"),
    ("store", {"timestamp": -30_001, "ttl": 20_000}, 406, "Timestamp error: check your clock"),
    ("store", {"namespace": 5}, 401, "store: signature required to store to namespace 5"),
    ("retrieve", {"timestamp": +60_001}, 406, "retrieve timestamp too far from current time"),
    ("retrieve", {"timestamp": -60_001}, 406, "retrieve timestamp too far from current time"),
    ("retrieve", {"timestamp": +1}, 401, "retrieve signature verification failed"),
    ("retrieve", {"namespace": 3}, 401, "retrieve signature verification failed"),
    ("retrieve", {"pubkey_ed25519": None}, 401, "retrieve signature verification failed"),
    (
        "retrieve",
        {"pubkey_ed25519": KEYS[1]["ed25519_pk"]},
        401,
        "retrieve signature verification failed",
    ),
    ("delete", {"messages": ["x" * 43]}, 401, "delete_msgs signature verification failed"),
]


def asked(wire: Wire, ada: Identity, method: str, change: dict[str, Any]) -> dict[str, Any]:
    change = dict(change)
    if isinstance(moved := change.get("timestamp"), int):
        change["timestamp"] = wire.now + moved
    made = {"store": wire.store(), "retrieve": wire.retrieve(ada)}
    made["delete"] = rpc.delete(ada, [KNOWN_HASH])
    return {**made[method], **change}


@pytest.mark.parametrize(("method", "change", "code", "text"), RUN_TIME)
async def test_a_node_refuses_a_call_that_it_may_not_run(
    wire: Wire, ada: Identity, method: str, change: dict[str, Any], code: int, text: str
) -> None:
    assert await wire.call(method, asked(wire, ada, method, change)) == (code, text)
    assert (wire.network.refusals[-1].code, wire.network.refusals[-1].text) == (code, text)


@pytest.mark.parametrize(
    ("method", "change"),
    [
        ("store", {"ttl": 10_000}),
        ("store", {"ttl": TTL}),
        ("store", {"ttl": str(TTL)}),
        ("store", {"timestamp": +10_000}),
        ("store", {"timestamp": -30_000, "ttl": 20_000}),
        ("store", {"namespace": -10}),
        ("store", {"data": ""}),
        ("store", {"data": "YWJj"}),
        ("store", {"data": "YWI"}),
        ("store", {"data": b64encode(bytes(76_800)).decode()}),
        ("store", {"pubkey": ADA.upper()}),
        ("retrieve", {"signature": None, "timestamp": None, "pubkey_ed25519": None}),
        ("retrieve", {"last_hash": None, "lastHash": KNOWN_HASH}),
    ],
)
async def test_a_node_takes_what_is_just_within_its_rules(
    wire: Wire, ada: Identity, method: str, change: dict[str, Any]
) -> None:
    params = asked(wire, ada, method, change)
    if "signature" in change:
        params["namespace"] = -10
    code, _ = await wire.call(method, params)
    assert code == 200


async def test_a_poll_without_any_proof_is_refused(wire: Wire) -> None:
    assert await wire.call("retrieve", {"pubkey": ADA}) == (
        401,
        "retrieve: request signature required",
    )


@pytest.mark.parametrize("ahead", [0, 60_000, 60_001])
async def test_a_private_namespace_wants_a_fresh_signature(
    wire: Wire, ada: Identity, ahead: int
) -> None:
    signed_at = wire.now + ahead
    signature = b64encode(ada.sign(f"store5{signed_at}".encode())).decode()
    proof = {"pubkey_ed25519": ada.ed25519.hex(), "signature": signature}
    params = wire.store(namespace=5, sig_timestamp=signed_at, ttl=2 * TTL, **proof)
    code, body = await wire.call("store", params)
    assert (code, body if ahead > 60_000 else "") == (
        (406, "store signature timestamp too far from current time")
        if ahead > 60_000
        else (200, "")
    )


UNREADABLE = [
    ("store", {"pubkey": None}, "Required field 'pubkey' missing"),
    ("store", {"pubkey": ADA[:-1]}, "Pubkey must be 66 hex digits (33 bytes) long"),
    ("store", {"pubKey": ADA}, "Cannot specify both 'pubkey' and 'pubKey'"),
    ("store", {"timestamp": None}, "Required field 'timestamp' missing"),
    ("store", {"timestamp": 1.5}, "Invalid value given for 'timestamp': expected integer"),
    ("store", {"ttl": None}, "Required field 'expiry' or 'ttl' missing"),
    ("store", {"expiry": 1}, "Cannot specify both 'expiry' and 'ttl'"),
    ("store", {"data": "YW?j"}, "Invalid 'data' value: not base64 encoded"),
    ("store", {"data": "YWJ-"}, "Invalid 'data' value: not base64 encoded"),
    (
        "store",
        {"data": "A" * 102_404},
        "Message body exceeds maximum allowed length of 76800 bytes",
    ),
    ("store", {"namespace": 40_000}, "Invalid value given for 'namespace': value out of range"),
    ("store", {"namespace": "0"}, "Invalid value given for 'namespace': expected 16-bit integer"),
    ("retrieve", {"signature": None}, "Required field 'signature' missing"),
    (
        "retrieve",
        {"signature": "abc"},
        "invalid signature: expected base64 encoded Ed25519 signature",
    ),
    ("retrieve", {"last_hash": "abc"}, "Invalid last_hash: expected base64 (43 chars)"),
    ("retrieve", {"last_hash": "?" * 43}, "Invalid last_hash: not base64"),
    ("retrieve", {"lastHash": KNOWN_HASH}, "Cannot specify both 'last_hash' and 'lastHash'"),
    (
        "retrieve",
        {"pubkey_ed25519": "ab"},
        "Invalid pubkey_ed25519: expected 64 hex char or 32 byte pubkey",
    ),
    ("retrieve", {"pubkey_ed25519": "g" * 64}, "invalid pubkey_ed25519: value is not hex"),
    ("retrieve", {"max_size": "9"}, "Invalid value given for 'max_size': expected integer"),
    ("delete", {"messages": []}, "messages does not contain any message hashes"),
    ("delete", {"messages": ["abc"]}, "invalid message hash: abc"),
    ("delete", {"messages": 5}, "Invalid value given for 'messages': expected string array"),
    ("delete", {"signature": None}, "Required field 'signature' missing"),
]


@pytest.mark.parametrize(("method", "change", "text"), UNREADABLE)
async def test_a_call_that_cannot_be_read_refuses_the_whole_batch(
    wire: Wire, ada: Identity, method: str, change: dict[str, Any], text: str
) -> None:
    good = {"method": "store", "params": wire.store()}
    params = {**asked(wire, ada, method, {}), **change}
    requests = [good, {"method": method, "params": params}]
    response = await wire.post(
        wire.node_of(ADA), {"method": "batch", "params": {"requests": requests}}
    )
    assert (response.status_code, response.text) == (400, f"invalid request: {text}")
    assert response.headers["content-type"] == "text/plain"
    assert not len(wire.node_of(ADA).mailbox)


INFO = {"method": "info", "params": {}}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{", "invalid json"),
        ({}, "invalid json: no `method` field"),
        ({"method": "info"}, "invalid json: no `params` field"),
        ({"method": "fly", "params": {}}, "no method fly"),
        (
            {"method": "batch", "params": {}},
            'invalid request: Invalid batch request: no valid "requests" field',
        ),
        (
            {"method": "batch", "params": {"requests": [INFO] * 21}},
            "invalid request: Invalid batch request: subrequest limit exceeded",
        ),
        (
            {"method": "batch", "params": {"requests": [1]}},
            "invalid request: Invalid batch request: requests must be objects",
        ),
        (
            {"method": "batch", "params": {"requests": [{"method": "info"}]}},
            "invalid request: Invalid batch request: subrequests must have method/params keys",
        ),
        (
            {"method": "batch", "params": {"requests": [{"method": "batch", "params": {}}]}},
            "invalid request: Invalid batch subrequest: subrequests may not contain meta-requests",
        ),
        (
            {"method": "batch", "params": {"requests": [{"method": "fly", "params": {}}]}},
            'invalid request: Invalid batch subrequest: invalid method "fly"',
        ),
    ],
)
async def test_a_body_that_is_no_call_is_refused(wire: Wire, body: object, text: str) -> None:
    response = await wire.post(wire.node_of(ADA), body)
    assert (response.status_code, response.text) == (400, text)


async def test_a_sequence_ends_at_the_first_refusal(wire: Wire) -> None:
    bad = {"method": "store", "params": wire.store(ttl=1)}
    body = {"method": "sequence", "params": {"requests": [INFO, bad, INFO]}}
    results = (await wire.post(wire.node_of(ADA), body)).json()["results"]
    assert [result["code"] for result in results] == [200, 403]


async def test_what_the_stand_in_cannot_do_it_says(wire: Wire) -> None:
    response = await wire.post(wire.node_of(ADA), {"method": "delete_all", "params": {}})
    assert (response.status_code, response.text) == (501, "the loopback network has no delete_all")


async def test_names_that_a_node_does_not_look_at_are_remembered(wire: Wire, ada: Identity) -> None:
    await wire.call("retrieve", wire.retrieve(ada, maxSize=-2, pubkeyEd25519="x"))
    assert wire.network.ignored == {"retrieve.maxSize", "retrieve.pubkeyEd25519"}


async def test_a_hurried_client_is_slowed_down(wire: Wire) -> None:
    node = wire.node_of(ADA)
    codes = [(await wire.post(node, INFO)).status_code for _ in range(601)]
    assert codes == [200] * 600 + [429]
    wire.network.wind(seconds=1)
    assert (await wire.post(node, INFO)).status_code == 200


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("POST", "/storage_rpc/v2")])
async def test_there_is_nothing_elsewhere(wire: Wire, method: str, path: str) -> None:
    url = f"https://127.0.0.1:{wire.node_of(ADA).port}{path}"
    response = await wire.http.request(method, url)
    assert (response.status_code, response.text) == (404, f"{method} {path} Not Found")


async def test_records_that_expire_are_gone(wire: Wire, ada: Identity) -> None:
    await wire.call("store", wire.store(ttl=20_000))
    wire.network.wind(seconds=21)
    assert (await wire.call("retrieve", wire.retrieve(ada)))[1]["messages"] == []


async def test_a_node_that_lags_gets_the_records_later_and_in_another_order(wire: Wire) -> None:
    first, second = wire.network.swarm_of(ADA)[1]
    second.lagging = True
    for data in ("YQ==", "Yg=="):
        _, body = await wire.call("store", wire.store(data=data))
        assert body["swarm"][second.ed25519] == {"failed": True, "timeout": True}
    second.let_in(lambda records: records[::-1])
    assert [kept.hash for kept in first.mailbox] == [kept.hash for kept in second.mailbox][::-1]


async def test_when_swarms_move_the_records_go_along(wire: Wire, ada: Identity) -> None:
    await wire.call("store", wire.store())
    before = wire.network.swarm_of(ADA)[1]
    wire.network.move_swarms()
    assert wire.network.swarm_of(ADA)[1] != before
    _, body = await wire.call("retrieve", wire.retrieve(ada))
    assert [entry["hash"] for entry in body["messages"]] == [KNOWN_HASH]


@given(st.binary(max_size=100))
def test_any_body_is_a_call_or_a_bad_request(body: bytes) -> None:
    with suppress(BadRequest):
        assert isinstance(read_body(body), Asked)


anything = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just([1])
names = st.sampled_from(["pubkey", "timestamp", "ttl", "data", "signature", "last_hash"])


@given(
    st.sampled_from(["store", "retrieve", "delete", "get_swarm"]),
    st.dictionaries(names, anything),
)
def test_any_parameters_are_a_call_or_a_bad_request(method: str, wrong: dict[str, Any]) -> None:
    good = {"pubkey": ADA, "timestamp": 10**12, "ttl": 1, "data": "", "messages": [KNOWN_HASH]}
    params = {name: value for name, value in {**good, **wrong}.items() if _fits_json(value)}
    with suppress(BadRequest):
        assert read_body(orjson.dumps({"method": method, "params": params})).alone


def _fits_json(value: object) -> bool:
    return not isinstance(value, int) or abs(value) < 2**63
