"""The states of a session, and its three clocks."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.errors import SessionEnded, UsageError
from sessionbot_kit.models import Session, SessionKey, Totals
from sessionbot_kit.sessions.lifecycle import (
    ENDED_KEY,
    FIXED_KEY,
    PROFILES,
    TRANSITIONS,
    TTL_KEY,
    Clocks,
    Event,
    clocks,
    expires_at,
    follow,
    look_again_at,
    state_at,
)
from sessionbot_kit.store import ENDED, State

BORN = datetime(2026, 1, 1, tzinfo=UTC)
SPOKEN = BORN + timedelta(hours=1)


def session(**more: Any) -> Session:
    fields: dict[str, Any] = {
        "id": "s",
        "seq": 1,
        "key": SessionKey("b", "web", "c", "u"),
        "state": "active",
        "totals": Totals(messages=1),
        "created_at": BORN,
        "last_activity": SPOKEN,
    }
    return Session(**{**fields, **more})


def after(seconds: float) -> datetime:
    return SPOKEN + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("seconds", "state"),
    [
        (0, "active"),
        (1799, "active"),
        (1800, "idle"),
        (604_799, "idle"),
        (604_800, "expired"),
        (-3600, "active"),
    ],
)
def test_an_anonymous_session_is_idle_after_half_an_hour_and_expires_after_a_week(
    seconds: float, state: str
) -> None:
    assert state_at(session(), Clocks(), after(seconds)) == state


def test_an_authenticated_session_never_expires() -> None:
    own = session(identity="authenticated")
    assert expires_at(own, Clocks()) is None
    assert state_at(own, Clocks(), after(10**9)) == "idle"


def test_a_session_in_which_nobody_spoke_stays_new_until_it_expires() -> None:
    new = session(state="new", totals=Totals(), last_activity=BORN)
    assert state_at(new, Clocks(), after(10_000)) == "new"
    assert state_at(new, Clocks(), after(700_000)) == "expired"


@pytest.mark.parametrize("state", ["expired", "closed"])
def test_what_has_ended_stays_ended(state: State) -> None:
    assert state_at(session(state=state), PROFILES["cobot"], SPOKEN) == state


def test_the_profile_of_mybot_ends_every_session_after_a_quiet_day() -> None:
    for identity in ("anonymous", "authenticated"):
        own = session(identity=identity)
        assert expires_at(own, PROFILES["mybot"]) == after(86_400)


def test_the_profile_of_cobot_knows_no_clock() -> None:
    assert state_at(session(), PROFILES["cobot"], after(10**9)) == "active"
    assert look_again_at(session(), PROFILES["cobot"]) is None


def test_expiry_slides_with_each_message_unless_it_counts_from_creation() -> None:
    fixed = replace(PROFILES["mybot"], from_creation=True)
    assert expires_at(session(), fixed) == BORN + timedelta(days=1)
    assert expires_at(session(metadata={FIXED_KEY: True}), PROFILES["mybot"]) == (
        BORN + timedelta(days=1)
    )


def test_what_a_session_has_of_its_own_wins_over_its_clocks() -> None:
    assert expires_at(session(metadata={TTL_KEY: 60}), Clocks()) == after(60)
    assert expires_at(session(metadata={TTL_KEY: None}), Clocks()) is None


def test_the_janitor_looks_again_when_something_may_happen() -> None:
    assert look_again_at(session(), Clocks()) == after(1800)
    assert look_again_at(session(state="idle"), Clocks()) == after(604_800)
    assert look_again_at(session(state="idle", identity="authenticated"), Clocks()) is None


def test_the_janitor_looks_again_when_the_oldest_message_is_too_old() -> None:
    day = Clocks(message_expires_after_s=86_400)
    assert look_again_at(session(state="idle"), day, oldest=BORN) == BORN + timedelta(days=1)


def test_what_has_ended_is_looked_at_when_it_may_be_removed() -> None:
    ended = session(state="closed", metadata={ENDED_KEY: after(10).isoformat()})
    assert look_again_at(ended, Clocks()) == after(10 + 2_592_000)
    assert look_again_at(session(state="closed"), Clocks()) == after(2_592_000)
    assert look_again_at(ended, PROFILES["cobot"]) is None


@given(
    st.sampled_from(get_args(State)),
    st.sampled_from(["anonymous", "authenticated"]),
    st.sampled_from(list(PROFILES.values())),
    st.integers(0, 10**8),
)
def test_a_look_at_the_right_moment_always_finds_something_to_do(
    state: State, identity: str, clocks: Clocks, seconds: int
) -> None:
    own = session(state=state, identity=identity)
    moment = look_again_at(own, clocks)
    if state in ENDED or moment is None:
        return
    assert state_at(own, clocks, moment) != state or state == "new"


def test_every_state_and_event_of_the_table_leads_to_a_state() -> None:
    assert {state for state, _ in TRANSITIONS} == set(get_args(State))
    assert {event for _, event in TRANSITIONS} == set(get_args(Event))
    assert set(TRANSITIONS.values()) == set(get_args(State))


@pytest.mark.parametrize(("transition", "state"), TRANSITIONS.items())
def test_a_transition_is_followed(transition: tuple[State, Event], state: State) -> None:
    assert follow(*transition) == state


@pytest.mark.parametrize(
    ("state", "event"),
    [("expired", "spoken"), ("expired", "quiet"), ("closed", "spoken"), ("closed", "lapsed")],
)
def test_what_has_ended_does_not_come_back(state: State, event: Event) -> None:
    with pytest.raises(SessionEnded, match=f"a session that is {state} cannot be {event}; begin"):
        follow(state, event)


def test_a_profile_is_named() -> None:
    assert clocks("mybot") is PROFILES["mybot"]
    with pytest.raises(UsageError, match="no profile 'x'; choose one of botserver, mybot, cobot"):
        clocks("x")


@pytest.mark.parametrize("name", [name for name in Clocks.__slots__ if name.endswith("_s")])
def test_a_span_of_no_time_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is 0; give seconds above 0, or None for never"):
        Clocks(**dict.fromkeys([name], 0))  # type: ignore[arg-type]  # only spans are named
