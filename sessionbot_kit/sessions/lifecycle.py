"""The life of a session: its states, and the three clocks that move it.

    new ──spoken──> active ──quiet──> idle ──lapsed──> expired
                      ^──────spoken─────┘        any but the last ──closed──> closed

    clocks = PROFILES["botserver"]
    state_at(session, clocks, now)          # "idle": the state as it is at this moment
    look_again_at(session, clocks)          # when something may happen to it next

One clock says when a session is idle (a mark, nothing is lost), one when it expires, by the kind
of its owner, and one how old a message may become. Each counts from what was said last. The one
rule to remember: **a state is computed from times; what is stored is only what was noticed.**
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from sessionbot_kit.errors import SessionEnded, UsageError
from sessionbot_kit.models import Session
from sessionbot_kit.store import ENDED, State

Event = Literal["spoken", "quiet", "lapsed", "closed"]

TRANSITIONS: Final[Mapping[tuple[State, Event], State]] = {
    ("new", "spoken"): "active",
    ("new", "quiet"): "new",
    ("new", "lapsed"): "expired",
    ("new", "closed"): "closed",
    ("active", "spoken"): "active",
    ("active", "quiet"): "idle",
    ("active", "lapsed"): "expired",
    ("active", "closed"): "closed",
    ("idle", "spoken"): "active",
    ("idle", "quiet"): "idle",
    ("idle", "lapsed"): "expired",
    ("idle", "closed"): "closed",
    ("expired", "lapsed"): "expired",
    ("expired", "closed"): "closed",
    ("closed", "closed"): "closed",
}

# In a session's metadata: how long it alone may be quiet (null: for ever), and from when on.
TTL_KEY: Final = "expire_after_s"
FIXED_KEY: Final = "expires_from_creation"
ENDED_KEY: Final = "ended_at"


def follow(state: State, event: Event) -> State:
    """The state that comes next."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise SessionEnded(
            f"a session that is {state} cannot be {event}; begin a new one with "
            "get_or_create_session"
        ) from None


@dataclass(frozen=True, slots=True)
class Clocks:
    """After how many seconds of silence something happens; None means never."""

    idle_after_s: float | None = 1_800
    anonymous_expires_after_s: float | None = 604_800
    authenticated_expires_after_s: float | None = None
    message_expires_after_s: float | None = None
    removed_after_s: float | None = 2_592_000  # what has ended stays readable for so long
    from_creation: bool = False  # expiry does not wait for silence

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if name != "from_creation" and value is not None and value <= 0:
                raise UsageError(f"{name} is {value}; give seconds above 0, or None for never")


PROFILES: Final[Mapping[str, Clocks]] = {
    "botserver": Clocks(),
    "mybot": Clocks(anonymous_expires_after_s=86_400, authenticated_expires_after_s=86_400),
    "cobot": Clocks(idle_after_s=None, anonymous_expires_after_s=None, removed_after_s=None),
}


def clocks(profile: str) -> Clocks:
    """The clocks of a profile."""
    try:
        return PROFILES[profile]
    except KeyError:
        raise UsageError(
            f"there is no profile {profile!r}; choose one of {', '.join(PROFILES)}"
        ) from None


def expires_at(session: Session, clocks: Clocks) -> datetime | None:
    """When the session expires if nobody says anything more."""
    ttl = session.metadata.get(TTL_KEY, _ttl(session, clocks))
    if not isinstance(ttl, int | float):
        return None
    fixed = session.metadata.get(FIXED_KEY, clocks.from_creation)
    return _later(session.created_at if fixed else session.last_activity, ttl)


def _ttl(session: Session, clocks: Clocks) -> float | None:
    if session.identity == "authenticated":
        return clocks.authenticated_expires_after_s
    return clocks.anonymous_expires_after_s


def state_at(session: Session, clocks: Clocks, now: datetime) -> State:
    """The state at this moment, whether or not somebody has noticed it yet."""
    if session.state in ENDED:
        return session.state
    end = expires_at(session, clocks)
    if end is not None and end <= now:
        return "expired"
    if session.totals.messages == 0 and session.state == "new":
        return "new"
    idle = _idle_at(session, clocks)
    return "idle" if idle is not None and idle <= now else "active"


def look_again_at(
    session: Session, clocks: Clocks, *, oldest: datetime | None = None
) -> datetime | None:
    """When the next thing may happen to a session: None if nothing can.

    `oldest` is the time of its oldest message, needed only where messages have an age.
    """
    if session.state in ENDED:
        return _later(_ended_at(session), clocks.removed_after_s)
    moments = [expires_at(session, clocks)]
    if session.state == "active":
        moments.append(_idle_at(session, clocks))
    if oldest is not None:
        moments.append(_later(oldest, clocks.message_expires_after_s))
    return min((moment for moment in moments if moment is not None), default=None)


def _ended_at(session: Session) -> datetime:
    ended = session.metadata.get(ENDED_KEY)
    return datetime.fromisoformat(ended) if isinstance(ended, str) else session.last_activity


def _idle_at(session: Session, clocks: Clocks) -> datetime | None:
    return _later(session.last_activity, clocks.idle_after_s)


def _later(moment: datetime, seconds: float | None) -> datetime | None:
    return None if seconds is None else moment + timedelta(seconds=seconds)
