"""What a WebSocket link allows and how long it waits: every bound is here, and is a setting."""

from dataclasses import dataclass, field
from pathlib import Path

from sessionbot_kit.chunker import Limits
from sessionbot_kit.control import MIB, Terms
from sessionbot_kit.limits import KIB

BINARY = "sbk.bin.v1"
TEXT = "sbk.json.v1"
SUBPROTOCOLS = (BINARY, TEXT)

DEFAULT_PORT = 8089

# What we send in one frame: 128 KiB moves a quarter more bytes a second than 64, and short messages
# wait as long behind it within what can be measured.
STEP_BYTES = 128 * KIB

# Close codes of RFC 6455, section 7.4, and of our own range.
NORMAL = 1000
GOING_AWAY = 1001
BAD_TEXT = 1007
POLICY = 1008
TOO_BIG = 1009
INTERNAL = 1011
TRY_LATER = 1013
REPLACED = 4001
REFUSED = 4003
VIOLATIONS = (1002, 1003, BAD_TEXT, POLICY, TOO_BIG)
FINAL_CODES = (REPLACED, REFUSED)


@dataclass(frozen=True, slots=True)
class Rules:
    """Bounds and deadlines of one end of a link."""

    limits: Limits = field(default_factory=lambda: Limits(total_seconds=3_600.0))
    spool_folder: Path | None = None  # for large attachments that arrive; None: memory
    window_bytes: int = 512 * KIB  # how much a peer may send before it is read
    outbox_messages: int = 1_024
    outbox_bytes: int = 96 * MIB
    open_timeout_s: float = 10.0
    greeting_timeout_s: float = 10.0
    send_timeout_s: float = 10.0  # for one frame to leave: beyond that the peer does not read
    close_timeout_s: float = 2.0
    ping_interval_s: float = 20.0
    ping_timeout_s: float = 20.0
    linger_s: float = 30.0  # how long a server keeps a session whose connection broke
    tick_s: float = 1.0
    max_connections: int = 1_000
    max_connections_of_one: int = 100  # under one identity
    pings: int = 100  # control frames in a burst
    pings_per_s: float = 10.0

    @property
    def terms(self) -> Terms:
        """What the peer is told."""
        limits = self.limits
        return Terms(
            self.window_bytes,
            limits.message_bytes,
            min(limits.pending, 1_024),
            limits.held_bytes,
        )


@dataclass(slots=True)
class Bucket:
    """So many at once, and so many a second in the long run."""

    size: float
    per_s: float
    level: float = 0.0
    at: float = 0.0

    def overflows(self, now: float, cost: float = 1.0) -> bool:
        """Put `cost` in; whether it is more than fits."""
        self.level = max(0.0, self.level - (now - self.at) * self.per_s) + cost
        self.at = now
        return self.level > self.size
