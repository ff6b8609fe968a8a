"""Twelve words and one more: how a person writes a Session identity down.

    encode(bytes.fromhex("39038c8988db02c1af44e8c847bd9713"))
    # 'puffin luxury annoyed rustled memoir faxed smidgen puddle kiwi nylon utopia zinger kiwi'

Three words carry four bytes of the seed, and the thirteenth repeats one of the twelve as a
checksum. One rule to remember: **no error here quotes a word**, because whoever reads the phrase
reads every message.
"""

from zlib import crc32

from sessionbot_kit.channels.session_messenger.words import WORDS
from sessionbot_kit.errors import SettingsError

SEED_BYTES = 16
PHRASE_WORDS = 13

_PREFIX = 3
_COUNT = len(WORDS)
_NUMBER = {word: number for number, word in enumerate(WORDS)}
_NUMBER |= {word[:_PREFIX]: number for number, word in enumerate(WORDS)}


def encode(seed: bytes) -> str:
    """Write 16 bytes of seed as 13 words."""
    if len(seed) != SEED_BYTES:
        raise SettingsError(f"a seed has {SEED_BYTES} bytes, not {len(seed)}; use a 16-byte seed")
    words = []
    for start in range(0, SEED_BYTES, 4):
        value = int.from_bytes(seed[start : start + 4], "little")
        first = value % _COUNT
        second = (value // _COUNT + first) % _COUNT
        third = (value // _COUNT // _COUNT + second) % _COUNT
        words += [WORDS[first], WORDS[second], WORDS[third]]
    return " ".join([*words, words[_checksum(words)]])


def decode(phrase: str) -> bytes:
    """Read the seed out of 13 words, in any case; the first three letters of a word will do."""
    words = phrase.lower().split()
    if len(words) != PHRASE_WORDS:
        raise SettingsError(
            f"the recovery phrase has {len(words)} words; write all {PHRASE_WORDS} of them"
        )
    numbers = []
    for place, word in enumerate(words, start=1):
        if word not in _NUMBER:
            raise SettingsError(
                f"word {place} of the recovery phrase is not in the word list; check its spelling"
            )
        numbers.append(_NUMBER[word])
    *body, last = numbers
    if body[_checksum([WORDS[number] for number in body])] != last:
        raise SettingsError(
            "the last word of the recovery phrase does not fit the others; "
            "check the words and their order"
        )
    return b"".join(_four_bytes(*body[start : start + 3]) for start in range(0, len(body), 3))


def _checksum(words: list[str]) -> int:
    return crc32("".join(word[:_PREFIX] for word in words).encode()) % len(words)


def _four_bytes(first: int, second: int, third: int) -> bytes:
    value = first + _COUNT * ((second - first) % _COUNT)
    value += _COUNT * _COUNT * ((third - second) % _COUNT)
    if value >> 32:
        raise SettingsError(
            "the recovery phrase stands for no seed; check the words and their order"
        )
    return value.to_bytes(4, "little")
