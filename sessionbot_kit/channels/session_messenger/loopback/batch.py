"""The body of a call to a storage node: one method, or a batch of them.

Everything is read before anything runs: one part that cannot be read refuses the whole.
"""

from dataclasses import dataclass, field
from typing import Any

import orjson

from sessionbot_kit.channels.session_messenger.loopback.parameters import (
    BadRequest,
    Call,
    Reader,
    read,
)

MAX_CALLS = 20

_META = ("batch", "sequence", "ifelse")
_UNBUILT = (
    "delete_all",
    "delete_before",
    "expire",
    "expire_all",
    "get_expiries",
    "ifelse",
    "oxend_request",
    "revoke_subaccount",
    "unrevoke_subaccount",
)


@dataclass
class Asked:
    """What a client asks for, read and found to be well formed."""

    calls: list[tuple[str, Call]] = field(default_factory=list)
    alone: bool = False  # one call without a batch around it: its code is the HTTP status
    stops_early: bool = False
    ignored: dict[str, set[str]] = field(default_factory=dict)

    def add(self, method: str, params: dict[str, Any], unknown: str) -> None:
        reader = Reader(params)
        try:
            call = read(method, reader)
        except BadRequest as fault:
            raise BadRequest(f"invalid request: {fault}") from None
        if call is None:
            if method in _UNBUILT:
                raise BadRequest(f"the loopback network has no {method}", status=501)
            raise BadRequest(unknown)
        self.ignored.setdefault(method, set()).update(set(params) - reader.known)
        self.calls.append((method, call))


def read_body(body: bytes) -> Asked:
    """Read a whole call; BadRequest carries the sentence of the real server."""
    method, params = _method_of(body)
    asked = Asked(alone=method not in ("batch", "sequence"), stops_early=method == "sequence")
    if asked.alone:
        asked.add(method, params, f"no method {method}")
        return asked
    requests = params.get("requests")
    if not isinstance(requests, list) or not requests:
        raise _bad('batch request: no valid "requests" field')
    if len(requests) > MAX_CALLS:
        raise _bad("batch request: subrequest limit exceeded")
    for one in requests:
        if not isinstance(one, dict):
            raise _bad("batch request: requests must be objects")
        name, inner = one.get("method"), one.get("params")
        if not isinstance(name, str) or not isinstance(inner, dict):
            raise _bad("batch request: subrequests must have method/params keys")
        if name in _META:
            raise _bad("batch subrequest: subrequests may not contain meta-requests")
        asked.add(name, inner, str(_bad(f'batch subrequest: invalid method "{name}"')))
    return asked


def _bad(what: str) -> BadRequest:
    return BadRequest(f"invalid request: Invalid {what}")


def _method_of(body: bytes) -> tuple[str, dict[str, Any]]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequest("invalid json") from None
    if not isinstance(document, dict) or not isinstance(document.get("method"), str):
        raise BadRequest("invalid json: no `method` field")
    if not isinstance(document.get("params"), dict):
        raise BadRequest("invalid json: no `params` field")
    return document["method"], document["params"]
