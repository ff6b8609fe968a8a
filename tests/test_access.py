"""Who may speak in a session, and how often."""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.access import RateLimiter, check, hashed, new_token, stored
from sessionbot_kit.errors import (
    AccessError,
    RateLimited,
    TokenEnded,
    TokenExpired,
    TokenForeign,
    TokenUnknown,
    UsageError,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
UNKNOWN = "this token is not known; ask for a new session"


def test_a_token_has_256_bits_and_is_safe_in_a_url() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(re.fullmatch(r"[\w-]{43}", token) for token in tokens)


def test_only_the_hash_of_a_token_is_stored() -> None:
    row = stored("secret", "s1", NOW, lives_s=60)
    assert "secret" not in repr(row)
    assert (row.hash, row.expires_at) == (hashed("secret"), NOW + timedelta(seconds=60))
    assert row.created_at == NOW
    assert stored("secret", "s1", NOW).expires_at is None


def test_a_good_token_is_let_in() -> None:
    check("t", stored("t", "s1", NOW), "idle", of="s1", now=NOW)
    check("t", stored("t", "s1", NOW), "active", of=None, now=NOW)


def test_four_refusals_are_told_apart() -> None:
    good = stored("t", "s1", NOW, lives_s=60)
    later = NOW + timedelta(seconds=60)
    cases: list[tuple[type[AccessError], str, str]] = []
    for token, row, state, of, now in (
        ("t", None, None, "s1", NOW),
        ("t", good, None, "s1", NOW),
        ("x", good, "active", "s1", NOW),
        ("t", good, "active", "s1", later),
        ("t", good, "active", "s2", NOW),
        ("t", good, "expired", "s1", NOW),
        ("t", good, "closed", None, NOW),
    ):
        with pytest.raises(AccessError) as error:
            check(token, row, state, of=of, now=now)  # type: ignore[arg-type]  # a table of cases
        cases.append((type(error.value), error.value.code, str(error.value)))
    assert cases == [
        (TokenUnknown, "token_unknown", UNKNOWN),
        (TokenUnknown, "token_unknown", UNKNOWN),
        (TokenUnknown, "token_unknown", UNKNOWN),
        (TokenExpired, "token_expired", "this token expired at 2026-01-01 00:01 UTC; log in"),
        (
            TokenForeign,
            "token_foreign",
            "this token opens another session; use the one of this session",
        ),
        (
            TokenEnded,
            "session_ended",
            "the session of this token is expired; begin a new one",
        ),
        (TokenEnded, "session_ended", "the session of this token is closed; begin a new one"),
    ]


def test_a_lone_surrogate_is_only_another_wrong_token() -> None:
    with pytest.raises(TokenUnknown):
        check("\ud800", None, None, of=None, now=NOW)


@given(st.text())
def test_anything_may_be_shown_as_a_token(text: str) -> None:
    with pytest.raises(TokenUnknown):
        check(text, None, None, of=None, now=NOW)


class Seconds:
    """A steady clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_sixty_messages_a_minute_are_let_in_and_the_next_one_waits_a_second() -> None:
    clock = Seconds()
    limiter = RateLimiter(clock=clock)
    for _ in range(60):
        limiter.take("s")
    with pytest.raises(RateLimited, match=r"more than 60 messages a minute; wait 1\.0 s") as error:
        limiter.take("s")
    assert (error.value.retry_after, error.value.code) == (1.0, "rate_limited")
    clock.now += 1.25
    limiter.take("s")
    with pytest.raises(RateLimited) as error:
        limiter.take("s")
    assert error.value.retry_after == 0.75


def test_each_session_has_a_limit_of_its_own() -> None:
    limiter = RateLimiter(1, clock=Seconds())
    limiter.take("a")
    limiter.take("b")
    with pytest.raises(RateLimited):
        limiter.take("a")


def test_to_be_refused_costs_nothing() -> None:
    clock = Seconds()
    limiter = RateLimiter(6, clock=clock)
    for _ in range(6):
        limiter.take("s")
    for _ in range(100):
        with pytest.raises(RateLimited) as error:
            limiter.take("s")
    assert error.value.retry_after == 10


def test_silence_does_not_save_up_more_than_a_minute() -> None:
    clock = Seconds()
    limiter = RateLimiter(2, clock=clock)
    limiter.take("s")
    clock.now += 10_000
    limiter.take("s")
    limiter.take("s")
    with pytest.raises(RateLimited):
        limiter.take("s")


def test_a_clock_that_goes_back_lets_nobody_in_and_shuts_nobody_out() -> None:
    clock = Seconds()
    limiter = RateLimiter(2, clock=clock)
    limiter.take("s")
    clock.now -= 50
    limiter.take("s")
    with pytest.raises(RateLimited) as error:
        limiter.take("s")
    assert error.value.retry_after == 30


def test_the_longest_unused_bucket_makes_room() -> None:
    limiter = RateLimiter(1, clock=Seconds(), max_buckets=2)
    for name in "abc":
        limiter.take(name)
    assert len(limiter) == 2
    limiter.take("a")
    with pytest.raises(RateLimited):
        limiter.take("c")


@given(st.integers(1, 30), st.lists(st.floats(0, 30), max_size=60))
def test_nobody_ever_gets_more_than_twice_the_limit_in_a_minute(
    per_minute: int, waits: list[float]
) -> None:
    clock = Seconds()
    limiter = RateLimiter(per_minute, clock=clock)
    let_in: list[float] = []
    for wait in waits:
        clock.now += wait
        with suppress(RateLimited):
            limiter.take("s")
            let_in.append(clock.now)
    for begin in let_in:
        assert sum(begin <= moment < begin + 60 for moment in let_in) <= 2 * per_minute


@pytest.mark.parametrize("wrong", [{"per_minute": 0}, {"max_buckets": 0}])
def test_a_limit_that_lets_nobody_in_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="at least 1 message a minute, in 1 bucket"):
        RateLimiter(**wrong)  # type: ignore[arg-type]  # one of two numbers
