"""A session with what was said in it: what `SessionManager` gives back.

    session = await sessions.get_session(7)
    session.state, session.key.user, session.message_count, session.total_tokens
    session.messages                # the newest lines that no summary covers
    session.summaries               # what stands for the lines before them

It is a value, as true as the moment when it was read. The one rule to remember: `message_count`
counts all that is kept, `total_tokens` what weighs against the token limit.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import JsonValue

from sessionbot_kit.context import Summary
from sessionbot_kit.models import Session, SessionKey, StoredMessage
from sessionbot_kit.sessions.lifecycle import expires_at, state_at
from sessionbot_kit.sessions.policy import SessionPolicy
from sessionbot_kit.store import ENDED, Loaded, SessionRef
from sessionbot_kit.tables import Card, Table

SHOWN_LINES: Final = 20
SHOWN_SESSIONS: Final = 100


class Conversation(Session):
    """A session and its newest lines, as they were when they were read."""

    summaries: tuple[Summary, ...] = ()
    messages: tuple[StoredMessage, ...] = ()
    live_messages: int = 0
    live_tokens: int = 0
    token_limit: int = 4000

    @property
    def message_count(self) -> int:
        return self.totals.messages

    @property
    def total_tokens(self) -> int:
        """The tokens of the summaries and of the lines after them."""
        return sum(summary.tokens for summary in self.summaries) + self.live_tokens

    @property
    def is_active(self) -> bool:
        return self.state not in ENDED

    @property
    def interface_type(self) -> str:
        return self.key.interface

    @property
    def external_user_id(self) -> str:
        return self.key.user

    @property
    def external_chat_id(self) -> str:
        return str(self.metadata.get("external_chat_id", self.key.chat))

    @property
    def conversation_id(self) -> JsonValue:
        return self.metadata.get("conversation_id")

    @property
    def tool_calls_count(self) -> int:
        return counted(self.metadata, "tool_calls_count")

    @property
    def error_count(self) -> int:
        return counted(self.metadata, "error_count")

    @property
    def preferences(self) -> Mapping[str, JsonValue]:
        return _mapping(self.metadata.get("preferences"))

    @property
    def knowledge(self) -> Sequence[JsonValue]:
        """The knowledge bases that only this session sees."""
        return _sequence(self.context.get("knowledge"))

    @property
    def tools(self) -> Sequence[JsonValue]:
        return _sequence(self.context.get("tools"))

    @property
    def llm(self) -> Mapping[str, JsonValue]:
        """Model, temperature and the like, where they differ from the bot's."""
        return _mapping(self.context.get("llm"))

    @property
    def prompts(self) -> Sequence[JsonValue]:
        """Fragments of a prompt, in their order."""
        return _sequence(self.context.get("prompts"))

    def history(self) -> list[dict[str, Any]]:
        """The lines at hand as plain dicts: `pandas.DataFrame(session.history())`."""
        return lines(self.messages)

    def card(self) -> Card:
        """What is known of the session; of variables only the names, for values may be private."""
        return Card(
            f"Session {self.seq}",
            {
                "id": self.id,
                "key": spelled(self.key),
                "state": f"{self.state}, {self.identity}",
                "messages": self.message_count,
                "tokens": f"{self.total_tokens:,} of {self.token_limit:,}",
                "summaries": len(self.summaries),
                "variables": ", ".join(self.variables),
                "context": ", ".join(self.context),
                "last activity": self.last_activity,
            },
        )

    def table(self) -> Table:
        """The newest lines, after the summaries."""
        rows: list[tuple[object, ...]] = [
            (f"{summary.first}-{summary.last}", "summary", summary.text, summary.tokens)
            for summary in self.summaries
        ]
        rows += [
            (str(line.seq), line.role, line.content, line.tokens)
            for line in self.messages[-SHOWN_LINES:]
        ]
        hidden = self.live_messages - len(self.messages[-SHOWN_LINES:])
        note = f"{hidden} lines before these are not shown" if hidden else ""
        return Table("Conversation", ("#", "who", "text", "tokens"), rows, note)

    def __repr__(self) -> str:
        return (
            f"<session {self.seq} {spelled(self.key)}: {self.state}, {self.message_count} messages>"
        )

    __str__ = __repr__

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        card, table = self.card(), self.table()
        return {
            "text/plain": f"{card.text()}\n\n{table.text()}",
            "text/html": card.html() + table.html(),
        }


def conversation(loaded: Loaded, policy: SessionPolicy) -> Conversation:
    """The session as it is at this moment, whether or not the janitor came by."""
    session = loaded.session
    clocks = policy.clocks_of(session)
    live = min(len(loaded.tail), loaded.live_messages)
    fields = dict(session.__dict__)
    fields["state"] = state_at(session, clocks, policy.clock())
    fields["expires_at"] = None if session.state in ENDED else expires_at(session, clocks)
    # Everything here was validated when it entered the house.
    return Conversation.model_construct(
        **fields,
        summaries=loaded.summaries,
        messages=loaded.tail[len(loaded.tail) - live :],
        live_messages=loaded.live_messages,
        live_tokens=loaded.live_tokens,
        token_limit=policy.rules_of(session).token_limit,
    )


def as_of(session: Session, policy: SessionPolicy) -> Session:
    """A session in the state in which it is at this moment."""
    clocks = policy.clocks_of(session)
    return session.model_copy(
        update={
            "state": state_at(session, clocks, policy.clock()),
            "expires_at": None if session.state in ENDED else expires_at(session, clocks),
        }
    )


class SessionTable(list[Session]):
    """Sessions, shown as a table."""

    def table(self) -> Table:
        rows = [
            (
                session.seq,
                spelled(session.key),
                session.state,
                session.totals.messages,
                session.totals.tokens,
                f"{session.last_activity:%Y-%m-%d %H:%M}",
            )
            for session in self[:SHOWN_SESSIONS]
        ]
        columns = ("#", "session", "state", "messages", "tokens", "last spoken (UTC)")
        more = len(self) - len(rows)
        return Table("Sessions", columns, rows, f"and {more:,} more" if more else "")

    def __repr__(self) -> str:
        return self.table().text()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return self.table()._repr_mimebundle_()


def lines(messages: Sequence[StoredMessage]) -> list[dict[str, Any]]:
    """Messages as plain dicts, one a line: what a table or a DataFrame is made of."""
    return [
        {
            "seq": message.seq,
            "role": message.role,
            "content": message.content,
            "tokens": message.tokens,
            "timestamp": message.timestamp,
        }
        for message in messages
    ]


def counted(metadata: Mapping[str, JsonValue], name: str) -> int:
    value = metadata.get(name)
    return value if isinstance(value, int) else 0


def spelled(key: SessionKey) -> str:
    """A key as one writes it: interface/chat/user, with `bot:` before it unless that is default."""
    name = f"{key.interface}/{key.chat}/{key.user}"
    return name if key.bot == "default" else f"{key.bot}:{name}"


def reference(text: str) -> SessionRef:
    """What somebody typed to name a session: 7, an id, or interface/chat/user."""
    if text.isdecimal():
        return int(text)
    if text.count("/") < 2:
        return text
    bot, colon, rest = text.partition(":")
    if not colon or "/" in bot:
        bot, rest = "default", text
    interface, _, rest = rest.partition("/")
    chat, _, user = rest.rpartition("/")
    return SessionKey(bot, interface, chat, user)


def _mapping(value: JsonValue) -> Mapping[str, JsonValue]:
    return value if isinstance(value, dict) else {}


def _sequence(value: JsonValue) -> Sequence[JsonValue]:
    return value if isinstance(value, list) else []
