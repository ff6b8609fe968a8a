"""The original peers, the broker in TypeScript and the plugin manager in Python, as they speak.

    reader = original_reassembler()                          # all that they send is read
    frames = original_chunker().split(message, message_id)   # and no more is written than they read

Both use the text codec without a hello. The broker cuts its text by UTF-16 units, through
surrogate pairs; the manager encodes its answers twice, adds `frombobot`, leaves `to` out, and
gives one id to many messages. What comes out here has the four keys, names that are plain labels,
and no half of a surrogate pair. The one rule to remember: towards them, never mix the frames of
two messages.
"""

import json
import re
from typing import Any

from pydantic_core import from_json

from sessionbot_kit.chunker import Chunker
from sessionbot_kit.full_message import (
    MAX_MIME_CHARS,
    MAX_NAME_CHARS,
    MIME,
    UNSAFE_IN_NAMES,
    Document,
    Shape,
    attachments_of,
    check_content,
    check_label,
    check_values,
)
from sessionbot_kit.limits import KIB, MIB, Limits
from sessionbot_kit.models import mend_text
from sessionbot_kit.reassembler import Reassembler

# Slices of a million characters, that escapes may double; an id says nothing when it comes again.
READ_LIMITS = Limits(frame_bytes=4 * MIB, fragment_chars=1_000_000, remembered=0)

# What the manager reads: a thousand slices of 256 Ki characters, in frames below 1 MiB.
WRITE_LIMITS = Limits(fragments=1000)
SLICE_BYTES = 256 * KIB


def original_chunker() -> Chunker:
    """A chunker whose frames both original peers accept."""
    return Chunker(SLICE_BYTES, shape=ORIGINAL_MESSAGE, limits=WRITE_LIMITS)


def original_reassembler(*, raw: bool = False) -> Reassembler:
    """A reassembler for what either original peer sends."""
    return Reassembler(READ_LIMITS, shape=ORIGINAL_MESSAGE, raw=raw)


def _parse(text: bytes, limits: Limits) -> Any:
    found = _parse_mending(text, limits)
    return _parse_mending(found.encode(), limits) if isinstance(found, str) else found


def _parse_mending(text: bytes, limits: Limits) -> Any:
    check_values(text, limits)
    try:
        return from_json(text, allow_inf_nan=False, cache_strings=False)
    except ValueError:
        # A person's text may hold half a pair, as an escape: only `json` reads that.
        if not _HALF_PAIR.search(text):
            raise
    try:
        return _mended(json.loads(text))
    except RecursionError as error:
        raise ValueError("its JSON is nested too deeply") from error


_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return mend_text(value)
    if isinstance(value, list):
        return [_mended(each) for each in value]
    if isinstance(value, dict):
        return {mend_text(key): _mended(each) for key, each in value.items()}
    return value


def _check(document: Any) -> Document:
    attachments = [_attachment(each) for each in attachments_of(document)]
    texts = {key: document.get(key, "" if key == "to" else None) for key in ("to", "from", "text")}
    for key, text in texts.items():
        if not isinstance(text, str):
            raise ValueError(f"{key}: is not a text; the original peers send to, from and text")
    return {**texts, "attachments": attachments}


def _attachment(found: Document) -> Document:
    name, mime, content = (found.get(key) for key in ("name", "type", "content"))
    if content is None:
        raise ValueError("an attachment has no content; send base64 text")
    return {
        "name": _safe_name(name) if isinstance(name, str) else "",
        "type": mime if _is_mime(mime) else "application/octet-stream",
        "content": check_content(content),
    }


def _safe_name(name: str) -> str:
    # The broker passes on what the sender of the file wrote: a wrong name must not cost the file.
    label = UNSAFE_IN_NAMES.sub("", re.split(r"[/\\]", name)[-1])[:MAX_NAME_CHARS]
    try:
        return check_label(label)
    except ValueError:
        return ""


def _is_mime(found: object) -> bool:
    return isinstance(found, str) and len(found) <= MAX_MIME_CHARS and bool(_MIME.fullmatch(found))


_MIME = re.compile(MIME)

ORIGINAL_MESSAGE = Shape(_parse, _check)
