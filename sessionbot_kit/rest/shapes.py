"""What goes in and comes out, as models: they check what comes, and make the API's description.

The one rule to remember: what is sent is checked strictly, and what is answered has exactly these
fields.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

MAX_TEXT_CHARS = 20_000
MAX_SEQ = 2**53

Ref = Annotated[int, Field(ge=1, le=MAX_SEQ)] | Annotated[str, Field(min_length=1, max_length=600)]
ID = "0193f5e2-7c4b-7a10-9c1e-2f6a4d1b8e77"


class Sent(BaseModel):
    """Something that is sent to us."""

    model_config = ConfigDict(extra="forbid")


class Told(BaseModel):
    """Something that we answer."""

    model_config = ConfigDict(extra="forbid", json_schema_serialization_defaults_required=True)


class Begin(Sent):
    """How a session begins."""

    cookie: bool = Field(False, description="Keep the token in an HttpOnly cookie, for our page")


class Begun(Told):
    """A session, and the token that opens it. The token is shown this once."""

    session_id: str = Field(examples=[ID])
    token: str | None = Field(
        description="None when it went into a cookie",
        examples=["mZkq0V1S0H2q4tL8w6aX9cB3dE5fG7hJ1kM2nP4rT6v"],
    )


class SessionInfo(Told):
    """One's own session."""

    session_id: str = Field(examples=[ID])
    seq: int = Field(examples=[7])
    state: Literal["new", "active", "idle", "expired", "closed"]
    messages: int = Field(examples=[2])
    created_at: str = Field(examples=["2026-11-21T09:30:00+00:00"])
    last_activity: str = Field(examples=["2026-11-21T09:31:00+00:00"])
    expires_at: str | None = Field(examples=["2026-11-28T09:31:00+00:00"])


class Say(Sent):
    """A message to the bot."""

    content: str = Field("", max_length=MAX_TEXT_CHARS, examples=["!echo hello"])
    id: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_-]{8,64}$",
        description="An id of yours: the same message sent twice is answered once",
    )
    files: list[Annotated[str, Field(max_length=64)]] = Field(
        default_factory=list, max_length=10, description="Ids of uploads"
    )
    reply_to: str | None = Field(None, min_length=1, max_length=200, pattern=r"^[!-~]+$")
    wait_s: float = Field(
        30.0, ge=0, le=60, description="How long to wait for the answer; 0 waits for none"
    )


class Reply(Told):
    """Something that the bot said."""

    id: str = Field(examples=[f"{ID}/0"])
    content: str = Field(examples=["hello"])


class Said(Told):
    """A message is stored; and what the bot answered, as far as it has."""

    id: str
    session_id: str
    complete: bool = Field(description="Whether the answer is whole")
    duplicate: bool = Field(description="Whether this message had come before")
    replies: list[Reply]


class Line(Told):
    """One line of a conversation."""

    seq: int
    role: Literal["user", "assistant", "system", "tool"]
    content: str
    timestamp: str


class History(Told):
    """Lines of a conversation, the oldest first."""

    session_id: str
    messages: list[Line]
    next_cursor: str | None = Field(description="Where to go on; None at the end")


class Upload(Told):
    """A file that was taken."""

    id: str
    name: str
    mime: str
    size: int
    sha256: str


Action = Literal[
    "create",
    "addMessage",
    "clearMessages",
    "updateState",
    "deactivate",
    "cleanup",
    "buildContext",
]


class SessionsAction(Sent):
    """What to do with a session, as MyBot has it; without an action a session begins."""

    action: str | None = Field(
        None,
        max_length=40,
        description="create, addMessage, clearMessages, updateState, deactivate, cleanup, "
        "buildContext",
        examples=["addMessage"],
    )
    sessionId: Ref | None = Field(None, examples=[7])
    conversationId: Ref | None = Field(None, examples=[123])
    data: dict[str, JsonValue] | None = Field(
        None, examples=[{"role": "user", "content": "Hello!"}]
    )


class Message(Told):
    """A message, as MyBot has it."""

    role: str
    content: str
    timestamp: int = Field(description="Milliseconds since 1970")
    tokens: int
    metadata: dict[str, Any]


class SummaryShape(Told):
    """What stands for messages that were summarized."""

    text: str
    messages_summarized: int
    created_at: int
    tokens: int


class StateShape(Told):
    """What a session knows."""

    preferences: dict[str, Any]
    context: dict[str, Any]
    variables: dict[str, Any]


class AgentSession(Told):
    """A session, as MyBot has it; `uuid` is its id here."""

    id: int = Field(examples=[7])
    uuid: str = Field(examples=[ID])
    conversation_id: Any
    interface_type: str = Field(examples=["web"])
    external_user_id: str
    external_chat_id: str
    messages: list[Message]
    summaries: list[SummaryShape]
    state: StateShape
    total_tokens: int
    input_tokens: int
    output_tokens: int
    token_limit: int = Field(examples=[4000])
    last_active_at: int
    created_at: int
    expires_at: int | None
    is_active: bool
    message_count: int
    tool_calls_count: int
    error_count: int
    metadata: dict[str, Any]


class Window(Told):
    """What a language model gets to read."""

    messages: list[dict[str, str]]
    totalTokens: int
    hasSummaries: bool


class Stats(Told):
    """How much there is."""

    total_sessions: int
    active_sessions: int
    total_messages: int
    total_tokens: int
    average_session_length: float
    sessions_by_interface: dict[str, int]
    cacheSize: int
    cacheHitRate: float


class OneSession(Told):
    success: Literal[True]
    data: AgentSession


class ManySessions(Told):
    success: Literal[True]
    data: list[AgentSession]
    count: int
    next_cursor: str | None


class StatsAnswer(Told):
    success: Literal[True]
    data: Stats


class WindowAnswer(Told):
    success: Literal[True]
    data: Window


class Done(Told):
    success: bool


class CleanupAnswer(Told):
    success: Literal[True]
    message: str = Field(examples=["Cleanup initiated"])


class BotServerSession(Told):
    """A session that has begun, as BotServer has it."""

    session_id: str = Field(examples=[ID])
    title: str = Field(examples=["New Conversation"])
    created_at: str


class Identity(Told):
    """Whom one talks to."""

    bot: str
    version: str
    channels: list[str]
    languages: list[str]


class PluginShape(Told):
    id: str
    version: str
    prefixes: list[str]
    default: bool
    summary: str


class Plugins(Told):
    plugins: list[PluginShape]


class Waiting(Told):
    """A reply that its channel has not taken yet, or never will. Its words are not shown."""

    id: str
    session_id: str
    channel: str
    attempts: int
    error: str | None


class WaitingList(Told):
    items: list[Waiting]
    next_cursor: str | None


class Health(Told):
    status: Literal["ok", "starting", "stopping"]


class Fault(Told):
    """What is wrong, as RFC 9457 has it."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    code: str = Field(examples=["session_unknown"])
    detail: str = Field(examples=["there is no session 7"])
    error: str = Field(examples=["there is no session 7"])
