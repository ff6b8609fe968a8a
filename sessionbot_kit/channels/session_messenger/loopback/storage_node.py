"""One storage node: it reads, checks and refuses the way the real server does.

    node.faults.append(Refuses(503, "Server busy, try again later"))    # the next call
    node.always = Silent()                                              # until it is None

What the storage network can do and this node cannot (deleting by time, changing expiry,
sub-accounts, onion requests) is refused with a 501 that says so.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import orjson
import pybase64
from nacl import bindings

from sessionbot_kit.channels.session_messenger.loopback import rules
from sessionbot_kit.channels.session_messenger.loopback.batch import read_body
from sessionbot_kit.channels.session_messenger.loopback.faults import (
    Codes,
    Fault,
    Forgets,
    HangsUp,
    KeepsNothing,
    Refuses,
    Silent,
    Waits,
)
from sessionbot_kit.channels.session_messenger.loopback.http import Request, Response
from sessionbot_kit.channels.session_messenger.loopback.mailbox import Kept, Mailbox, hash_of
from sessionbot_kit.channels.session_messenger.loopback.parameters import (
    BadRequest,
    Call,
    Delete,
    GetSwarm,
    Info,
    Retrieve,
    Store,
)

RPC_PATH = "/storage_rpc/v1"
HARDFORK = [19, 4]

_BURST = 600.0
_REFILL_PER_S = 300.0


class Surroundings(Protocol):
    """What a node sees of its network."""

    limits_rate: bool

    def now_ms(self) -> int: ...
    def swarm_of(self, pubkey: str) -> "tuple[str, list[StorageNode]]": ...
    def note(self, node: "StorageNode", method: str, code: int, text: str) -> None: ...
    def note_ignored(self, method: str, names: set[str]) -> None: ...


class StorageNode:
    """A node with a key, a mailbox, and a place in the network."""

    def __init__(self, number: int, network: Surroundings) -> None:
        public, self._key = bindings.crypto_sign_seed_keypair(rules.seed_of(number))
        self.ed25519: str = public.hex()
        self.x25519: str = bindings.crypto_sign_ed25519_pk_to_curve25519(public).hex()
        self.mailbox = Mailbox()
        self.faults: deque[Fault] = deque()
        self.always: Fault | None = None
        self.lagging = False  # records from peers wait in `late` until they are let in
        self.late: list[Kept] = []
        self.port = 0
        self.calls: deque[str] = deque(maxlen=10_000)
        self._network = network
        self._tokens, self._filled_at = _BURST, network.now_ms()

    def describe(self) -> dict[str, Any]:
        """The node as `get_swarm` and a 421 write it."""
        return {
            "address": f"{self.ed25519[:52]}.snode",
            "pubkey_legacy": self.ed25519,
            "pubkey_x25519": self.x25519,
            "pubkey_ed25519": self.ed25519,
            "port": str(self.port),
            "port_https": self.port,
            "port_omq": self.port,
            "port_quic": self.port,
            "ip": "127.0.0.1",
        }

    def let_in(self, order: Callable[[list[Kept]], list[Kept]] = list) -> None:
        """Take what peers sent while this node lagged, in an order of its own."""
        late, self.late, self.lagging = order(self.late), [], False
        for record in late:
            self.mailbox.add(record)

    async def answer(self, request: Request) -> Response:
        """One HTTP request."""
        if request.method != "POST" or request.path != RPC_PATH:
            return Response(404, f"{request.method} {request.path} Not Found".encode())
        if "x-loki-long-poll" in request.headers:
            return self._refuse("", 410, "long polling is gone")
        if self._network.limits_rate and not self._within_rate():
            return self._refuse("", 429, "Too Many Requests\n")
        fault = self.faults.popleft() if self.faults else self.always
        match fault:
            case Refuses():
                self.calls.append("refused")
                return fault.response()
            case Silent():
                self.calls.append("silent")
                await asyncio.Event().wait()
        response = self._run(request.body, fault)
        if isinstance(fault, Waits):
            fault.begun.set()
            await fault.until.wait()
        if isinstance(fault, HangsUp):
            return Response(response.status, response.body, response.content_type, fault.after)
        return response

    def _within_rate(self) -> bool:
        now = self._network.now_ms()
        earned = max(0, now - self._filled_at) / 1000 * _REFILL_PER_S
        self._tokens, self._filled_at = min(_BURST, self._tokens + earned), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _run(self, body: bytes, fault: Fault | None) -> Response:
        try:
            asked = read_body(body)
        except BadRequest as refusal:
            return self._refuse("", refusal.status, str(refusal))
        for method, names in asked.ignored.items():
            self._network.note_ignored(method, names)
        results = []
        for name, call in asked.calls:
            self.calls.append(name)
            code, result = self._do(name, call, fault)
            results.append({"code": code, "body": result})
            if asked.stops_early and code // 100 != 2:
                break
        if asked.alone:
            code, result = results[0]["code"], results[0]["body"]
            return _json(code, result) if isinstance(result, dict) else _text(code, str(result))
        return _json(200, {"results": results})

    def _do(self, method: str, call: Call, fault: Fault | None) -> tuple[int, Any]:
        code, result = self._do_it(call, fault)
        if isinstance(fault, Codes):
            return fault.code, fault.body
        if code != 200:
            self._network.note(self, method, code, result if isinstance(result, str) else "")
        return code, result

    def _do_it(self, call: Call, fault: Fault | None) -> tuple[int, Any]:
        now = self._network.now_ms()
        age = {"t": now, "hf": HARDFORK}
        match call:
            case Info():
                return 200, {"version": [2, 8, 0], "timestamp": now, **age}
            case GetSwarm():
                return 200, self._swarm_body(call.pubkey)
        if self not in self._network.swarm_of(call.pubkey)[1]:
            return 421, self._swarm_body(call.pubkey)
        refusal: rules.Refusal | None
        match call:
            case Store():
                if refusal := rules.check_store(call, now):
                    return refusal.code, refusal.text
                return 200, {**self._store(call, fault), **age}
            case Retrieve():
                if refusal := rules.check_retrieve(call, now):
                    return refusal.code, refusal.text
                return 200, {**self._retrieve(call, fault), **age}
            case Delete():
                if refusal := rules.check_delete(call):
                    return refusal.code, refusal.text
                swarm = {node.ed25519: node.delete(call) for node in self._peers(call.pubkey)}
                gone = any(entry["deleted"] for entry in swarm.values())
                return 404 if call.required and not gone else 200, {"swarm": swarm, **age}

    def _store(self, call: Store, fault: Fault | None) -> dict[str, Any]:
        hash = hash_of(call.pubkey, call.namespace, call.data)
        record = Kept(hash, call.pubkey, call.namespace, call.data, call.timestamp, call.expiry)
        swarm: dict[str, dict[str, Any]] = {}
        for node in self._peers(call.pubkey):
            if isinstance(fault, KeepsNothing):
                swarm[node.ed25519] = {"failed": True}
                if fault.timeout and node is not self:
                    swarm[node.ed25519]["timeout"] = True
                continue
            swarm[node.ed25519] = node.keep(record, at_once=node is self)
        if isinstance(fault, KeepsNothing):
            swarm[self.ed25519]["query_failure"] = True
            return {"swarm": swarm}
        swarm[self.ed25519]["t"] = self._network.now_ms()
        return {"hash": hash, "swarm": swarm}

    def keep(self, record: Kept, *, at_once: bool) -> dict[str, Any]:
        """Take a record from a client or from a peer, and sign for it."""
        if self.lagging and not at_once:
            self.late.append(record)
            return {"failed": True, "timeout": True}
        kept, known = self.mailbox.add(record)
        entry = {"hash": kept.hash, "signature": self._sign(kept.hash), "expiry": kept.expiry}
        return {**entry, "already": True} if known else entry

    def delete(self, call: Delete) -> dict[str, Any]:
        """Remove records of one mailbox, and sign for what is gone."""
        gone = self.mailbox.remove(call.pubkey, list(call.messages))
        payload = call.pubkey + "".join(call.messages) + "".join(gone)
        return {"deleted": gone, "signature": self._sign(payload)}

    def _retrieve(self, call: Retrieve, fault: Fault | None) -> dict[str, Any]:
        page, more = self.mailbox.page(
            call.pubkey,
            call.namespace,
            after=call.last_hash,
            max_size=call.max_size,
            max_count=call.max_count,
        )
        if isinstance(fault, Forgets):
            page, more = page[: fault.shown], False
        messages = [
            {
                "hash": kept.hash,
                "timestamp": kept.timestamp,
                "expiration": kept.expiry,
                "data": pybase64.b64encode(kept.data).decode("ascii"),
            }
            for kept in page
        ]
        return {"messages": messages, "more": more}

    def _peers(self, pubkey: str) -> "list[StorageNode]":
        return self._network.swarm_of(pubkey)[1]

    def _swarm_body(self, pubkey: str) -> dict[str, Any]:
        swarm, nodes = self._network.swarm_of(pubkey)
        described = [node.describe() for node in nodes]
        return {"snodes": described, "swarm": swarm, "t": self._network.now_ms(), "hf": HARDFORK}

    def _sign(self, text: str) -> str:
        signature = bindings.crypto_sign(text.encode(), self._key)[:64]
        return pybase64.b64encode(signature).decode("ascii")

    def _refuse(self, method: str, code: int, text: str) -> Response:
        self._network.note(self, method, code, text)
        return _text(code, text)


def _json(status: int, body: dict[str, Any]) -> Response:
    return Response(status, orjson.dumps(body), "application/json")


def _text(status: int, text: str) -> Response:
    return Response(status, text.encode())
