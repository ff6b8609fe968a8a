"""Tokens that open a door of the bot, each with a scope that says how far.

    tokens = Tokens(store)
    secret = await tokens.issue("shadow", label="Ada's notebook", days=7)    # shown once
    info = await tokens.check(secret, "shadow")     # or TokenUnknown, TokenExpired, TokenTooNarrow
    await tokens.revoke(info.id)

    chat      talks to the bot                      watch     sees what passes, answers nothing
    kernel    answers turns; may shadow and watch   shadow    runs copies, and can never answer
    admin     everything

The one rule to remember: **a token is shown once**. The store holds its hash alone, so whoever
reads the store cannot come in, and a refusal never repeats what was shown.

A token that opens one conversation is another thing: see `access.py`.
"""

import hmac
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, get_args

from sessionbot_kit.access import hashed, new_token
from sessionbot_kit.errors import TokenExpired, TokenTooNarrow, TokenUnknown, UsageError
from sessionbot_kit.store import Memory, Store

Scope = Literal["chat", "admin", "kernel", "shadow", "watch"]

SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

OPENS: Final[dict[str, frozenset[str]]] = {
    "admin": frozenset(SCOPES),
    "kernel": frozenset({"kernel", "shadow", "watch"}),
    "shadow": frozenset({"shadow"}),
    "watch": frozenset({"watch"}),
    "chat": frozenset({"chat"}),
}

SETTINGS: Final = "settings"  # the id of the one token that the settings name

MAX_LABEL: Final = 200
MAX_DAYS: Final = 36_500
ID_CHARS: Final = 12

# Where the store keeps them: each by its hash, and all of them in one list.
ONE, ALL = "token", "tokens"


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """What is known of a token. Its `id` names it; nobody comes in with that."""

    id: str
    scope: Scope
    label: str
    created_at: datetime
    expires_at: datetime | None = None

    def opens(self, scope: Scope) -> bool:
        """Whether it is good for this."""
        return scope in OPENS[self.scope]


class Tokens:
    """The tokens of a store. `single` is the one that the settings name; it opens everything."""

    def __init__(
        self,
        store: Store,
        *,
        single: str | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._single = hashed(single) if single else None
        self._clock = clock
        self._since = clock()

    async def issue(self, scope: Scope, label: str = "", days: float | None = None) -> str:
        """Make a token of 256 bits; without `days` it is good until it is revoked."""
        if scope not in SCOPES:
            raise UsageError(f"{scope!r} is no scope of a token; choose one of {', '.join(SCOPES)}")
        if days is not None and not 0 < days <= MAX_DAYS:
            raise UsageError(f"a token cannot be good for {days} days; give more than 0")
        if len(label) > MAX_LABEL:
            raise UsageError(f"a label of {len(label)} characters is too long; at most {MAX_LABEL}")
        secret, now = new_token(), self._clock()
        hash = hashed(secret)
        info = TokenInfo(
            id=hash[:ID_CHARS],
            scope=scope,
            label=label,
            created_at=now,
            expires_at=None if days is None else now + timedelta(days=days),
        )
        await self._store.remember(
            Memory(ONE, hash, "info", _plain(info)), Memory(ALL, ALL, info.id, hash)
        )
        return secret

    async def check(self, secret: str, scope: Scope | Collection[Scope]) -> TokenInfo:
        """What this token is, if it opens a scope, or any one of several."""
        wanted: Collection[Scope] = (scope,) if isinstance(scope, str) else scope
        info = await self.known(secret)
        if not any(info.opens(one) for one in wanted):
            raise TokenTooNarrow(
                f"this token is for {info.scope} alone; "
                f"use one for {' or '.join(wanted)}: sessionbot token new {next(iter(wanted))}"
            )
        return info

    async def known(self, secret: str) -> TokenInfo:
        """What this token is, whatever it opens."""
        shown = hashed(secret)
        if self._single is not None and hmac.compare_digest(shown, self._single):
            return TokenInfo(SETTINGS, "admin", "the token of the settings", self._since)
        # Found by its hash: how long that takes tells nothing of any other token.
        info = await self._found(shown)
        if info is None:
            raise TokenUnknown("this token is not known; make one: sessionbot token new")
        if info.expires_at is not None and info.expires_at <= self._clock():
            raise TokenExpired(
                f"this token expired at {info.expires_at:%Y-%m-%d %H:%M} UTC; "
                "make a new one: sessionbot token new"
            )
        return info

    async def stands(self, info: TokenInfo) -> bool:
        """Whether a token that was checked once is still good."""
        if info.id == SETTINGS:
            return True
        if info.expires_at is not None and info.expires_at <= self._clock():
            return False
        return info.id in await self._store.memories(ALL, ALL)

    async def list(self) -> list[TokenInfo]:
        """Every token that was issued and not revoked, the oldest first."""
        hashes = await self._store.memories(ALL, ALL)
        found = [await self._found(str(hash)) for hash in hashes.values()]
        return sorted((info for info in found if info), key=lambda info: info.created_at)

    async def revoke(self, id: str) -> TokenInfo:
        """Close the door to a token, named by its id or by the beginning of it."""
        hashes = await self._store.memories(ALL, ALL)
        named = [one for one in hashes if id and one.startswith(id)]
        if len(named) != 1:
            many = f"{len(named)} tokens begin with" if named else "there is no token"
            raise UsageError(f"{many} {id!r}; see sessionbot token list")
        hash = str(hashes[named[0]])
        info = await self._found(hash)
        await self._store.remember(
            Memory(ONE, hash, "info", None), Memory(ALL, ALL, named[0], None)
        )
        if info is None:
            raise UsageError(f"the token {named[0]} was revoked at the same moment")
        return info

    async def _found(self, hash: str) -> TokenInfo | None:
        plain: Any = (await self._store.memories(ONE, hash)).get("info")
        return None if plain is None else _info(plain)


def _plain(info: TokenInfo) -> dict[str, Any]:
    return {
        "id": info.id,
        "scope": info.scope,
        "label": info.label,
        "created_at": info.created_at.isoformat(),
        "expires_at": info.expires_at.isoformat() if info.expires_at else None,
    }


def _info(plain: dict[str, Any]) -> TokenInfo:
    end = plain["expires_at"]
    return TokenInfo(
        id=plain["id"],
        scope=plain["scope"],
        label=plain["label"],
        created_at=datetime.fromisoformat(plain["created_at"]),
        expires_at=None if end is None else datetime.fromisoformat(end),
    )
