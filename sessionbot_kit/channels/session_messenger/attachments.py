"""Files, encrypted for the file server and back, in pieces as small as you like.

    sealer = Sealer(key, iv, size=len(photo))
    upload = sealer.feed(photo) + sealer.finish()      # sealer.digest goes into the pointer

    proof = Proof(key, digest)
    proof.feed(upload)
    proof.check()                                      # raises RecordError: do not open it
    opener = Opener(key, size)
    photo = opener.feed(upload)
    opener.finish()

What lies on the server is `iv || AES-256-CBC || HMAC-SHA256`, padded so that its length tells
little. One rule to remember: **check before you open**; that is why they are two passes.
"""

import hashlib
import hmac
import math

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

from sessionbot_kit.errors import MessageError, RecordError

KEY_BYTES = 64  # 32 for AES, 32 for HMAC
IV_BYTES = 16
DIGEST_BYTES = 32
MAX_FILE_BYTES = 10_000_000

_BLOCK = 16
_MAC_BYTES = 32
_SMALLEST = 541
_STEP = 1.05


def padded_size(size: int) -> int:
    """The length that a file of `size` bytes is padded to: steps of five in a hundred."""
    if size > MAX_FILE_BYTES:
        raise MessageError(
            f"a file has {size:,} bytes; {MAX_FILE_BYTES:,} can be sent. Send a link, or split it"
        )
    if size <= _SMALLEST:
        return _SMALLEST
    stepped = math.floor(_STEP ** math.ceil(math.log(size) / math.log(_STEP)))
    return min(max(stepped, size), MAX_FILE_BYTES)


def sealed_size(size: int) -> int:
    """How many bytes of upload a file of `size` bytes makes."""
    return IV_BYTES + (padded_size(size) // _BLOCK + 1) * _BLOCK + _MAC_BYTES


class Sealer:
    """Turns a file into what the server may see."""

    def __init__(self, key: bytes, iv: bytes, size: int) -> None:
        _check_key(key)
        self._left = size
        self._zeros = padded_size(size) - size
        self._fill = _BLOCK - padded_size(size) % _BLOCK
        self._cipher = Cipher(algorithms.AES(key[:32]), modes.CBC(iv)).encryptor()
        self._mac = hmac.new(key[32:], iv, hashlib.sha256)
        self._digest = hashlib.sha256(iv)
        self._head = iv

    def feed(self, data: bytes) -> bytes:
        """Take the next piece of the file, and give the next piece of the upload."""
        self._left -= len(data)
        if self._left < 0:
            raise MessageError(
                f"the file is {-self._left:,} bytes longer than announced; read it again"
            )
        return self._out(self._cipher.update(data))

    def finish(self) -> bytes:
        """The end of the upload; `digest` is known from now on."""
        if self._left:
            raise MessageError(
                f"the file is {self._left:,} bytes shorter than announced; read it again"
            )
        tail = bytes(self._zeros) + bytes((self._fill,)) * self._fill
        out = self._out(self._cipher.update(tail) + self._cipher.finalize())
        mac = self._mac.digest()
        self._digest.update(mac)
        return out + mac

    @property
    def digest(self) -> bytes:
        return self._digest.digest()

    def _out(self, data: bytes) -> bytes:
        self._mac.update(data)
        self._digest.update(data)
        out, self._head = self._head + data, b""
        return out


class Proof:
    """Whether an upload is the one that the sender described."""

    def __init__(self, key: bytes, digest: bytes) -> None:
        _check_key(key)
        if len(digest) != DIGEST_BYTES:
            raise RecordError(
                f"a file comes with a digest of {len(digest)} bytes; without one of "
                f"{DIGEST_BYTES} it is not fetched"
            )
        self._wanted = digest
        self._mac = hmac.new(key[32:], digestmod=hashlib.sha256)
        self._digest = hashlib.sha256()
        self._tail = b""

    def feed(self, data: bytes) -> None:
        self._digest.update(data)
        held = self._tail + data
        self._mac.update(held[:-_MAC_BYTES])
        self._tail = held[-_MAC_BYTES:]

    def check(self) -> None:
        """Raise RecordError unless every byte is as it was sent."""
        same = hmac.compare_digest(self._digest.digest(), self._wanted)
        if not (same and hmac.compare_digest(self._mac.digest(), self._tail)):
            raise RecordError(
                "a file is not the one that was sent: its digest differs; it is not opened"
            )


class Opener:
    """Turns a checked upload back into the file."""

    def __init__(self, key: bytes, size: int) -> None:
        _check_key(key)
        self._key = key[:32]
        self._left = size
        self._held = b""
        self._cipher: CipherContext | None = None

    def feed(self, data: bytes) -> bytes:
        """Take the next piece of the upload, and give the next piece of the file."""
        held = self._held + data
        if self._cipher is None:
            if len(held) < IV_BYTES:
                self._held = held
                return b""
            self._cipher = Cipher(algorithms.AES(self._key), modes.CBC(held[:IV_BYTES])).decryptor()
            held = held[IV_BYTES:]
        self._held = held[-_MAC_BYTES:]
        plain = self._cipher.update(held[:-_MAC_BYTES])[: self._left]
        self._left -= len(plain)
        return plain

    def finish(self) -> None:
        """Raise RecordError unless the file came out whole."""
        try:
            if self._cipher is None or len(self._held) < _MAC_BYTES:
                raise ValueError("it is too short")
            self._cipher.finalize()
        except ValueError as error:
            raise RecordError(f"a file cannot be opened: {error}; ask for it again") from error
        if self._left:
            raise RecordError(
                f"a file is {self._left:,} bytes shorter than its sender says; it is refused"
            )


def _check_key(key: bytes) -> None:
    if len(key) != KEY_BYTES:
        raise RecordError(
            f"a file comes with a key of {len(key)} bytes; only keys of {KEY_BYTES} are understood"
        )
