"""Messages, media and sessions: plain frozen data, the same for every channel.

    message = IncomingMessage(
        id="1", channel_type="telegram", channel_id="42", sender_id="7", sender_name="Ada",
        content="!echo hi", timestamp=datetime.now(UTC),
    )
    answer = message.reply("hi")            # a value; nothing is sent

What enters the house is checked here, once; inside, it is trusted. One rule to remember: a
timestamp has a time zone.
"""

import base64
import mimetypes
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)

from sessionbot_kit.errors import MessageError, UsageError

MAX_ID_CHARS = 512
MAX_MEDIA_BYTES = 10_000_000

Role = Literal["user", "assistant", "system", "tool"]


def mend_text(text: str) -> str:
    """Join surrogate pairs that a peer cut apart; what stays alone becomes U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _as_id(value: object) -> object:
    # Platforms number their chats; here an id is text.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _usable_id(value: str) -> str:
    value = mend_text(value)
    if not value.strip():
        raise ValueError("is empty; give the id that the platform uses")
    if len(value) > MAX_ID_CHARS:
        raise ValueError(f"has {len(value):,} characters; an id has at most {MAX_ID_CHARS}")
    if not value.isprintable():
        raise ValueError(f"{value[:40]!r} has control characters; an id is printable text")
    return value


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError(
            f"{value.isoformat()} has no time zone; write datetime.now(UTC) or .astimezone(UTC)"
        )
    return value.astimezone(UTC)


Id = Annotated[str, BeforeValidator(_as_id), AfterValidator(_usable_id)]
Text = Annotated[str, AfterValidator(mend_text)]
Moment = Annotated[datetime, AfterValidator(_aware)]
Files = Annotated[tuple["Media", ...], BeforeValidator(lambda value: value or ())]
Metadata = Annotated[dict[str, JsonValue], BeforeValidator(lambda value: value or {})]


class Model(BaseModel):
    """Frozen, and refuses what it does not know with one sentence a field."""

    # Validators are built when a model is first made: an import pays for none of them.
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, defer_build=True)
    refusal: ClassVar[type[UsageError]] = MessageError

    if not TYPE_CHECKING:  # type checkers go by the fields

        def __init__(self, **data: Any) -> None:
            try:
                super().__init__(**data)
            except ValidationError as error:
                raise self.refusal(_sentence(type(self).__name__, error)) from error


def _sentence(model: str, error: ValidationError) -> str:
    faults = []
    for fault in error.errors(include_url=False):
        where = ".".join(str(part) for part in fault["loc"])
        what = fault["msg"].removeprefix("Value error, ")
        faults.append(f"{where}: {what}" if where else what)
    return f"{model} cannot be made: " + "; ".join(faults)


class Media(Model):
    """A file that travels with a message: its bytes, or where they are."""

    kind: Literal["image", "audio", "video", "file"] = "file"
    mime: str = "application/octet-stream"
    name: Text = ""
    size: int | None = Field(default=None, ge=0)
    data: bytes | None = Field(default=None, repr=False)
    path: Path | None = None
    url: str | None = None
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    caption: Text = ""

    # Files are not text: bytes cross JSON as base64, both ways.
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    @model_validator(mode="after")
    def _points_somewhere(self) -> Self:
        if self.data is None and self.path is None and self.url is None and self.sha256 is None:
            raise ValueError("media has no content; give data, path, url or sha256")
        if self.data is not None and self.size is not None and self.size != len(self.data):
            raise ValueError(f"size says {self.size:,} bytes and data has {len(self.data):,}")
        return self

    @classmethod
    def from_path(cls, path: str | Path, *, caption: str = "") -> "Media":
        """Read a file, at most 10 MB."""
        path = Path(path)
        size = path.stat().st_size
        if size > MAX_MEDIA_BYTES:
            raise MessageError(
                f"{path} has {size:,} bytes; a file may have {MAX_MEDIA_BYTES:,}. "
                "Send a link, or split it"
            )
        return cls.from_bytes(path.read_bytes(), name=path.name, caption=caption)

    @classmethod
    def from_bytes(cls, data: bytes, *, name: str, mime: str = "", caption: str = "") -> "Media":
        mime = mime or mimetypes.guess_type(name)[0] or "application/octet-stream"
        return cls(
            kind=_kind_of(mime), mime=mime, name=name, size=len(data), data=data, caption=caption
        )

    @classmethod
    def from_base64(cls, text: str, *, name: str, mime: str = "") -> "Media":
        try:
            data = base64.b64decode(text, validate=True)
        except ValueError as error:
            raise MessageError(f"{name or 'the file'} is not base64: {error}") from error
        return cls.from_bytes(data, name=name, mime=mime)

    def to_base64(self) -> str:
        return base64.b64encode(self.read()).decode("ascii")

    def read(self) -> bytes:
        """The bytes, from memory or from disk; what is elsewhere must be fetched first."""
        if self.data is not None:
            return self.data
        if self.path is not None:
            return self.path.read_bytes()
        raise MessageError(
            f"the bytes of {self.name or 'this file'} are not here; fetch them first"
        )


def _kind_of(mime: str) -> Literal["image", "audio", "video", "file"]:
    match mime.partition("/")[0]:
        case "image":
            return "image"
        case "audio":
            return "audio"
        case "video":
            return "video"
    return "file"


class Act(Model):
    """What is done to a message that is there already, instead of saying another one.

    `target` is the id that the house gave a reply, or what the platform calls any message.
    """

    verb: Literal["edit", "delete", "react"]
    target: Id
    emoji: Text = ""
    remove: bool = False  # take the reaction away again


class OutgoingMessage(Model):
    """What the bot says. `id` is given by the house, the same each time the turn runs.

    With an `act` it says nothing new: for an edit, `content` is the text from now on.
    """

    channel_type: Id
    channel_id: Id
    content: Text
    reply_to: Id | None = None
    media: Files = ()
    metadata: Metadata = Field(default_factory=dict)
    account: Id = "default"
    id: Id | None = None
    act: Act | None = None


class IncomingMessage(Model):
    """What a person said, on whichever channel."""

    id: Id
    channel_type: Id
    channel_id: Id
    sender_id: Id
    sender_name: Text
    content: Text
    timestamp: Moment
    reply_to: Id | None = None
    media: Files = ()
    metadata: Metadata = Field(default_factory=dict)
    account: Id = "default"
    raw_content: Text | None = None

    def reply(self, content: str, **more: Any) -> OutgoingMessage:
        """Build the answer to this message. It is a value: return it, and it is sent."""
        return OutgoingMessage(
            channel_type=self.channel_type,
            channel_id=self.channel_id,
            content=content,
            account=self.account,
            **{"reply_to": self.id, **more},
        )


class SendResult(Model):
    """What became of a message that was handed to a channel; it is true when it was sent."""

    ok: bool
    ids: tuple[Id, ...] = ()
    fallback: str | None = None
    error: str | None = None
    retry_after: float | None = Field(default=None, ge=0)
    permanent: bool = False

    def __bool__(self) -> bool:
        return self.ok


class SessionKey(NamedTuple):
    """Whose conversation it is: the natural name of a session."""

    bot: str
    interface: str
    chat: str
    user: str


class Totals(Model):
    """What a session has used up so far."""

    messages: int = 0
    tokens: int = 0


class Session(Model):
    """One conversation with memory, as it was when it was read."""

    id: Id
    seq: int
    key: SessionKey
    identity: Literal["anonymous", "authenticated"] = "anonymous"
    state: Literal["new", "active", "idle", "expired", "closed"] = "new"
    variables: Mapping[str, JsonValue] = Field(default_factory=dict)
    context: Mapping[str, JsonValue] = Field(default_factory=dict)
    totals: Totals = Field(default_factory=Totals)
    created_at: Moment
    last_activity: Moment
    expires_at: Moment | None = None
    metadata: Mapping[str, JsonValue] = Field(default_factory=dict)
    version: int = 0  # +1 with each change, other than an appended message


class StoredMessage(Model):
    """One line of a conversation, as it was kept."""

    session_id: Id
    seq: int
    role: Role
    content: Text
    tokens: int = 0
    timestamp: Moment
    media: Files = ()
    metadata: Metadata = Field(default_factory=dict)
