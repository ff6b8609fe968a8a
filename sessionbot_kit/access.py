"""Who may speak in a session: tokens, and how many messages a minute.

    token = new_token()                              # 43 characters; the visitor keeps it
    row = stored(token, session.id, now)             # only its hash is ever stored
    check(token, row, session, of=session.id, now=now)   # says nothing, or which of four refusals

The one rule to remember: a token is worth a session, so it is stored as a hash, compared in
constant time, and replaced whenever its owner changes: at login, merge and transfer.
"""

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from sessionbot_kit.errors import (
    RateLimited,
    TokenEnded,
    TokenExpired,
    TokenForeign,
    TokenUnknown,
    UsageError,
)
from sessionbot_kit.store import ENDED, State, TokenRow

TOKEN_BYTES: Final = 32


def new_token() -> str:
    """256 bits of chance, safe in a URL."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def hashed(token: str) -> str:
    """What is stored of a token. It is long and random, so a plain hash cannot be guessed."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def stored(token: str, session_id: str, now: datetime, *, lives_s: float | None = None) -> TokenRow:
    """The row that stands for a token; without `lives_s` it lives as long as its session."""
    end = None if lives_s is None else now + timedelta(seconds=lives_s)
    return TokenRow(hash=hashed(token), session_id=session_id, created_at=now, expires_at=end)


def check(
    token: str, row: TokenRow | None, state: State | None, *, of: str | None, now: datetime
) -> None:
    """Refuse a token that is unknown, expired, of another session than `of`, or of an ended one.

    `row` is what the store has under its hash, `state` that of the row's session.
    """
    known = row.hash if row is not None else "0" * 64
    same = hmac.compare_digest(hashed(token), known)
    if row is None or state is None or not same:
        raise TokenUnknown("this token is not known; ask for a new session")
    if row.expires_at is not None and row.expires_at <= now:
        raise TokenExpired(f"this token expired at {row.expires_at:%Y-%m-%d %H:%M} UTC; log in")
    if of is not None and not hmac.compare_digest(of.encode(), row.session_id.encode()):
        raise TokenForeign("this token opens another session; use the one of this session")
    if state in ENDED:
        raise TokenEnded(f"the session of this token is {state}; begin a new one")


class RateLimiter:
    """A bucket of messages for each session, filled again evenly over a minute."""

    def __init__(
        self,
        per_minute: int = 60,
        *,
        clock: Callable[[], float] = time.monotonic,
        max_buckets: int = 10_000,
    ) -> None:
        if per_minute < 1 or max_buckets < 1:
            raise UsageError("a rate limit allows at least 1 message a minute, in 1 bucket")
        self.per_minute = per_minute
        self._clock = clock
        self._max_buckets = max_buckets
        # Session id: messages left, and when that was counted. The longest unused comes first.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, session_id: str) -> None:
        """Count one message, or refuse it with RateLimited and say how long to wait."""
        now = self._clock()
        left = self._left(session_id, now)
        if left < 1:
            wait = (1 - left) * 60 / self.per_minute
            raise RateLimited(
                f"more than {self.per_minute} messages a minute; wait {wait:.1f} s",
                retry_after=wait,
            )
        self._buckets[session_id] = (left - 1, now)
        self._buckets.move_to_end(session_id)
        if len(self._buckets) > self._max_buckets:
            self._buckets.popitem(last=False)

    def forget(self, session_id: str) -> None:
        """Let a session begin with a full bucket."""
        self._buckets.pop(session_id, None)

    def _left(self, session_id: str, now: float) -> float:
        left, then = self._buckets.get(session_id, (float(self.per_minute), now))
        return min(self.per_minute, left + max(0.0, now - then) * self.per_minute / 60)
