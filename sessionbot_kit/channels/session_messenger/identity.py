"""Who a bot is on the Session network: a seed, two key pairs, and the Session ID.

    bot = Identity.new()
    bot.session_id                  # '05' and 64 hex digits: give it to people
    bot.reveal_phrase()             # 13 words: give them to nobody

The seed makes an Ed25519 key pair that signs; the same keys on Curve25519 open what is sealed for
the bot. One rule to remember: an identity shows its Session ID and nothing else, wherever it is
printed, logged or copied.
"""

import os
from collections.abc import Callable
from typing import NoReturn, SupportsIndex

from nacl import bindings
from nacl.exceptions import CryptoError

from sessionbot_kit.channels.session_messenger import mnemonic
from sessionbot_kit.errors import MessageError, RecordError, SettingsError, UsageError

PREFIX = "05"
ID_CHARS = 66
KEY_BYTES = 32
SIGNATURE_BYTES = 64

_HEX = frozenset("0123456789abcdef")


class Identity:
    """The keys of one account. They are made from the seed once, and never leave."""

    __slots__ = ("_seed", "_sign_key", "_x25519_key", "ed25519", "session_id", "x25519")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != mnemonic.SEED_BYTES:
            raise SettingsError(
                f"a seed has {mnemonic.SEED_BYTES} bytes, not {len(seed)}; use a 16-byte seed"
            )
        self._seed = bytes(seed)
        padded = self._seed.ljust(KEY_BYTES, b"\0")
        self.ed25519: bytes
        self.ed25519, self._sign_key = bindings.crypto_sign_seed_keypair(padded)
        self.x25519: bytes = bindings.crypto_sign_ed25519_pk_to_curve25519(self.ed25519)
        self._x25519_key: bytes = bindings.crypto_sign_ed25519_sk_to_curve25519(self._sign_key)
        self.session_id = PREFIX + self.x25519.hex()

    @classmethod
    def new(cls, random: Callable[[int], bytes] = os.urandom) -> "Identity":
        """Make an identity that nobody had before."""
        return cls(random(mnemonic.SEED_BYTES))

    @classmethod
    def from_phrase(cls, phrase: str) -> "Identity":
        """Make the identity of a recovery phrase again."""
        return cls(mnemonic.decode(phrase))

    def reveal_phrase(self) -> str:
        """The recovery phrase: whoever has it is this bot."""
        return mnemonic.encode(self._seed)

    def sign(self, payload: bytes) -> bytes:
        """Sign with Ed25519; 64 bytes."""
        return bindings.crypto_sign(payload, self._sign_key)[:SIGNATURE_BYTES]

    def unseal(self, sealed: bytes) -> bytes:
        """Open an anonymous box that was made for this identity."""
        try:
            return bindings.crypto_box_seal_open(sealed, self.x25519, self._x25519_key)
        except CryptoError as error:
            raise RecordError(
                f"a sealed box of {len(sealed)} bytes does not open with this identity; "
                "it is damaged or meant for somebody else"
            ) from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identity) and other.session_id == self.session_id

    def __hash__(self) -> int:
        return hash(self.session_id)

    def __repr__(self) -> str:
        return f"Identity{short(self.session_id)}"

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise UsageError(
            f"{self!r} holds keys and is not copied or pickled; pass its recovery phrase file"
        )


def id_of(ed25519: bytes) -> str:
    """The Session ID that belongs to a signing key."""
    try:
        return PREFIX + bindings.crypto_sign_ed25519_pk_to_curve25519(ed25519).hex()
    except CryptoError as error:
        raise RecordError(
            f"{ed25519.hex()[:16]}... is no Ed25519 key; the record was not made by a client"
        ) from error


def is_session_id(text: str) -> bool:
    return len(text) == ID_CHARS and text.startswith(PREFIX) and _HEX.issuperset(text)


def key_of(session_id: str) -> bytes:
    """The X25519 key inside a Session ID."""
    if not is_session_id(session_id):
        raise MessageError(
            f"{session_id[:80]!r} is no Session ID; "
            f"it is {PREFIX} and 64 hex digits, in small letters"
        )
    return bytes.fromhex(session_id[len(PREFIX) :])


def short(session_id: str) -> str:
    """The way the official clients write an unnamed person: (0548...2c69)."""
    return f"({session_id[:4]}...{session_id[-4:]})"


def verify(signature: bytes, payload: bytes, ed25519: bytes) -> bool:
    """Whether this key signed this payload."""
    try:
        bindings.crypto_sign_open(signature + payload, ed25519)
    except CryptoError:
        return False
    return True
