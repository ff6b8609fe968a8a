"""Where a client first learns which nodes there are.

Three seeds stand for the whole network, so they are pinned: each has one certificate, which came
with this file, and no other is believed. The list of nodes that they give is what everything else
is held against; nodes themselves have certificates that nobody vouches for.
"""

import ssl
from dataclasses import dataclass, field
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

import orjson

from sessionbot_kit.errors import NodeError, SettingsError

FILE_SERVER = "http://filev2.getsession.org"
FILE_SERVER_HOSTS = frozenset({"filev2.getsession.org"})

_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Seed:
    """A seed and the one certificate (PEM) that it may show."""

    url: str
    certificate: str = field(repr=False)

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme != "https" or "BEGIN CERTIFICATE" not in self.certificate:
            raise SettingsError(
                f"the seed {self.url} is not pinned; give it an https address and its certificate"
            )

    @property
    def is_local(self) -> bool:
        return urlsplit(self.url).hostname in _LOCAL

    def context(self) -> ssl.SSLContext:
        """TLS that accepts this certificate and no other."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.certificate)
        return context


def official() -> tuple[Seed, ...]:
    """The three seeds of the network."""
    folder = resources.files(__package__).joinpath("certificates")
    return tuple(
        Seed(f"https://{host}", folder.joinpath(f"{host}.pem").read_text("ascii"))
        for host in (f"seed{number}.getsession.org" for number in (1, 2, 3))
    )


def question() -> dict[str, Any]:
    """What a seed is asked: every node with an address."""
    names = ("public_ip", "storage_port", "pubkey_x25519", "pubkey_ed25519")
    return {
        "jsonrpc": "2.0",
        "id": 0,
        "method": "get_n_service_nodes",
        "params": {"active_only": True, "fields": dict.fromkeys(names, True)},
    }


def states(status: int, body: bytes) -> list[Any]:
    """The nodes in a seed's answer, not yet looked at; NodeError when there are none."""
    try:
        answer = orjson.loads(body)
        found = answer["result"]["service_node_states"]
    except (orjson.JSONDecodeError, TypeError, KeyError) as error:
        raise NodeError(status, f"a seed answers {status} and names no nodes") from error
    if status != 200 or not isinstance(found, list):
        raise NodeError(status, f"a seed answers {status} and names no nodes")
    return found
