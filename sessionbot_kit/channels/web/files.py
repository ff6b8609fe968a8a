"""Files that people and bots send over the page: on the disk, each under a name of ours.

    note = await files.take("visitor-1", chunks, name="cat.png", mime="image/png")
    note.id, note.size                         # 43 characters that say nothing
    files.path("visitor-1", note.id)           # None in another chat

The one rule to remember: what a person calls a file is shown to people and is never a path.
"""

import asyncio
import hashlib
import os
import re
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from sessionbot_kit.errors import MessageError
from sessionbot_kit.models import Media
from sessionbot_kit.store import Memory, Store

SCOPE: Final = "file"
MAX_FILE_BYTES: Final = 10_000_000
MAX_NAME_CHARS: Final = 200
WRITE_BYTES: Final = 256 * 1024
OWNER: Final = "chat.txt"  # in each folder: whose files these are
UNNOTED_S: Final = 3_600.0  # a file younger than this may still be on its way

_ID: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_MIME: Final = re.compile(r"[a-z0-9][a-z0-9.+-]*/[a-z0-9][a-z0-9.+-]*")


@dataclass(frozen=True, slots=True)
class FileNote:
    """What is known of a file."""

    id: str
    name: str
    mime: str
    size: int
    sha256: str

    def shown(self) -> dict[str, Any]:
        """What a page gets to know."""
        return asdict(self)


class Files:
    """A folder of files, with one folder inside for each chat."""

    def __init__(self, folder: Path, store: Store, *, max_bytes: int = MAX_FILE_BYTES) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._store = store

    async def take(
        self, chat: str, chunks: AsyncIterator[bytes], *, name: str, mime: str
    ) -> FileNote:
        """Write a file down as it comes, at most `max_bytes`; nothing stays of one that failed."""
        id = secrets.token_urlsafe(32)
        path = self._place(chat, id)
        part = path.with_suffix(".part")
        digest, size = hashlib.sha256(), 0
        file = await asyncio.to_thread(_create, part, chat)
        try:
            pieces: list[bytes] = []
            held = 0
            async for chunk in chunks:
                size += len(chunk)
                if size > self.max_bytes:
                    raise MessageError(
                        f"the file has more than {self.max_bytes:,} bytes; send a link, or split it"
                    )
                digest.update(chunk)
                pieces.append(chunk)
                held += len(chunk)
                if held >= WRITE_BYTES:
                    await asyncio.to_thread(file.writelines, pieces)
                    pieces, held = [], 0
            await asyncio.to_thread(_finish, file, pieces, part, path)
        except BaseException:
            file.close()
            part.unlink(missing_ok=True)
            raise
        note = FileNote(id, shown_name(name), known_mime(mime), size, digest.hexdigest())
        await self._store.remember(Memory(SCOPE, chat, id, asdict(note)))
        return note

    async def note(self, chat: str, id: str) -> FileNote | None:
        """What is known of a file of this chat; of another chat's file nothing is."""
        if not _ID.fullmatch(id):
            return None
        found: Any = (await self._store.memories(SCOPE, chat)).get(id)
        return None if found is None else FileNote(**found)

    def path(self, chat: str, id: str) -> Path | None:
        """Where the bytes of a file are, if this chat has it."""
        if not _ID.fullmatch(id):
            return None
        path = self._place(chat, id)
        return path if path.is_file() else None

    async def media(self, chat: str, id: str) -> Media | None:
        """A file as it travels in a message."""
        note, path = await self.note(chat, id), self.path(chat, id)
        if note is None or path is None:
            return None
        data = await asyncio.to_thread(path.read_bytes)
        return Media.from_bytes(data, name=note.name, mime=note.mime)

    async def keep(self, chat: str, media: Media) -> FileNote:
        """Put a file that a bot sends where the page finds it."""

        async def chunks() -> AsyncIterator[bytes]:
            yield await asyncio.to_thread(media.read)

        return await self.take(chat, chunks(), name=media.name, mime=media.mime)

    async def sweep(self) -> int:
        """Remove the files that nobody has a note of, as after an erasure; how many there were."""
        swept = 0
        for folder in await asyncio.to_thread(_folders, self.folder):
            chat = await asyncio.to_thread((folder / OWNER).read_text, "utf-8")
            notes = await self._store.memories(SCOPE, chat)
            swept += await asyncio.to_thread(_sweep, folder, frozenset(notes))
        return swept

    def _place(self, chat: str, id: str) -> Path:
        return self.folder / hashlib.sha256(chat.encode()).hexdigest()[:32] / id


def shown_name(name: str) -> str:
    """A name that can be shown: its last part, without control characters."""
    last = re.split(r"[/\\]", name)[-1]
    kept = "".join(letter for letter in last if letter.isprintable())
    return kept.strip()[:MAX_NAME_CHARS] or "file"


def known_mime(mime: str) -> str:
    """A media type without its parameters, or that of bytes of any kind."""
    plain = mime.partition(";")[0].strip().lower()
    return plain if _MIME.fullmatch(plain) else "application/octet-stream"


def _create(path: Path, chat: str) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (owner := path.parent / OWNER).exists():
        owner.write_text(chat, "utf-8")
    return open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600))


def _finish(file: BinaryIO, pieces: list[bytes], part: Path, path: Path) -> None:
    with file:
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)


def _folders(folder: Path) -> list[Path]:
    return [owner.parent for owner in folder.glob(f"*/{OWNER}")]


def _sweep(folder: Path, noted: frozenset[str]) -> int:
    before = time.time() - UNNOTED_S
    gone = [
        path
        for path in folder.iterdir()
        if path.name not in noted and path.name != OWNER and path.stat().st_mtime < before
    ]
    for path in gone:
        path.unlink(missing_ok=True)
    return len(gone)
