"""What is said to a storage node, and how its answer is read. No I/O.

    body = request("retrieve", retrieve(identity, timestamp=now, last_hash=hash))
    answer = read(status, reply)                       # NodeError, or what the method returned
    messages, more = retrieved(answer)

A node answers in three layers: an HTTP status, a code inside the batch, and the method's own
object, which may say on closer inspection that nothing was done. One rule to remember: **nothing
is stored until a node of the swarm has signed for it**; a 200 alone proves nothing.
"""

import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any

import orjson
import pybase64

from sessionbot_kit.channels.session_messenger.identity import Identity, verify
from sessionbot_kit.errors import NodeError

MESSAGES = 0  # the namespace of private messages
HASH_CHARS = 43
LARGEST_ANSWER = -1  # of a retrieve: as much as a node gives, 7,800,000 bytes
WRONG_SWARM = 421
WRONG_CLOCK = 406

_BASE64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


@dataclass(frozen=True, slots=True)
class Node:
    """One storage node: where it is, and the key that it signs with."""

    ed25519: str
    ip: str
    port: int

    @property
    def url(self) -> str:
        return f"https://{self.ip}:{self.port}/storage_rpc/v1"

    def __str__(self) -> str:
        return f"{self.ip}:{self.port}"


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as a swarm keeps it."""

    hash: str
    data: bytes = field(repr=False)


def request(method: str, params: Mapping[str, Any]) -> bytes:
    """The body of a call: a batch of one, which is what every client of the network sends."""
    calls = [{"method": method, "params": params}]
    return orjson.dumps({"jsonrpc": "2.0", "method": "batch", "params": {"requests": calls}})


def retrieve(
    owner: Identity,
    *,
    timestamp: int,
    last_hash: str = "",
    namespace: int = MESSAGES,
    max_size: int = LARGEST_ANSWER,
) -> dict[str, Any]:
    place = str(namespace) if namespace else ""
    return {
        "pubkey": owner.session_id,
        "pubkey_ed25519": owner.ed25519.hex(),
        "namespace": namespace,
        "last_hash": last_hash,
        "max_size": max_size,
        "timestamp": timestamp,
        "signature": _sign(owner, f"retrieve{place}{timestamp}"),
    }


def store(recipient: str, data: bytes, *, timestamp: int, ttl: int) -> dict[str, Any]:
    return {
        "pubkey": recipient,
        "data": pybase64.b64encode(data).decode("ascii"),
        "namespace": MESSAGES,
        "timestamp": timestamp,
        "ttl": ttl,
    }


def delete(owner: Identity, hashes: Iterable[str]) -> dict[str, Any]:
    names = list(hashes)
    return {
        "pubkey": owner.session_id,
        "pubkey_ed25519": owner.ed25519.hex(),
        "messages": names,
        "signature": _sign(owner, "delete" + "".join(names)),
    }


def read(status: int, body: bytes) -> dict[str, Any]:
    """What the method returned, through all layers; NodeError when any of them refuses."""
    if status != 200:
        raise NodeError(status, _said(status, body), body=_object(body))
    answer = _object(body)
    results = answer.get("results") if answer else None
    if not isinstance(results, list) or len(results) != 1 or not isinstance(results[0], dict):
        raise NodeError(0, f"a node answers with {body[:80]!r} and not with one result")
    code, result = results[0].get("code"), results[0].get("body")
    if isinstance(result, str):
        result = _object(result.encode("utf-8", "replace")) or result
    if code != 200:
        number = code if isinstance(code, int) else 0
        raise NodeError(number, _said(code, str(result).encode()), body=result)
    if not isinstance(result, dict):
        raise NodeError(0, f"a node answers with {str(result)[:80]!r} and not with an object")
    return result


def retrieved(answer: Mapping[str, Any]) -> tuple[list[Stored], bool]:
    """The records of a retrieve, oldest first, and whether there are more."""
    found = answer.get("messages")
    if not isinstance(found, list):
        raise NodeError(0, "a node answers a retrieve without messages; another is asked")
    records = []
    for entry in found:
        hash = entry.get("hash") if isinstance(entry, dict) else None
        if not is_hash(hash):
            # To go on from here with a cursor that nodes refuse would make us deaf.
            raise NodeError(0, f"a node names a record {str(hash)[:60]!r}; another is asked")
        records.append(Stored(str(hash), _data(entry.get("data"))))
    return records, answer.get("more") is True and bool(records)


def confirmed(answer: Mapping[str, Any], swarm: Iterable[Node]) -> str:
    """The hash under which a record is stored, if a node of the swarm has signed for it."""
    known = {node.ed25519 for node in swarm}
    entries = answer.get("swarm")
    for key, entry in entries.items() if isinstance(entries, dict) else ():
        if key not in known or not isinstance(entry, dict) or entry.get("failed"):
            continue
        hash = entry.get("hash")
        if is_hash(hash) and _signed(entry.get("signature"), str(hash), key):
            return str(hash)
    raise NodeError(0, "no node of the swarm signs that it has the record; it is sent again")


def nodes(entries: Any, *, local: bool = False) -> tuple[Node, ...]:
    """The usable nodes of a list, as seeds, `get_swarm` and a 421 write it."""
    found = []
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and (node := _node(entry, local)) and node not in found:
            found.append(node)
    return tuple(found)


def is_hash(value: object) -> bool:
    """Whether nodes take this as the name of a record."""
    if not isinstance(value, str) or len(value) != HASH_CHARS or not value.isascii():
        return False
    return _BASE64.issuperset(value.encode())


def _node(entry: dict[str, Any], local: bool) -> Node | None:
    key = entry.get("pubkey_ed25519")
    try:
        address = IPv4Address(entry.get("ip") or entry.get("public_ip"))
        port = int(entry.get("port") or entry.get("storage_port") or 0)
        bytes.fromhex(key if isinstance(key, str) else "?")
    except (TypeError, ValueError):
        return None
    if not 0 < port < 65_536 or len(str(key)) != 64:
        return None
    if not (address.is_loopback if local else address.is_global):
        return None  # nobody sends us into somebody's private network
    return Node(ed25519=str(key).lower(), ip=str(address), port=port)


def _sign(owner: Identity, payload: str) -> str:
    return pybase64.b64encode(owner.sign(payload.encode())).decode("ascii")


def _signed(signature: object, hash: str, key: str) -> bool:
    if not isinstance(signature, str):
        return False
    try:
        raw = pybase64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    return verify(raw, hash.encode(), bytes.fromhex(key))


def _data(value: object) -> bytes:
    # What is no base64 opens for nobody; the record keeps its place, and is refused later.
    try:
        return pybase64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except (binascii.Error, ValueError):
        return b""


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _said(code: object, body: bytes) -> str:
    return f"a node answers {code}: {body[:120].decode('utf-8', 'replace').strip()!r}"
