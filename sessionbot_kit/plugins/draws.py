"""Chance that nobody can foresee, and that can be told again: for tarot, the I Ching and the like.

    seed = await a_seed(chat, words)         # from the system's own source, or `seed=...` of words
    random = random_of(seed)

The seed is drawn once in a dialog, recorded, and shown with the reading, so the same reading can be
laid again. The one rule to remember: what is drawn depends on the seed alone.
"""

import re
import secrets
from collections.abc import Sequence
from random import Random
from typing import Final

from sessionbot_kit.dialog import Chat

SEED_BYTES: Final = 8
_SEED = re.compile(r"seed=([0-9a-f]{1,16})", re.I)


async def a_seed(chat: Chat, words: Sequence[str]) -> str:
    """The seed that somebody gives, or a new one."""
    given = next((found[1] for word in words if (found := _SEED.fullmatch(word))), None)
    return given.lower() if given else str(await chat.once("seed", _new))


def without_seed(words: Sequence[str]) -> list[str]:
    """What somebody asks, without the seed."""
    return [word for word in words if not _SEED.fullmatch(word)]


def random_of(seed: str) -> Random:
    """Chance that falls the same way for the same seed, on every machine."""
    return Random(int(seed, 16))


def _new() -> str:
    return secrets.token_hex(SEED_BYTES)
