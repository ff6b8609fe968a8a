"""How models become rows and rows become models, in one place for every path."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, get_args

import orjson
from pydantic import JsonValue, TypeAdapter

from sessionbot_kit.errors import MessageError
from sessionbot_kit.models import (
    IncomingMessage,
    Media,
    OutgoingMessage,
    Role,
    Session,
    SessionKey,
    StoredMessage,
    Totals,
    mend_text,
)
from sessionbot_kit.store import InboxRow, NewMessage, OutboxRow

ROLES = frozenset(get_args(Role))
MEDIA = TypeAdapter(tuple[Media, ...])

Line = tuple[str, str, int, datetime, str, str | None, str | None, tuple[Media, ...], Any]

SESSION_COLUMNS = """
s.id, s.seq, s.bot, s.interface, s.chat, s.user, s.identity, s.state, s.created_at,
s.last_activity, s.expires_at, s.cleared_seq, s.cleared_tokens, v.variables, v.context,
(SELECT seq FROM messages WHERE session_id = s.id ORDER BY seq DESC LIMIT 1),
(SELECT cum_tokens FROM messages WHERE session_id = s.id ORDER BY seq DESC LIMIT 1)
"""
MESSAGE_COLUMNS = "session_id, seq, role, content, tokens, timestamp, media, metadata"
INBOX_COLUMNS = "id, session_id, message, attempts, kind"
OUTBOX_COLUMNS = "id, session_id, message, attempts, error"


def to_text(moment: datetime) -> str:
    """Write a moment so that SQLite's own date functions read it."""
    if moment.tzinfo is not UTC:
        if moment.tzinfo is None:
            raise MessageError(f"{moment.isoformat()} has no time zone; write datetime.now(UTC)")
        moment = moment.astimezone(UTC)
    return moment.isoformat(" ", "microseconds")[:26]


def to_moment(text: str) -> datetime:
    return datetime.fromisoformat(text + "+00:00")


def to_json(value: Any, what: str) -> str:
    """Write a value that JSON can carry without a loss; refuse any other with a sentence."""
    try:
        data = orjson.dumps(value)
        if b"null" in data:
            json.dumps(value, allow_nan=False)  # orjson writes null for what is not a number
    except (TypeError, ValueError) as error:
        raise MessageError(f"{what} cannot be kept as JSON: {error}; keep it as text") from error
    return data.decode()


def to_line(message: NewMessage) -> Line:
    """Check a new line of a conversation, and make it ready for its row."""
    if message.role not in ROLES:
        raise MessageError(
            f"{message.role!r} is no role; a line is from {', '.join(sorted(ROLES))}"
        )
    media = MEDIA.dump_json(message.media, exclude_none=True).decode() if message.media else None
    metadata = dict(message.metadata)
    return (
        message.role,
        mend_text(message.content),
        message.tokens,
        message.timestamp,
        to_text(message.timestamp),
        media,
        to_json(metadata, "the metadata") if metadata else None,
        message.media,
        metadata,
    )


def to_stored(session_id: str, seq: int, line: Line) -> StoredMessage:
    role, content, tokens, timestamp, _, _, _, media, metadata = line
    return StoredMessage(
        session_id=session_id,
        seq=seq,
        role=role,
        content=content,
        tokens=tokens,
        timestamp=timestamp,
        media=media,
        metadata=metadata,
    )


def stored_messages(rows: Iterable[tuple[Any, ...]]) -> list[StoredMessage]:
    """Read rows of MESSAGE_COLUMNS."""
    return [
        StoredMessage(
            session_id=session_id,
            seq=seq,
            role=role,
            content=content,
            tokens=tokens,
            timestamp=to_moment(timestamp),
            media=MEDIA.validate_json(media) if media else (),
            metadata=orjson.loads(metadata) if metadata else {},
        )
        for session_id, seq, role, content, tokens, timestamp, media, metadata in rows
    ]


def session_of(row: tuple[Any, ...]) -> Session:
    """Read a row of SESSION_COLUMNS."""
    (sid, seq, bot, interface, chat, user, identity, state, created_at, last_activity) = row[:10]
    expires_at, cleared_seq, cleared_tokens, variables, context, last_seq, cum_tokens = row[10:]
    totals = Totals()
    if last_seq is not None:
        totals = Totals(messages=last_seq - cleared_seq, tokens=cum_tokens - cleared_tokens)
    return Session(
        id=sid,
        seq=seq,
        key=SessionKey(bot, interface, chat, user),
        identity=identity,
        state=state,
        variables=orjson.loads(variables) if variables else {},
        context=orjson.loads(context) if context else {},
        totals=totals,
        created_at=to_moment(created_at),
        last_activity=to_moment(last_activity),
        expires_at=to_moment(expires_at) if expires_at else None,
    )


def inbox_row(row: tuple[Any, ...]) -> InboxRow:
    """Read a row of INBOX_COLUMNS."""
    id_, session_id, message, attempts, kind = row
    return InboxRow(id_, session_id, IncomingMessage.model_validate_json(message), attempts, kind)


def outbox_row(row: tuple[Any, ...]) -> OutboxRow:
    """Read a row of OUTBOX_COLUMNS."""
    id_, session_id, message, attempts, error = row
    return OutboxRow(id_, session_id, OutgoingMessage.model_validate_json(message), attempts, error)


def variables_text(variables: Mapping[str, JsonValue]) -> str:
    return to_json(dict(variables), "the variables")
