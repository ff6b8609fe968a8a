"""A conversation as a text file: to read, to keep, and to bring into another store.

    written(conversation, "md")                     # or txt, json, jsonl
    transcript = read_transcript(text)              # json and jsonl come back whole

A JSON Lines file has the session in its first line and one message in each that follows, so that
it can be read while it is written. The one rule to remember: `json` and `jsonl` are exact, `txt`
and `md` are for people.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import JsonValue

from sessionbot_kit.context import Summary
from sessionbot_kit.errors import MessageError, UsageError
from sessionbot_kit.models import Session, SessionKey, StoredMessage

Format = Literal["txt", "md", "json", "jsonl"]
FORMATS: Final = ("txt", "md", "json", "jsonl")
FORMAT: Final = "sessionbot-transcript"
VERSION: Final = 1
WORDS: Final[Mapping[str, str]] = {"user": "User", "assistant": "Bot", "system": "System"}


@dataclass(frozen=True, slots=True)
class Transcript:
    """A whole conversation outside of any store."""

    session: Session
    messages: tuple[StoredMessage, ...] = ()
    summaries: tuple[Summary, ...] = ()


def written(transcript: Transcript, form: Format = "txt") -> str:
    """Write a conversation down."""
    try:
        writer = _WRITERS[form]
    except KeyError:
        raise UsageError(f"there is no form {form!r}; choose one of {', '.join(FORMATS)}") from None
    return writer(transcript)


def _text(transcript: Transcript) -> str:
    lines = [
        f"[{_moment(message.timestamp)}] {WORDS.get(message.role, message.role.title())}: "
        f"{message.content.replace(chr(10), chr(10) + '    ')}{_attached(message)}"
        for message in transcript.messages
    ]
    return "\n".join([_title(transcript.session), "", *lines, ""])


def _markdown(transcript: Transcript) -> str:
    parts = [f"# {_title(transcript.session)}"]
    for message in transcript.messages:
        word = WORDS.get(message.role, message.role.title())
        said = "\n".join(f"> {line}".rstrip() for line in message.content.split("\n"))
        parts.append(f"**{word}** · {_moment(message.timestamp)}{_attached(message)}\n\n{said}")
    return "\n\n".join(parts) + "\n"


def _title(session: Session) -> str:
    key = session.key
    return f"Conversation {session.seq} of {key.user} with {key.bot} on {key.interface}"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _attached(message: StoredMessage) -> str:
    return "".join(f" [{media.kind}: {media.name or media.mime}]" for media in message.media)


def _json(transcript: Transcript) -> str:
    whole = {**_head(transcript), "messages": [_line(message) for message in transcript.messages]}
    return json.dumps(whole, ensure_ascii=False, indent=2) + "\n"


def _json_lines(transcript: Transcript) -> str:
    lines = [_head(transcript), *(_line(message) for message in transcript.messages)]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


_WRITERS: Final[Mapping[str, Callable[[Transcript], str]]] = {
    "txt": _text,
    "md": _markdown,
    "json": _json,
    "jsonl": _json_lines,
}


def _head(transcript: Transcript) -> dict[str, JsonValue]:
    session = transcript.session.model_dump(mode="json")
    session["key"] = transcript.session.key._asdict()
    return {
        "format": FORMAT,
        "version": VERSION,
        "session": session,
        "messages_count": len(transcript.messages),
        "summaries": [_noted(summary) for summary in transcript.summaries],
    }


def _noted(summary: Summary) -> dict[str, JsonValue]:
    fields = {name: getattr(summary, name) for name in summary.__slots__}
    return {**fields, "created_at": summary.created_at.isoformat()}


def _line(message: StoredMessage) -> dict[str, JsonValue]:
    return message.model_dump(mode="json", exclude={"session_id"}, exclude_defaults=True)


def read_transcript(text: str) -> Transcript:
    """Read what was written as json or jsonl."""
    try:
        head, lines = _split(text)
        if head.get("format") != FORMAT:
            raise UsageError("this is not a transcript; export a session as json or jsonl")
        if head["version"] > VERSION:
            raise UsageError(
                f"this transcript has version {head['version']}, and this toolkit reads up to "
                f"{VERSION}; upgrade sessionbot-kit"
            )
        if len(lines) != head["messages_count"]:
            raise UsageError(
                f"this transcript ends after {len(lines)} of {head['messages_count']} messages; "
                "export it again"
            )
        session = dict(head["session"])
        session["key"] = SessionKey(**session["key"])
        return Transcript(
            Session(**session),
            tuple(StoredMessage(session_id=session["id"], **line) for line in lines),
            tuple(_read_summary(noted) for noted in head["summaries"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, MessageError) as error:
        raise UsageError(
            f"this transcript is damaged ({type(error).__name__}: {error}); export it again"
        ) from error


def _split(text: str) -> tuple[dict[str, Any], Sequence[dict[str, Any]]]:
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        head, *lines = [json.loads(line) for line in text.split("\n") if line.strip()] or [{}]
        return head, lines
    return whole, whole.get("messages", [])


def _read_summary(noted: dict[str, Any]) -> Summary:
    return Summary(**{**noted, "created_at": datetime.fromisoformat(noted["created_at"])})
