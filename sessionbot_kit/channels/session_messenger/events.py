"""What an opened record means, and whether its sender may say it.

    event = understand(opened, me=bot.session_id, now=now_ms)
    match event:
        case Said(id=id, text=text): ...
        case Unsent(target=target): ...

Everybody can seal anything for a bot, so a signature is not enough: people may unsend only what
they wrote, nobody but the bot itself may send "copies of what you wrote elsewhere", and a record
that is older than a swarm keeps records is somebody playing back an old one.

One rule to remember: a message is named by its author and the time that stands **inside** the
seal. That name is the same however often, and in whatever envelope, the message comes.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import NamedTuple

from sessionbot_kit.channels.session_messenger.content import (
    READ,
    REMOVE,
    STARTED,
    AttachmentPointer,
    Content,
    DataMessage,
)
from sessionbot_kit.channels.session_messenger.envelope import Opened
from sessionbot_kit.channels.session_messenger.identity import ID_CHARS, is_session_id, short
from sessionbot_kit.errors import MessageError, RecordError

DAY_MS = 86_400_000
KEPT_MS = 14 * DAY_MS  # how long a swarm keeps what people say
OLDEST_MS = KEPT_MS + DAY_MS
NEWEST_MS = DAY_MS  # a sender's clock may be wrong by this much
TYPING_MS = 60_000
MAX_NAME_CHARS = 100
MAX_EMOJI_CHARS = 32
MAX_ATTACHMENTS = 32
MAX_READ = 100  # messages that one receipt tells of

_MESSAGE_ID = re.compile(r"(05[0-9a-f]{64}):([1-9][0-9]{0,19})", re.ASCII)


class MessageId(NamedTuple):
    """How everybody on the network names a message."""

    author: str
    timestamp: int  # milliseconds

    def __str__(self) -> str:
        return f"{self.author}:{self.timestamp}"

    @classmethod
    def parse(cls, text: str) -> "MessageId":
        if not (match := _MESSAGE_ID.fullmatch(text)):
            raise MessageError(
                f"{text[:100]!r} names no message; it is a Session ID, a colon and milliseconds"
            )
        return cls(match[1], int(match[2]))


class Expiry(NamedTuple):
    """When a message disappears: `kind` 1 is after it was read, 2 is after it was sent."""

    kind: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Said:
    """Somebody wrote to us."""

    id: MessageId
    name: str
    text: str
    quote: MessageId | None = None
    attachments: tuple[AttachmentPointer, ...] = ()
    expiry: Expiry | None = None


@dataclass(frozen=True, slots=True)
class Reacted:
    id: MessageId
    target: MessageId
    emoji: str
    removed: bool


@dataclass(frozen=True, slots=True)
class TypingSeen:
    sender: str
    started: bool


@dataclass(frozen=True, slots=True)
class ReadSeen:
    """Somebody read what we wrote."""

    sender: str
    targets: tuple[MessageId, ...]


@dataclass(frozen=True, slots=True)
class Unsent:
    """Somebody takes back what he wrote."""

    target: MessageId


@dataclass(frozen=True, slots=True)
class Approved:
    """Somebody answered our message request."""

    sender: str
    name: str
    yes: bool


@dataclass(frozen=True, slots=True)
class Passed:
    """Genuine, and of no use to a bot."""

    sender: str
    why: str


Event = Said | Reacted | TypingSeen | ReadSeen | Unsent | Approved | Passed


def understand(opened: Opened, *, me: str, now: int) -> Event:
    """What this record means to us; RecordError when its sender may not say it."""
    sender, content = opened.sender, opened.content
    if sender == me:
        # Another device with our phrase, or a bot that talks to itself: never answered.
        return Passed(sender, "it is our own")
    _check_age(content.sig_timestamp, now)
    if (data := content.data) is not None:
        return _heard(sender, content, data, me=me, now=now)
    if (typing := content.typing) is not None:
        if not typing.timestamp or abs(now - typing.timestamp) > TYPING_MS:
            return Passed(sender, "a typing sign that is over")
        return TypingSeen(sender, started=(typing.action or 0) == STARTED)
    if (receipt := content.receipt) is not None:
        if receipt.type != READ:
            return Passed(sender, "a receipt of another kind")
        return ReadSeen(
            sender, tuple(MessageId(me, time) for time in receipt.timestamps[-MAX_READ:])
        )
    if (unsend := content.unsend) is not None:
        if unsend.author != sender or not unsend.timestamp:
            raise RecordError(
                f"{short(sender)} takes back what {_brief(unsend.author)} wrote; "
                "only the author may"
            )
        return Unsent(MessageId(sender, unsend.timestamp))
    if (response := content.request_response) is not None:
        profile = response.profile
        name = _name(profile.display_name if profile else None, sender)
        return Approved(sender, name, bool(response.is_approved))
    return Passed(sender, "nothing in it that a bot understands")


def _heard(sender: str, content: Content, data: DataMessage, *, me: str, now: int) -> Event:
    if data.sync_target is not None:
        raise RecordError(
            f"{short(sender)} sends a copy of something we are said to have written; refused"
        )
    timestamp = data.timestamp or content.sig_timestamp
    if not timestamp:
        raise RecordError(f"{short(sender)} sends a message without a signed time; refused")
    _check_age(timestamp, now)
    id = MessageId(sender, timestamp)
    if (reaction := data.reaction) is not None:
        target = _named(reaction.author, reaction.id, (me, sender))
        emoji = (reaction.emoji or "").strip()
        if target is None or not 0 < len(emoji) <= MAX_EMOJI_CHARS:
            return Passed(sender, "a reaction to nothing that we know")
        return Reacted(id, target, emoji, removed=reaction.action == REMOVE)
    if not data.body and not data.attachments:
        return Passed(sender, "no words and no files")
    return Said(
        id=id,
        name=_name(data.profile.display_name if data.profile else None, sender),
        text=data.body or "",
        quote=_named(data.quote.author, data.quote.id, (me, sender)) if data.quote else None,
        attachments=data.attachments[:MAX_ATTACHMENTS],
        expiry=_expiry(content, data),
    )


def _check_age(timestamp: int | None, now: int) -> None:
    if timestamp is None:
        return
    if now - timestamp > OLDEST_MS:
        raise RecordError(
            f"a record was written {(now - timestamp) // DAY_MS} days ago and no swarm keeps "
            "one that long; somebody plays it back"
        )
    if timestamp - now > NEWEST_MS:
        raise RecordError(
            f"a record says it was written {(timestamp - now) // DAY_MS} days from now; "
            "its sender's clock is wrong"
        )


def _named(author: str | None, timestamp: int | None, people: tuple[str, str]) -> MessageId | None:
    # In a chat of two, a message is by one of the two; what others wrote is not for us to name.
    return MessageId(author, timestamp) if author in people and timestamp else None


def _name(name: str | None, sender: str) -> str:
    # A name is shown in logs and lists: one line, and no marks that turn the text around.
    plain = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in name or "")
    return " ".join(plain.split())[:MAX_NAME_CHARS] or short(sender)


def _expiry(content: Content, data: DataMessage) -> Expiry | None:
    if content.expiration_type in (1, 2) and content.expiration_timer:
        return Expiry(content.expiration_type, content.expiration_timer)
    return Expiry(1, data.expire_timer) if data.expire_timer else None


def _brief(author: str | None) -> str:
    known = author is not None and len(author) == ID_CHARS and is_session_id(author)
    return short(author) if author and known else "somebody else"
