"""How a storage node reads a request, before it does anything: types, ranges, aliases.

Every fault here is an HTTP 400 for the whole call, a batch included: all parts are read before
the first one runs. The sentences are those of the real server.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pybase64

MAX_DATA_BYTES = 76_800
_MAX_DATA_CHARS = MAX_DATA_BYTES * 4 // 3
_EARLIEST_MS = 1_000_000 * 1_000

_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}", re.ASCII)
_HEX = re.compile(r"[0-9a-fA-F]*", re.ASCII)
_WHOLE = re.compile(r"-?[0-9]{1,19}", re.ASCII)


class BadRequest(Exception):
    """The request cannot be read; the sentence is the answer. It never leaves the node."""

    def __init__(self, text: str, *, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Proof:
    """Who signed, when and what."""

    signature: bytes = field(repr=False)
    ed25519: str | None = None
    timestamp: int | None = None


@dataclass(frozen=True, slots=True)
class Store:
    pubkey: str
    namespace: int
    data: bytes = field(repr=False)
    timestamp: int
    expiry: int
    proof: Proof | None = None


@dataclass(frozen=True, slots=True)
class Retrieve:
    pubkey: str
    namespace: int
    last_hash: str
    max_size: int
    max_count: int
    proof: Proof | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    pubkey: str
    messages: tuple[str, ...]
    required: bool
    proof: Proof


@dataclass(frozen=True, slots=True)
class GetSwarm:
    pubkey: str


@dataclass(frozen=True, slots=True)
class Info:
    pass


Call = Store | Retrieve | Delete | GetSwarm | Info


class Reader:
    """Takes fields out of a request, and remembers which it knew."""

    def __init__(self, params: dict[str, Any]) -> None:
        self._params = {name: value for name, value in params.items() if value is not None}
        self.known: set[str] = set()

    def has(self, name: str) -> bool:
        self.known.add(name)
        return name in self._params

    def take(self, name: str, kind: str, fits: Callable[[Any], bool], default: Any = None) -> Any:
        if not self.has(name):
            return default
        if not fits(value := self._params[name]):
            raise BadRequest(f"Invalid value given for '{name}': expected {kind}")
        return value

    def one_of(self, name: str, alias: str) -> str:
        if self.has(name) and self.has(alias):
            raise BadRequest(f"Cannot specify both '{name}' and '{alias}'")
        return alias if self.has(alias) else name

    def text(self, name: str, default: str | None = None) -> str:
        value = self.take(name, "string", lambda value: isinstance(value, str), default)
        if value is None:
            raise BadRequest(f"Required field '{name}' missing")
        return str(value)

    def number(self, name: str) -> int | None:
        value: int | None = self.take(name, "positive integer", lambda v: _is_int(v) and v >= 0)
        return value

    def number_or_text(self, name: str, kind: str = "integer") -> int | None:
        def fits(value: Any) -> bool:
            return _is_int(value) or (isinstance(value, str) and bool(_WHOLE.fullmatch(value)))

        value = self.take(name, kind, fits)
        return None if value is None else int(value)

    def size(self, name: str) -> int:
        return int(self.take(name, "integer", _is_int, 0))

    def namespace(self) -> int:
        value = int(self.take("namespace", "16-bit integer", _is_int, 0))
        if not -32_768 <= value <= 32_767:
            raise BadRequest("Invalid value given for 'namespace': value out of range")
        return value

    def moment(self, name: str) -> int | None:
        value = self.number(name)
        if value is not None and value < _EARLIEST_MS:
            raise BadRequest(f"Invalid {name}: timestamp must be in milliseconds")
        return value

    def pubkey(self, *aliases: str, fault: str = " (33 bytes) long") -> str:
        name = self.one_of("pubkey", *aliases) if aliases else "pubkey"
        value = self.text(name)
        if len(value) != 66 or not _HEX.fullmatch(value):
            raise BadRequest(f"Pubkey must be 66 hex digits{fault}")
        return value.lower()

    def proof(self, pubkey: str, *, required: bool, time: str | None = "timestamp") -> Proof | None:
        key = self._ed25519(pubkey)
        timestamp = self.moment(time) if time else None
        if not self.has("signature"):
            if required:
                raise BadRequest("Required field 'signature' missing")
            return None
        text = self.text("signature")
        if not re.fullmatch(r"[A-Za-z0-9+/]{86}(==)?", text, re.ASCII):
            raise BadRequest("invalid signature: expected base64 encoded Ed25519 signature")
        return Proof(pybase64.b64decode(text[:86] + "=="), key, timestamp)

    def _ed25519(self, pubkey: str) -> str | None:
        if not self.has("pubkey_ed25519"):
            return None
        key = self.text("pubkey_ed25519")
        if len(key) != 64:
            raise BadRequest("Invalid pubkey_ed25519: expected 64 hex char or 32 byte pubkey")
        if not _HEX.fullmatch(key):
            raise BadRequest("invalid pubkey_ed25519: value is not hex")
        if not pubkey.startswith("05"):
            raise BadRequest("pubkey_ed25519 is only permitted for 05[...] pubkeys")
        return key.lower()


def read(method: str, reader: Reader) -> Call | None:
    """The call behind a method and its parameters; None when there is no such method."""
    match method:
        case "store":
            return _store(reader)
        case "retrieve":
            return _retrieve(reader)
        case "delete":
            return _delete(reader)
        case "get_swarm" | "get_snodes_for_pubkey":
            return GetSwarm(reader.pubkey("pubKey", fault="/33 bytes long"))
        case "info":
            return Info()
    return None


def _store(reader: Reader) -> Store:
    pubkey = reader.pubkey("pubKey")
    namespace = reader.namespace()
    timestamp = reader.number_or_text("timestamp")
    if timestamp is None:
        raise BadRequest("Required field 'timestamp' missing")
    reader.one_of("expiry", "ttl")
    expiry, ttl = reader.number("expiry"), reader.number_or_text("ttl", "positive integer")
    if expiry is None and ttl is None:
        raise BadRequest("Required field 'expiry' or 'ttl' missing")
    if ttl is not None and ttl < 0:
        raise BadRequest("Invalid value given for 'ttl': expected positive integer")
    data = reader.text("data")
    if not _is_base64(data):
        raise BadRequest("Invalid 'data' value: not base64 encoded")
    if len(data.rstrip("=")) > _MAX_DATA_CHARS:
        raise BadRequest(f"Message body exceeds maximum allowed length of {MAX_DATA_BYTES} bytes")
    proof = reader.proof(pubkey, required=False, time="sig_timestamp")
    return Store(
        pubkey=pubkey,
        namespace=namespace,
        data=pybase64.b64decode(data + "=" * (-len(data) % 4)),
        timestamp=timestamp,
        expiry=expiry if expiry is not None else timestamp + (ttl or 0),
        proof=proof,
    )


def _retrieve(reader: Reader) -> Retrieve:
    pubkey = reader.pubkey("pubKey")
    says_where = reader.has("namespace")
    namespace = reader.namespace()
    name = reader.one_of("last_hash", "lastHash")
    last_hash = reader.text(name, "")
    if last_hash and (len(last_hash) != 43 or not _is_base64(last_hash + "=")):
        form = "expected base64 (43 chars)" if len(last_hash) != 43 else "not base64"
        raise BadRequest(f"Invalid {name}: {form}")
    signs = any(reader.has(name) for name in ("signature", "timestamp", "pubkey_ed25519"))
    is_open = namespace == -10 or (namespace < 0 and namespace % 20 == 19)
    proof = reader.proof(pubkey, required=signs or (says_where and not is_open))
    if proof is not None and proof.timestamp is None:
        # The real server reads a value that is not there. Better to hear of it here.
        raise BadRequest("Required field 'timestamp' missing")
    return Retrieve(
        pubkey=pubkey,
        namespace=namespace,
        last_hash=last_hash,
        max_size=reader.size("max_size"),
        max_count=max(0, reader.size("max_count")),
        proof=proof,
    )


def _delete(reader: Reader) -> Delete:
    pubkey = reader.pubkey()
    given = reader.take("messages", "string array", _are_texts)
    if given is None:
        raise BadRequest("Required field 'messages' missing")
    messages = [given] if isinstance(given, str) else given
    if not messages:
        raise BadRequest("messages does not contain any message hashes")
    for hash in messages:
        if len(hash) != 43 or not _is_base64(hash + "="):
            raise BadRequest(f"invalid message hash: {hash}")
    required = bool(reader.take("required", "boolean", lambda v: isinstance(v, bool), False))
    proof = reader.proof(pubkey, required=True, time=None)
    assert proof is not None
    return Delete(pubkey, tuple(messages), required, proof)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _are_texts(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list) and all(isinstance(one, str) for one in value)
    )


def _is_base64(text: str) -> bool:
    bare = text.rstrip("=")
    if not _BASE64.fullmatch(text) or len(bare) % 4 == 1:
        return False
    return len(text) == len(bare) or len(text) % 4 == 0
