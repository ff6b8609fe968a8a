"""Files to and from the file server, in pieces: a large one is never whole in memory.

    async with FileClient(folder) as files:
        pointer = await files.upload(Media.from_path("photo.jpg"))    # goes into a message
        media = await files.download(pointer)                         # data, or a path above 1 MB

The server is spoken to in the clear and believed in nothing: what we upload is encrypted, and
what we fetch must be, byte for byte, what the sender's signed message describes.
"""

import asyncio
import hashlib
import logging
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Self, TypeVar

import orjson

from sessionbot_kit.channels.session_messenger import pointers
from sessionbot_kit.channels.session_messenger.attachments import (
    IV_BYTES,
    KEY_BYTES,
    Opener,
    Proof,
    Sealer,
    sealed_size,
)
from sessionbot_kit.channels.session_messenger.content import AttachmentPointer
from sessionbot_kit.channels.session_messenger.seeds import FILE_SERVER
from sessionbot_kit.channels.session_messenger.web import asking, open_web
from sessionbot_kit.errors import ChannelError, MessageError, NodeError, RecordError
from sessionbot_kit.models import Media

T = TypeVar("T")

log = logging.getLogger(__name__)

IN_MEMORY_BYTES = 1_000_000
MAX_DOWNLOAD_BYTES = 11_000_000  # clients differ in how they pad the largest files
PIECE_BYTES = 64 * 1024


class FileClient:
    """One for each bot. Large files that it downloads lie in `folder`, named by their content."""

    def __init__(
        self,
        folder: Path,
        *,
        url: str = FILE_SERVER,
        proxy: str | None = None,
        timeout_s: float = 60.0,
        tries: int = 3,
        pause_s: float = 1.0,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._folder = folder
        self._url = url.rstrip("/")
        self._proxy = proxy
        self._timeout_s = timeout_s
        self._tries = tries
        self._pause_s = pause_s
        self._random = random

    async def __aenter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._web = open_web(verify=True, proxy=self._proxy, timeout_s=self._timeout_s)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._web.aclose()

    async def upload(self, media: Media) -> AttachmentPointer:
        """Encrypt a file and leave it on the server; MessageError when it never will be taken."""
        size = await asyncio.to_thread(_size_of, media)
        key, iv = self._random(KEY_BYTES), self._random(IV_BYTES)
        id, digest = await self._again(lambda: self._send(media, Sealer(key, iv, size), size))
        return AttachmentPointer(
            id=int(id) if id.isdecimal() else 0,
            content_type=media.mime,
            key=key,
            size=size,
            digest=digest,
            file_name=media.name or None,
            caption=media.caption or None,
            url=f"{self._url}/file/{id}",
        )

    async def download(self, pointer: AttachmentPointer) -> Media:
        """Fetch a file and check it; RecordError when it is not what its sender described."""
        key, digest, size = pointers.check(pointer)
        id = pointers.file_id(pointer, self._url)
        return await self._again(lambda: self._fetch(id, pointer, key, digest, size))

    def prune(self, older_than_s: float) -> None:
        """Delete downloads that nobody took over in all that time."""
        for file in self._folder.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - file.stat().st_mtime > older_than_s:
                    file.unlink()

    async def _send(self, media: Media, sealer: Sealer, size: int) -> tuple[str, bytes]:
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(sealed_size(size)),
        }
        pieces = _sealed(media, sealer)
        async with asking(
            self._web,
            "POST",
            f"{self._url}/file",
            timeout_s=self._timeout_s,
            headers=headers,
            content=pieces,
        ) as response:
            if response.status_code == 413:
                raise MessageError(
                    f"the file server takes no {sealed_size(size):,} bytes at once; "
                    f"make {media.name or 'the file'} smaller, or send a link"
                )
            body = bytearray()
            async for piece in response.aiter_raw():
                body += piece[: PIECE_BYTES - len(body)]
        return pointers.uploaded_id(response.status_code, _document(body)), sealer.digest

    async def _fetch(
        self, id: str, pointer: AttachmentPointer, key: bytes, digest: bytes, size: int
    ) -> Media:
        proof, total = Proof(key, digest), 0
        with tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES, dir=str(self._folder)) as spool:
            async with asking(
                self._web, "GET", f"{self._url}/file/{id}", timeout_s=self._timeout_s
            ) as response:
                if response.status_code == 404:
                    raise RecordError("a file is not on the server any more; ask for it again")
                if response.status_code != 200:
                    raise NodeError(
                        response.status_code, f"the file server answers {response.status_code}"
                    )
                async for piece in response.aiter_raw(PIECE_BYTES):
                    total += len(piece)
                    if total > MAX_DOWNLOAD_BYTES:
                        raise RecordError(
                            f"a file has more than {MAX_DOWNLOAD_BYTES:,} bytes on the server; "
                            "it is not the one that was sent"
                        )
                    proof.feed(piece)
                    spool.write(piece)
            proof.check()
            spool.seek(0)
            if size > IN_MEMORY_BYTES:
                path, sha256 = await asyncio.to_thread(
                    _open_to_disk, spool, Opener(key, size), self._folder
                )
                return pointers.media(pointer, size, sha256, path=path)
            opener = Opener(key, size)
            data = opener.feed(spool.read())
            opener.finish()
            return pointers.media(pointer, size, hashlib.sha256(data).hexdigest(), data=data)

    async def _again(self, once: Callable[[], Awaitable[T]]) -> T:
        for attempt in range(1, self._tries + 1):
            try:
                return await once()
            except NodeError as error:
                log.debug("file server failed", extra={"error": str(error)})
                if attempt == self._tries:
                    raise ChannelError(f"{error}. Try again later") from error
            await asyncio.sleep(self._pause_s * 2 ** (attempt - 1))
        raise AssertionError("a client without any tries")


def _size_of(media: Media) -> int:
    if media.data is not None:
        return len(media.data)
    if media.path is None:
        raise MessageError(
            f"the bytes of {media.name or 'this file'} are not here; fetch them first"
        )
    try:
        return media.path.stat().st_size
    except OSError as error:
        raise MessageError(f"{media.path} cannot be read: {error}; is it still there?") from error


async def _sealed(media: Media, sealer: Sealer) -> AsyncIterator[bytes]:
    if media.data is not None:
        for start in range(0, len(media.data), PIECE_BYTES):
            yield sealer.feed(media.data[start : start + PIECE_BYTES])
    else:
        assert media.path is not None
        with await asyncio.to_thread(media.path.open, "rb") as file:
            while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
                yield sealer.feed(piece)
    yield sealer.finish()


def _open_to_disk(spool: IO[bytes], opener: Opener, folder: Path) -> tuple[Path, str]:
    digest = hashlib.sha256()
    number, name = tempfile.mkstemp(dir=folder, suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            while piece := spool.read(PIECE_BYTES):
                plain = opener.feed(piece)
                digest.update(plain)
                file.write(plain)
            opener.finish()
        return part.replace(folder / digest.hexdigest()), digest.hexdigest()
    finally:
        part.unlink(missing_ok=True)


def _document(body: bytearray) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
