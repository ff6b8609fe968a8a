"""How a bot keeps its sessions: clocks, limits, summaries, and where time and ids come from.

    policy = SessionPolicy(clocks=PROFILES["mybot"], rules=SummaryRules(token_limit=8000))
    async with SessionManager.open("sqlite:///memory.db", policy) as sessions: ...

The one rule to remember: a value that a session has of its own wins over that of its bot, that
over the one of its channel, and that over the profile's.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, time
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from sessionbot_kit.context import SummaryRules
from sessionbot_kit.errors import SettingsError
from sessionbot_kit.ids import new_id
from sessionbot_kit.models import Session
from sessionbot_kit.sessions.lifecycle import Clocks, clocks
from sessionbot_kit.sessions.limits import SessionLimits
from sessionbot_kit.tokenizer import CHARS, Tokenizer, tokenizer

Summarize = Callable[[list[dict[str, str]]], Awaitable[str]]


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class SessionPolicy:
    """Everything about sessions that somebody may want to choose."""

    bot: str = "default"
    clocks: Clocks = field(default_factory=Clocks)
    bot_clocks: Mapping[str, Clocks] = field(default_factory=dict)
    channel_clocks: Mapping[str, Clocks] = field(default_factory=dict)
    limits: SessionLimits = field(default_factory=SessionLimits)
    rules: SummaryRules = field(default_factory=SummaryRules)
    summarize: Summarize | None = None  # None: an extract, without any model
    summary_timeout_s: float = 30.0
    tokenizer: Tokenizer = CHARS
    templates: Path = Path("templates")
    sweep_every_s: float = 3_600.0
    sweep_at: time | None = None  # every day at this time (UTC) instead
    clock: Callable[[], datetime] = utc_now
    new_id: Callable[[], str] = new_id

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "SessionPolicy":
        """A policy of plain settings: `profile`, `tokenizer`, and any name of the parts.

        `channels` names the profiles of channels that have another one.
        """
        given = dict(values)
        others = {name: clocks(profile) for name, profile in given.pop("channels", {}).items()}
        parts: dict[str, Any] = {"clocks": clocks(given.pop("profile", "botserver"))}
        parts |= {"limits": SessionLimits(), "rules": SummaryRules()}
        for name, part in parts.items():
            own = {
                field.name: given.pop(field.name) for field in fields(part) if field.name in given
            }
            parts[name] = replace(part, **own)
        if "tokenizer" in given:
            given["tokenizer"] = tokenizer(given["tokenizer"])
        names = {field.name for field in fields(cls)}
        for name in given.keys() - names:
            known = names.union(*(type(part).__slots__ for part in parts.values()))
            close = get_close_matches(name, known, n=1) or sorted(known)
            raise SettingsError(f"sessions have no setting {name!r}; choose {' or '.join(close)}")
        return cls(**{"channel_clocks": others, **parts, **given})

    def clocks_of(self, session: Session) -> Clocks:
        key = session.key
        return self.bot_clocks.get(key.bot) or self.channel_clocks.get(key.interface, self.clocks)

    def rules_of(self, session: Session) -> SummaryRules:
        limit = session.metadata.get("token_limit")
        return replace(self.rules, token_limit=limit) if isinstance(limit, int) else self.rules

    def tokenizer_of(self, session: Session) -> Tokenizer:
        """The one that counted the session's first message."""
        name = session.metadata.get("tokenizer")
        if not isinstance(name, str) or name == self.tokenizer.name:
            return self.tokenizer
        return tokenizer(name)
