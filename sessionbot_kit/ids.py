"""Identifiers that sort by the time they were made (UUID version 7, RFC 9562)."""

import os
import time
from typing import Final

DRAWN_AT_ONCE: Final = 400

_chances: list[bytes] = []


def new_id() -> str:
    """Make an id for something that begins now."""
    try:
        chance = _chances.pop()
    except IndexError:
        # For many ids at once: to ask the system is to let go of the interpreter, and to wait.
        drawn = os.urandom(10 * DRAWN_AT_ONCE)
        _chances.extend(drawn[n : n + 10] for n in range(10, len(drawn), 10))
        chance = drawn[:10]
    return uuid7(time.time_ns() // 1_000_000, chance)


# Two processes must not draw the same.
os.register_at_fork(after_in_child=_chances.clear)


def uuid7(milliseconds: int, random: bytes) -> str:
    """Lay 48 bits of time and 74 bits of chance out as a UUID of version 7."""
    if len(random) != 10:
        raise ValueError(f"uuid7 takes 10 random bytes, not {len(random)}")
    chance = int.from_bytes(random, "big")
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80
    value |= 0x7 << 76 | (chance >> 68) << 64
    value |= 0b10 << 62 | chance & 0x3FFF_FFFF_FFFF_FFFF
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
