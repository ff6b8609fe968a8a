"""What one peer may ask of us: every size, count and deadline, with the product of them capped.

    Limits(message_bytes=8 * MIB, pending=16)

The one rule to remember: `held_bytes` is the cap that counts; the others say no earlier, and with
a better reason.
"""

from dataclasses import dataclass, fields

from sessionbot_kit.errors import UsageError

KIB, MIB = 1024, 1024 * 1024

# However short a fragment is, keeping it takes this much.
LEAST_COST = 512


@dataclass(frozen=True, slots=True)
class Limits:
    """What one peer may ask of us; `held_bytes` caps all its half-received messages together."""

    frame_bytes: int = MIB  # one frame as it arrives, escapes included
    fragment_chars: int = 256 * KIB  # the data of one text fragment
    fragment_bytes: int = 256 * KIB  # the data of one binary fragment
    fragments: int = 2048  # of one text message; a binary one is bounded by its bytes
    message_bytes: int = 64 * MIB
    attachments: int = 64
    values: int = 1_000_000  # in the JSON of a message: "[[],[]]" is small on the wire only
    pending: int = 64  # messages under way at the same time
    held_bytes: int = 96 * MIB
    idle_seconds: float = 30.0
    total_seconds: float = 600.0  # from the first fragment to the last
    remembered: int = 1024  # ids of finished and refused messages
    spool_bytes: int = 8 * MIB  # a larger attachment goes to the buffer factory

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            least = 0 if field.name in ("attachments", "remembered") else 1
            if value < least:
                raise UsageError(f"Limits.{field.name} is {value}; give {least} or more")
        if self.held_bytes < self.message_bytes:
            raise UsageError(
                f"Limits.held_bytes is {self.held_bytes:,}, less than one message of "
                f"{self.message_bytes:,} bytes; raise the first or lower the second"
            )


def held_cost(data: bytes | memoryview) -> int:
    """What it costs to keep the data of one fragment."""
    return max(len(data), LEAST_COST)
