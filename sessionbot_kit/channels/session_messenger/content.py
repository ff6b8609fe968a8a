# ruff: noqa: RUF009  # text(1) and message(8, Quote) are field specifiers, like field()
"""What the clients of the Session messenger say to each other, field by field.

A `Content` holds one of: words (`DataMessage`), a typing sign, a read receipt, an unsend, the
answer to a message request. An `Envelope` carries a sealed Content; a `Record` carries an
envelope and is what lies in a swarm.

    Content(data=DataMessage(body="Hello", timestamp=1767225600000))

The names are ours, the numbers are the network's. Fields that a bot has no use for (calls,
shared configuration, groups, Pro proofs) are not here and are passed over when they come.
"""

from dataclasses import dataclass

from sessionbot_kit.channels.session_messenger.protobuf import (
    Message,
    boolean,
    fixed64,
    message,
    messages,
    octets,
    text,
    uint32,
    uint64,
    uint64s,
)

SESSION_MESSAGE = 6  # Envelope.type of a private message
REQUEST = 1  # Record.type
VOICE_NOTE = 1  # AttachmentPointer.flags
EXPIRATION_TIMER_UPDATE = 2  # DataMessage.flags
STARTED, STOPPED = 0, 1  # Typing.action
READ = 1  # Receipt.type
REACT, REMOVE = 0, 1  # Reaction.action


@dataclass(frozen=True, slots=True)
class Profile(Message):
    """How somebody wants to be called."""

    display_name: str | None = text(1)
    profile_picture: str | None = text(2)


@dataclass(frozen=True, slots=True)
class AttachmentPointer(Message):
    """Where a file lies, encrypted, and what opens it."""

    id: int | None = fixed64(1)
    content_type: str | None = text(2)
    key: bytes | None = octets(3)
    size: int | None = uint32(4)
    digest: bytes | None = octets(6)
    file_name: str | None = text(7)
    flags: int | None = uint32(8)
    width: int | None = uint32(9)
    height: int | None = uint32(10)
    caption: str | None = text(11)
    url: str | None = text(101)


@dataclass(frozen=True, slots=True)
class QuotedAttachment(Message):
    content_type: str | None = text(1)
    file_name: str | None = text(2)
    thumbnail: AttachmentPointer | None = message(3, AttachmentPointer)


@dataclass(frozen=True, slots=True)
class Quote(Message):
    """The message that this one answers, named by its author and its time."""

    id: int | None = uint64(1)
    author: str | None = text(2)
    text: str | None = text(3)
    attachments: tuple[QuotedAttachment, ...] = messages(4, QuotedAttachment)


@dataclass(frozen=True, slots=True)
class Reaction(Message):
    id: int | None = uint64(1)
    author: str | None = text(2)
    emoji: str | None = text(3)
    action: int | None = uint32(4)


@dataclass(frozen=True, slots=True)
class DataMessage(Message):
    body: str | None = text(1)
    attachments: tuple[AttachmentPointer, ...] = messages(2, AttachmentPointer)
    flags: int | None = uint32(4)
    expire_timer: int | None = uint32(5)
    profile_key: bytes | None = octets(6)
    timestamp: int | None = uint64(7)
    quote: Quote | None = message(8, Quote)
    reaction: Reaction | None = message(11, Reaction)
    profile: Profile | None = message(101, Profile)
    sync_target: str | None = text(105)


@dataclass(frozen=True, slots=True)
class Receipt(Message):
    type: int | None = uint32(1)
    timestamps: tuple[int, ...] = uint64s(2)


@dataclass(frozen=True, slots=True)
class Typing(Message):
    timestamp: int | None = uint64(1)
    action: int | None = uint32(2)


@dataclass(frozen=True, slots=True)
class Configuration(Message):
    """How older clients told their own devices a new name."""

    display_name: str | None = text(3)


@dataclass(frozen=True, slots=True)
class Extraction(Message):
    """A screenshot was taken, or a file was saved."""

    type: int | None = uint32(1)
    timestamp: int | None = uint64(2)


@dataclass(frozen=True, slots=True)
class Unsend(Message):
    timestamp: int | None = uint64(1)
    author: str | None = text(2)


@dataclass(frozen=True, slots=True)
class RequestResponse(Message):
    """Yes, you may write to me."""

    is_approved: bool | None = boolean(1)
    profile_key: bytes | None = octets(2)
    profile: Profile | None = message(3, Profile)


@dataclass(frozen=True, slots=True)
class Content(Message):
    data: DataMessage | None = message(1, DataMessage)
    receipt: Receipt | None = message(5, Receipt)
    typing: Typing | None = message(6, Typing)
    configuration: Configuration | None = message(7, Configuration)
    extraction: Extraction | None = message(8, Extraction)
    unsend: Unsend | None = message(9, Unsend)
    request_response: RequestResponse | None = message(10, RequestResponse)
    expiration_type: int | None = uint32(12)
    expiration_timer: int | None = uint32(13)
    sig_timestamp: int | None = uint64(15)


@dataclass(frozen=True, slots=True)
class Envelope(Message):
    """Nothing here is signed: neither source nor timestamp may be believed."""

    type: int | None = uint32(1)
    source: str | None = text(2)
    timestamp: int | None = uint64(5)
    content: bytes | None = octets(8)


@dataclass(frozen=True, slots=True)
class RecordRequest(Message):
    verb: str | None = text(1)
    path: str | None = text(2)
    body: bytes | None = octets(3)
    id: int | None = uint64(4)


@dataclass(frozen=True, slots=True)
class Record(Message):
    """What a swarm keeps."""

    type: int | None = uint32(1)
    request: RecordRequest | None = message(2, RecordRequest)
