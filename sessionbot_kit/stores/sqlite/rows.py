"""How models become rows and rows become models, in one place for every path.

What comes in is checked here, in the loop, so that a value that cannot be kept is refused to the
one who brought it. What comes out was checked when it came in, and is trusted.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import orjson
from pydantic import JsonValue, ValidationError

from sessionbot_kit.context import Summary
from sessionbot_kit.errors import MessageError, StoreError
from sessionbot_kit.models import (
    IncomingMessage,
    OutgoingMessage,
    Session,
    SessionKey,
    Totals,
)
from sessionbot_kit.store import InboxRow, Memory, OutboxRow, TokenRow

T = TypeVar("T")

LAST_ACTIVITY = """
coalesce((SELECT timestamp FROM messages WHERE session_id = s.id AND seq > s.activity_seq
          ORDER BY seq DESC LIMIT 1), s.last_activity)
"""
SESSION_COLUMNS = f"""
s.id, s.seq, s.bot_id, s.interface, s.chat_id, s.user_id, s.identity, s.state, s.metadata,
s.created_at, {LAST_ACTIVITY}, s.expires_at, v.variables, v.context, v.version,
s.cleared_seq, s.cleared_tokens,
(SELECT seq FROM messages WHERE session_id = s.id ORDER BY seq DESC LIMIT 1),
(SELECT cum_tokens FROM messages WHERE session_id = s.id ORDER BY seq DESC LIMIT 1)
"""
SESSION = f"""
SELECT {SESSION_COLUMNS} FROM sessions s LEFT JOIN session_state v ON v.session_id = s.id
"""
SUMMARY_COLUMNS = "first, last, text, tokens, messages, level, created_at"
INBOX_COLUMNS = "id, session_id, message, attempts, kind"
OUTBOX_COLUMNS = "id, session_id, message, attempts, error"

Note = tuple[str, str, str, str | None]  # scope, owner, name, value


def to_text(moment: datetime) -> str:
    """Write a moment so that SQLite's own date functions read it."""
    if moment.tzinfo is not UTC:
        if moment.tzinfo is None:
            raise MessageError(f"{moment.isoformat()} has no time zone; write datetime.now(UTC)")
        moment = moment.astimezone(UTC)
    return moment.isoformat(" ", "microseconds")[:26]


def to_moment(text: str) -> datetime:
    """Read what `to_text` wrote."""
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


def to_object(mapping: Mapping[str, JsonValue], what: str) -> str:
    """Write a mapping as JSON."""
    return to_json(dict(mapping), what) if mapping else "{}"


def session_of(row: tuple[Any, ...]) -> Session:
    """Read a row of SESSION_COLUMNS."""
    id_, seq, bot, interface, chat, user, identity, state, metadata, *rest = row
    created_at, last_activity, expires_at, variables, context, version, *ends = rest
    cleared_seq, cleared_tokens, last_seq, cum_tokens = ends
    totals = Totals()
    if last_seq is not None:
        totals = Totals(messages=last_seq - cleared_seq, tokens=cum_tokens - cleared_tokens)
    return Session(
        id=id_,
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
        metadata=orjson.loads(metadata),
        version=version or 0,
    )


def summaries_of(rows: Iterable[tuple[Any, ...]]) -> tuple[Summary, ...]:
    """Read rows of SUMMARY_COLUMNS."""
    return tuple(
        Summary(first, last, text, tokens, messages, level, to_moment(created_at))
        for first, last, text, tokens, messages, level, created_at in rows
    )


def summary_values(summary: Summary) -> tuple[Any, ...]:
    """Write a row of SUMMARY_COLUMNS."""
    return (
        summary.first,
        summary.last,
        summary.text,
        summary.tokens,
        summary.messages,
        summary.level,
        to_text(summary.created_at),
    )


def to_memory(memory: Memory) -> Note:
    """Write a row of the table of memories."""
    value = None if memory.value is None else to_json(memory.value, f"the memory {memory.name!r}")
    return memory.scope, memory.owner, memory.name, value


def token_values(token: TokenRow) -> tuple[Any, ...]:
    """Write a row of the table of tokens."""
    return (
        token.hash,
        token.session_id,
        to_text(token.created_at),
        to_text(token.expires_at) if token.expires_at else None,
    )


def token_of(row: tuple[Any, ...]) -> TokenRow:
    """Read a row of the table of tokens."""
    hash_, session_id, created_at, expires_at = row
    return TokenRow(
        hash_,
        session_id,
        to_moment(created_at),
        to_moment(expires_at) if expires_at else None,
    )


def readable(
    rows: Iterable[tuple[Any, ...]], read: Callable[[tuple[Any, ...]], T]
) -> tuple[list[T], list[tuple[str, str]]]:
    """Read what can be read; of the rest, the ids and what is wrong with them."""
    good: list[T] = []
    bad: list[tuple[str, str]] = []
    for row in rows:
        try:
            good.append(read(row))
        except StoreError as error:
            bad.append((row[0], str(error)))
    return good, bad


def inbox_row(row: tuple[Any, ...]) -> InboxRow:
    """Read a row of INBOX_COLUMNS."""
    id_, session_id, message, attempts, kind = row
    try:
        heard = IncomingMessage.model_validate_json(message)
    except (ValidationError, MessageError) as error:
        raise StoreError(f"the inbox row {id_!r} cannot be read: {error}") from error
    return InboxRow(id_, session_id, heard, attempts, kind)


def outbox_row(row: tuple[Any, ...]) -> OutboxRow:
    """Read a row of OUTBOX_COLUMNS."""
    id_, session_id, message, attempts, error = row
    try:
        reply = OutgoingMessage.model_validate_json(message)
    except (ValidationError, MessageError) as cause:
        raise StoreError(f"the outbox row {id_!r} cannot be read: {cause}") from cause
    return OutboxRow(id_, session_id, reply, attempts, error)
