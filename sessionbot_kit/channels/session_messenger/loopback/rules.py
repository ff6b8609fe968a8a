"""What a storage node refuses when it runs a call: life time, clock, signature, in this order.

These refusals are codes inside a batch, each for its own call. The sentences and the odd codes
are those of the real server.
"""

import hashlib
from dataclasses import dataclass

from sessionbot_kit.channels.session_messenger.identity import id_of, verify
from sessionbot_kit.channels.session_messenger.loopback.mailbox import is_outbox
from sessionbot_kit.channels.session_messenger.loopback.parameters import (
    Delete,
    Proof,
    Retrieve,
    Store,
)
from sessionbot_kit.errors import RecordError

SHORTEST_MS = 10_000
LONGEST_MS = 14 * 86_400_000
LONGEST_PRIVATE_MS = 30 * 86_400_000
STORE_SLACK_MS = 10_000
SIGNATURE_SLACK_MS = 60_000


@dataclass(frozen=True, slots=True)
class Refusal:
    code: int
    text: str


def check_store(call: Store, now: int) -> Refusal | None:
    is_open = call.namespace % 10 == 0
    longest = LONGEST_MS if is_open else LONGEST_PRIVATE_MS
    if not SHORTEST_MS <= call.expiry - call.timestamp <= longest:
        return Refusal(403, "Provided expiry/TTL is not valid.")
    if call.timestamp > now + STORE_SLACK_MS or call.expiry < now - STORE_SLACK_MS:
        return Refusal(406, "Timestamp error: check your clock")
    if is_open:
        return None
    if (proof := call.proof) is None:
        return Refusal(401, f"store: signature required to store to namespace {call.namespace}")
    signed_at = call.timestamp if proof.timestamp is None else proof.timestamp
    if abs(signed_at - now) > SIGNATURE_SLACK_MS:
        return Refusal(406, "store signature timestamp too far from current time")
    if not genuine(proof, call.pubkey, f"store{call.namespace}{signed_at}"):
        return Refusal(401, "store signature verification failed")
    return None


def check_retrieve(call: Retrieve, now: int) -> Refusal | None:
    if (proof := call.proof) is None:
        if call.namespace == -10 or is_outbox(call.namespace):
            return None
        return Refusal(401, "retrieve: request signature required")
    assert proof.timestamp is not None
    if abs(proof.timestamp - now) > SIGNATURE_SLACK_MS:
        return Refusal(406, "retrieve timestamp too far from current time")
    place = str(call.namespace) if call.namespace else ""
    if not genuine(proof, call.pubkey, f"retrieve{place}{proof.timestamp}"):
        return Refusal(401, "retrieve signature verification failed")
    return None


def check_delete(call: Delete) -> Refusal | None:
    if not genuine(call.proof, call.pubkey, "delete" + "".join(call.messages)):
        return Refusal(401, "delete_msgs signature verification failed")
    return None


def genuine(proof: Proof, pubkey: str, payload: str) -> bool:
    """Whether the owner of a mailbox signed this, with a key that belongs to its name."""
    key = proof.ed25519
    try:
        if key is not None and id_of(bytes.fromhex(key)) != pubkey:
            return False
    except RecordError:
        return False
    return verify(proof.signature, payload.encode(), bytes.fromhex(key or pubkey[2:]))


def place_of(pubkey: str) -> int:
    """Where a mailbox lies on the ring of swarms: the four words of its key, one over the other."""
    key = bytes.fromhex(pubkey[2:])
    place = 0
    for start in range(0, 32, 8):
        place ^= int.from_bytes(key[start : start + 8], "big")
    return place


def nearest(place: int, swarms: list[int]) -> int:
    """The swarm that is nearest on a ring of 2**64; of two, the one before."""

    def distance(swarm: int) -> tuple[int, int]:
        after = (swarm - place) % (1 << 64)
        before = (place - swarm) % (1 << 64)
        return min(after, before), 0 if before <= after else 1

    return min(swarms, key=distance)


def seed_of(number: int) -> bytes:
    """The seed of a node's keys: always the same for the same number, so that tests repeat."""
    return hashlib.blake2b(f"loopback node {number}".encode(), digest_size=32).digest()
