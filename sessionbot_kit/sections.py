"""The sections of the settings: each room of the house finds what it needs under its own name.

    courier:
      tries: 3
    plugins:
      telegram:
        bot_token: ${TELEGRAM_BOT_TOKEN}

The one rule to remember: **a setting has a default that works in a notebook, its unit in its name,
and a description**; `sessionbot config show` prints all three.
"""

from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from sessionbot_kit.bounds import Bounds
from sessionbot_kit.secrecy import reveal

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Folder = Annotated[Path, AfterValidator(Path.expanduser)]


def _words(value: object) -> object:
    return [word.strip() for word in value.split(",")] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_words)]
Level = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR"],
    BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value),
]


class Section(BaseModel):
    """Settings that belong together."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Courier(Section):
    """How hard the house tries to hand a reply to its channel."""

    tries: Count = Field(8, description="Tries before a reply becomes a dead letter")
    first_wait_s: Seconds = Field(1.0, description="Wait before the second try; doubles each time")
    longest_wait_s: Seconds = Field(300.0, description="Longest wait between two tries")
    send_timeout_s: Seconds = Field(60.0, description="Time that a channel has for one try")


class Queues(Section):
    """What may wait inside the house."""

    watch_events: Count = Field(1_000, description="Events that a slow view may lag behind")
    turns_per_session: Count = Field(1_000, description="Messages of a session without an answer")
    turns: Count = Field(10_000, description="Messages without an answer, before channels wait")
    replies_per_chat: Count = Field(
        1_000, description="Replies that a chat's channel has not taken"
    )
    replies: Count = Field(10_000, description="Replies that no channel has taken, in all")

    def bounds(self) -> Bounds:
        """What of this the gateway keeps to."""
        return Bounds(self.turns_per_session, self.turns, self.replies_per_chat, self.replies)


class Log(Section):
    """What is logged, and how it looks."""

    level: Level = Field(
        "INFO", description="Least level that is shown; DEBUG shows texts of people"
    )
    format: Literal["auto", "json", "console"] = Field(
        "auto", description="JSON lines, or colors on a console; auto looks for a terminal"
    )


class GatewayPort(Section):
    """Where plugin kernels and channels of other processes come in."""

    host: str = Field("127.0.0.1", description="Address to listen on; this machine alone")
    port: Annotated[int, Field(ge=0, le=65_535)] = Field(
        8089, description="Port to listen on; 0 takes a free one"
    )
    token: SecretStr | None = Field(
        None, description="What kernels must show; needed off the loopback address"
    )


class Web(Section):
    """The chat page and the API."""

    host: str = Field("127.0.0.1", description="Address to listen on; this machine alone")
    port: Annotated[int, Field(ge=0, le=65_535)] = Field(
        8080, description="Port to listen on; 0 takes a free one"
    )
    admin_token: SecretStr | None = Field(
        None, description="Opens the session API; nobody can use it without one"
    )
    hosts: Names = Field((), description="Names by which browsers call us, such as bot.example.org")
    origins: Names = Field((), description="Other sites whose pages may talk to us")
    proxies: Names = Field((), description="Addresses of proxies that we believe")
    secure: bool = Field(False, description="Cookies go over TLS alone; behind a proxy with TLS")
    chats: Count = Field(2_000, description="Browsers at the same time")
    asks_per_minute: Count = Field(600, description="Requests of one address")
    sessions_per_minute: Count = Field(30, description="New sessions of one address")
    failures_per_minute: Count = Field(30, description="Unknown tokens of one address")


class Plugins(Section):
    """Which plugins run, and a section of its own for each, by its id."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, dict[str, Any]]

    enabled: Names = Field((), description="Plugins to start, by id")
    disabled: Names = Field((), description="Plugins to leave out, by id")
    external: Names = Field((), description="Python packages to load plugins from")
    paths: Names = Field((), description="Folders to look for plugins in")
    policy: Literal["enable", "disable"] = Field(
        "enable", description="What becomes of a plugin that is named nowhere"
    )

    def section(self, plugin_id: str) -> dict[str, Any]:
        """The settings of one plugin, secrets in the clear: hand them to that plugin alone."""
        section: dict[str, Any] = reveal(self.__pydantic_extra__.get(plugin_id, {}))
        return section

    def sections(self) -> dict[str, dict[str, Any]]:
        """Every plugin's own settings, by its id, secrets in the clear."""
        return {id: self.section(id) for id in self.__pydantic_extra__}


Span = Annotated[Seconds | Literal["never"], Field(union_mode="left_to_right")]
Profile = Literal["botserver", "mybot", "cobot"]


class Sessions(Section):
    """How conversations are kept; what is not given is as the profile has it."""

    profile: Profile = Field("botserver", description="When sessions are idle, and when they end")
    channels: dict[str, Profile] = Field(
        default_factory=dict, description="Another profile for the sessions of a channel"
    )
    idle_after_s: Span | None = Field(None, description="Silence that makes a session idle")
    anonymous_expires_after_s: Span | None = Field(
        None, description="Silence that ends the session of a visitor"
    )
    authenticated_expires_after_s: Span | None = Field(
        None, description="Silence that ends the session of a user"
    )
    message_expires_after_s: Span | None = Field(None, description="Age at which a line is removed")
    removed_after_s: Span | None = Field(
        None, description="Time that a session which has ended can still be read"
    )
    history: Count = Field(50, description="Most messages of a context")
    variable_bytes: Count = Field(1_000_000, description="Size of the variables of a session")
    media_bytes: Count = Field(10_000_000, description="Size of one file")
    loaded: Count = Field(1_000, description="Sessions in memory; more are unloaded, not refused")
    per_minute: Count = Field(60, description="Messages a minute of one session")
    uncounted: Names = Field(
        ("loopback", "console"), description="Channels on which messages are not counted"
    )
    token_limit: Count = Field(4_000, description="Tokens that a language model may be given")
    threshold: Annotated[float, Field(gt=0, le=1)] = Field(
        0.7, description="Share of the token limit above which older lines are summarized"
    )
    min_messages: Count = Field(10, description="Fewest lines that are summarized")
    summary_max_tokens: Count = Field(500, description="Most tokens of one summary")
    tokenizer: str = Field("chars/4", description="How tokens are counted: chars/4 or rs-bpe")
    sweep_every_s: Seconds = Field(3_600.0, description="Time between two cleanings")
    sweep_at: time | None = Field(None, description="Clean every day at this time (UTC) instead")

    def given(self) -> dict[str, Any]:
        """What `SessionPolicy.of` takes."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {
            name: None if value == "never" else value
            for name, value in values.items()
            if value is not None
        }
