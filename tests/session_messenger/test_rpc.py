"""What is said to storage nodes, and what of their answers is believed."""

from base64 import b64encode
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.channels.session_messenger import rpc
from sessionbot_kit.channels.session_messenger.identity import Identity
from sessionbot_kit.errors import NodeError

from .vectors import load

CALLS = [call for body in load("rpc_log.jsonl") for call in body["params"]["requests"]]
HASH = "G3HFFX2z4H1YW5PP8/f9Jxx463V1BB5UY2Rt5i3n0+4"
NODE_KEYS = Identity(bytes(16))
NODE = rpc.Node(NODE_KEYS.ed25519.hex(), "203.0.113.5", 22021)
ENTRY = {"ip": "93.184.216.34", "port": "22021", "pubkey_ed25519": "a" * 64}

keys = st.sampled_from(
    ["results", "code", "body", "messages", "hash", "data", "swarm", "signature", "ip", "port"]
)
json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
)


def recorded(method: str, namespace: int | None = None) -> list[dict[str, Any]]:
    calls = [call["params"] for call in CALLS if call["method"] == method]
    return [one for one in calls if namespace is None or one["namespace"] == namespace]


def answer(body: object, code: object = 200) -> bytes:
    return orjson.dumps({"results": [{"code": code, "body": body}]})


@pytest.mark.parametrize("namespace", [0, 2, 3, 4, 5])
def test_a_retrieve_is_signed_like_that_of_another_client(namespace: int, bob: Identity) -> None:
    for made in recorded("retrieve", namespace):
        ours = rpc.retrieve(
            bob, timestamp=made["timestamp"], last_hash=made["lastHash"], namespace=namespace
        )
        assert ours["signature"] == made["signature"]
        assert ours["pubkey_ed25519"] == made["pubkey_ed25519"]
        assert ours["last_hash"] == made["lastHash"]


def test_a_delete_is_signed_like_that_of_another_client(ada: Identity) -> None:
    (made,) = recorded("delete")
    assert rpc.delete(ada, made["messages"]) == made


def test_a_store_is_written_like_that_of_another_client() -> None:
    for made in recorded("store"):
        data = rpc._data(made["data"])
        ours = rpc.store(made["pubkey"], data, timestamp=made["timestamp"], ttl=made["ttl"])
        assert ours == made


def test_a_call_is_a_batch_of_one_like_that_of_another_client() -> None:
    logged = load("rpc_log.jsonl")[0]
    (call,) = logged["params"]["requests"]
    assert orjson.loads(rpc.request(call["method"], call["params"])) == logged


def test_an_answer_is_what_the_method_returned() -> None:
    assert rpc.read(200, answer({"hash": HASH})) == {"hash": HASH}


def test_an_answer_may_be_json_inside_a_string() -> None:
    assert rpc.read(200, answer('{"hash":"x"}')) == {"hash": "x"}


@pytest.mark.parametrize("code", [400, 401, 403, 406, 421, 500])
def test_a_refusal_inside_a_batch_is_as_good_as_one_outside(code: int) -> None:
    for status, body in ((200, answer("no", code)), (code, b"no")):
        with pytest.raises(NodeError, match="no") as caught:
            rpc.read(status, body)
        assert caught.value.status == code


def test_a_refused_poll_does_not_look_empty() -> None:
    with pytest.raises(NodeError, match="signature verification failed"):
        rpc.read(200, answer("retrieve signature verification failed", 401))


@pytest.mark.parametrize("status", [200, 421])
def test_the_new_swarm_is_taken_out_of_a_421(status: int) -> None:
    body = {"snodes": [ENTRY], "swarm": "1f"}
    reply = answer(body, 421) if status == 200 else orjson.dumps(body)
    with pytest.raises(NodeError) as caught:
        rpc.read(status, reply)
    assert isinstance(caught.value.body, dict)
    assert rpc.nodes(caught.value.body["snodes"])[0].ip == ENTRY["ip"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>502 Bad Gateway</html>",
        b'{"results": [{"code": 200, "bo',
        b"[]",
        b"{}",
        b'{"results": []}',
        b'{"results": [1]}',
        answer("text"),
        answer([1]),
        answer({}, None),
        answer({}, "200"),
    ],
)
def test_an_answer_that_is_none_is_refused_with_a_sentence(body: bytes) -> None:
    with pytest.raises(NodeError, match="a node answers") as caught:
        rpc.read(200, body)
    assert caught.value.status == 0


@given(st.sampled_from([200, 421, 500]), st.binary(max_size=50) | json.map(orjson.dumps))
def test_any_answer_is_read_or_refused(status: int, body: bytes) -> None:
    with suppress(NodeError):
        assert isinstance(rpc.read(status, body), dict)


@given(json)
def test_any_object_is_records_a_proof_and_nodes_or_is_refused(value: Any) -> None:
    found = value if isinstance(value, dict) else {"messages": value, "swarm": value}
    for look in (rpc.retrieved, lambda found: rpc.confirmed(found, [NODE])):
        with suppress(NodeError):
            assert look(found)
    assert isinstance(rpc.nodes(value), tuple)


def test_records_come_with_their_hashes_and_whether_there_are_more() -> None:
    entry = {"hash": HASH, "data": "YWJj", "timestamp": 1, "expiration": 2}
    assert rpc.retrieved({"messages": [entry], "more": True}) == ([rpc.Stored(HASH, b"abc")], True)
    assert rpc.retrieved({"messages": [], "more": True}) == ([], False)


@pytest.mark.parametrize("data", [None, 5, "?", "YWJ", "YW-_"])
def test_a_record_that_is_no_base64_keeps_its_place(data: object) -> None:
    found, _ = rpc.retrieved({"messages": [{"hash": HASH, "data": data}]})
    assert found == [rpc.Stored(HASH, b"")]


@pytest.mark.parametrize("hash", [None, "", "x" * 44, "x" * 42, "é" * 43, "?" * 43, 7])
def test_a_hash_that_nodes_would_refuse_is_never_a_cursor(hash: object) -> None:
    assert not rpc.is_hash(hash)
    with pytest.raises(NodeError, match="names a record"):
        rpc.retrieved({"messages": [{"hash": hash, "data": "YWJj"}]})


def signed(hash: str = HASH, keys: Identity = NODE_KEYS, **more: object) -> dict[str, Any]:
    signature = b64encode(keys.sign(hash.encode())).decode()
    return {"hash": HASH, "signature": signature, "expiry": 1, **more}


def test_a_record_is_stored_when_a_node_signs_for_it() -> None:
    assert rpc.confirmed({"hash": HASH, "swarm": {NODE.ed25519: signed()}}, [NODE]) == HASH


@pytest.mark.parametrize(
    "entry",
    [
        {"failed": True, "timeout": True},
        signed(failed=True),
        signed(hash="another"),
        signed(keys=Identity(b"x" * 16)),
        signed(signature="?"),
        signed(signature=None),
        {"hash": HASH},
        "stored",
    ],
)
def test_a_200_without_a_signature_for_the_record_proves_nothing(entry: object) -> None:
    with pytest.raises(NodeError, match="no node of the swarm signs"):
        rpc.confirmed({"hash": HASH, "swarm": {NODE.ed25519: entry}}, [NODE])


def test_a_node_that_nobody_knows_cannot_sign_for_a_record() -> None:
    with pytest.raises(NodeError, match="no node of the swarm signs"):
        rpc.confirmed({"hash": HASH, "swarm": {NODE.ed25519: signed()}}, [])


def test_nodes_are_read_as_seeds_and_swarms_write_them() -> None:
    seed = {"public_ip": "93.184.216.34", "storage_port": 22021, "pubkey_ed25519": "A" * 64}
    node = rpc.Node("a" * 64, "93.184.216.34", 22021)
    assert rpc.nodes([ENTRY, seed]) == (node,)
    assert node.url == "https://93.184.216.34:22021/storage_rpc/v1"


@pytest.mark.parametrize(
    "wrong",
    [
        {"ip": "0.0.0.0"},
        {"ip": "127.0.0.1"},
        {"ip": "10.0.0.1"},
        {"ip": "169.254.169.254"},
        {"ip": "example.org"},
        {"ip": None},
        {"port": 0},
        {"port": "x"},
        {"port": 70_000},
        {"pubkey_ed25519": "a" * 63},
        {"pubkey_ed25519": "g" * 64},
        {"pubkey_ed25519": None},
    ],
)
def test_a_node_that_is_nowhere_or_nobody_is_left_out(wrong: dict[str, object]) -> None:
    assert rpc.nodes([{**ENTRY, **wrong}]) == ()


def test_a_loopback_node_counts_only_in_a_loopback_network() -> None:
    here = {**ENTRY, "ip": "127.0.0.1"}
    assert rpc.nodes([here, ENTRY], local=True) == (rpc.Node("a" * 64, "127.0.0.1", 22021),)
