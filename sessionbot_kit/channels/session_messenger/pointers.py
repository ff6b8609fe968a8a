"""What a message says about a file, and which of it may be acted on. No I/O.

A pointer comes from a stranger. One rule to remember: its address is never followed; only the
file number in it is used, on our own server.
"""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sessionbot_kit.channels.session_messenger.attachments import (
    DIGEST_BYTES,
    KEY_BYTES,
    MAX_FILE_BYTES,
)
from sessionbot_kit.channels.session_messenger.content import AttachmentPointer
from sessionbot_kit.channels.session_messenger.seeds import FILE_SERVER_HOSTS
from sessionbot_kit.errors import NodeError, RecordError
from sessionbot_kit.models import Media

MAX_NAME_CHARS = 200

_FILE_ID = r"[A-Za-z0-9_-]{1,64}"
_FILE_PATH = re.compile(rf"/file/({_FILE_ID})", re.ASCII)
_MIME = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,100}", re.ASCII)


def check(pointer: AttachmentPointer) -> tuple[bytes, bytes, int]:
    """Key, digest and size of a file that can be fetched and checked; RecordError otherwise."""
    size, key, digest = pointer.size, pointer.key or b"", pointer.digest or b""
    if size is None or size > MAX_FILE_BYTES:
        raise RecordError(
            f"a file says it has {size} bytes; from 0 to {MAX_FILE_BYTES:,} are fetched"
        )
    if len(key) != KEY_BYTES or len(digest) != DIGEST_BYTES:
        raise RecordError(
            f"a file comes with a key of {len(key)} bytes and a digest of {len(digest)}; "
            f"only {KEY_BYTES} and {DIGEST_BYTES} are understood"
        )
    return key, digest, size


def file_id(pointer: AttachmentPointer, server: str) -> str:
    """The number of a file on our server, if that is where it lies."""
    if not pointer.url:
        return str(pointer.id or 0)
    try:
        there = urlsplit(pointer.url)
        host = there.hostname
    except ValueError:
        there, host = urlsplit(""), None
    match = _FILE_PATH.fullmatch(there.path)
    if not match or host not in FILE_SERVER_HOSTS | {urlsplit(server).hostname}:
        raise RecordError(
            f"a file lies at {pointer.url[:80]!r}; files are fetched from {server} only"
        )
    return match[1]


def uploaded_id(status: int, answer: Any) -> str:
    """The number that the server gave to an upload."""
    id = answer.get("id") if isinstance(answer, dict) else None
    text = str(id) if isinstance(id, int | str) and not isinstance(id, bool) else ""
    if status != 200 or not re.fullmatch(_FILE_ID, text, re.ASCII):
        raise NodeError(status, f"the file server answers {status} and names no file")
    return text


def media(
    pointer: AttachmentPointer,
    size: int,
    sha256: str,
    *,
    data: bytes | None = None,
    path: Path | None = None,
) -> Media:
    """A file as the house knows it, with a name that is only a name."""
    mime = (pointer.content_type or "").partition(";")[0].strip()
    if not _MIME.fullmatch(mime):
        mime = "application/octet-stream"
    first = mime.partition("/")[0]
    return Media(
        kind=first if first in ("image", "audio", "video") else "file",
        mime=mime,
        name=_plain_name(pointer.file_name or ""),
        size=size,
        data=data,
        path=path,
        sha256=sha256,
        caption=pointer.caption or "",
    )


def _plain_name(name: str) -> str:
    last = name.replace("\\", "/").rpartition("/")[2]
    plain = "".join(c for c in last if c.isprintable()).strip(". ")
    return plain[-MAX_NAME_CHARS:]
