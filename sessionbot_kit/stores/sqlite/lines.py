"""Lines of conversations, on their way to the table and back.

What comes in is checked here, in the loop, so that a line that cannot be kept is refused to the
one who brought it. What comes out was checked when it came in, and is trusted.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple, get_args

import orjson
from pydantic import BaseModel, JsonValue, TypeAdapter

from sessionbot_kit.errors import MessageError
from sessionbot_kit.models import Media, Role, StoredMessage, mend_text
from sessionbot_kit.store import NewMessage
from sessionbot_kit.stores.sqlite.rows import to_json, to_moment, to_text

MEDIA = TypeAdapter(tuple[Media, ...])
COLUMNS = "seq, role, content, tokens, timestamp, media, metadata"


# `__init__` would check again what is known to be right, and keep a set of names a message.
_ROLES: dict[str, Role] = {role: role for role in get_args(Role)}  # one text for all lines
_FIELDS_SET = set(StoredMessage.model_fields)
_new = object.__new__
_put_fields, _put_fields_set, _put_extra, _put_private = (
    BaseModel.__dict__[slot].__set__
    for slot in (
        "__dict__",
        "__pydantic_fields_set__",
        "__pydantic_extra__",
        "__pydantic_private__",
    )
)


class Line(NamedTuple):
    """A new line of a conversation, checked and written out for its row."""

    role: Role
    content: str
    tokens: int
    moment: datetime
    timestamp: str
    media: tuple[Media, ...]
    media_json: str | None
    metadata: dict[str, JsonValue]
    metadata_json: str | None


def to_line(message: NewMessage) -> Line:
    """Check a new line of a conversation, and make it ready for its row."""
    if message.role not in _ROLES:
        raise MessageError(
            f"{message.role!r} is no role; a line is from {', '.join(sorted(_ROLES))}"
        )
    return Line(
        message.role,
        mend_text(message.content),
        message.tokens,
        message.timestamp,
        to_text(message.timestamp),
        message.media,
        MEDIA.dump_json(message.media, exclude_none=True).decode() if message.media else None,
        dict(message.metadata),
        to_json(dict(message.metadata), "the metadata") if message.metadata else None,
    )


def stored_message(
    session_id: str,
    seq: int,
    role: str,
    content: str,
    tokens: int,
    timestamp: datetime,
    media: tuple[Media, ...],
    metadata: dict[str, JsonValue],
) -> StoredMessage:
    """Make a StoredMessage of values that are known to be right."""
    message: StoredMessage = _new(StoredMessage)
    fields = {
        "session_id": session_id,
        "seq": seq,
        "role": role,
        "content": content,
        "tokens": tokens,
        "timestamp": timestamp,
        "media": media,
        "metadata": metadata,
    }
    _put_fields(message, fields)
    _put_fields_set(message, _FIELDS_SET)
    _put_extra(message, None)
    _put_private(message, None)
    return message


def stored_line(session_id: str, seq: int, line: Line) -> StoredMessage:
    """The line as it was stored."""
    return stored_message(
        session_id,
        seq,
        line.role,
        line.content,
        line.tokens,
        line.moment,
        line.media,
        line.metadata,
    )


def stored_messages(session_id: str, rows: Iterable[tuple[Any, ...]]) -> list[StoredMessage]:
    """Read rows of MESSAGE_COLUMNS."""
    return [
        stored_message(
            session_id,
            seq,
            _ROLES[role],
            content,
            tokens,
            to_moment(timestamp),
            MEDIA.validate_json(media) if media else (),
            orjson.loads(metadata) if metadata else {},
        )
        for seq, role, content, tokens, timestamp, media, metadata in rows
    ]
