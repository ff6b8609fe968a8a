"""How long to wait before calling again."""

import random

from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.backoff import Backoff


def test_the_bound_doubles_up_to_half_a_minute() -> None:
    backoff = Backoff(lambda: 1.0)
    assert [backoff.delay() for _ in range(8)] == [1, 2, 4, 8, 16, 30, 30, 30]


def test_the_delay_is_any_part_of_the_bound() -> None:
    backoff = Backoff(iter([0.0, 0.25, 0.5]).__next__)
    assert [backoff.delay() for _ in range(3)] == [0.0, 0.5, 2.0]


def test_a_connection_that_lasted_a_minute_starts_over() -> None:
    backoff = Backoff(lambda: 1.0)
    for _ in range(5):
        backoff.delay()
    backoff.lasted(60.0)
    assert backoff.delay() == 1


def test_a_connection_that_broke_at_once_starts_nothing_over() -> None:
    backoff = Backoff(lambda: 1.0)
    for _ in range(3):
        backoff.delay()
    backoff.lasted(59.9)
    assert backoff.delay() == 8


def test_every_bound_is_a_setting() -> None:
    backoff = Backoff(lambda: 1.0, first_s=0.1, most_s=0.3, stable_s=5.0)
    assert [backoff.delay() for _ in range(4)] == [0.1, 0.2, 0.3, 0.3]
    backoff.lasted(5.0)
    assert backoff.delay() == 0.1


def test_it_can_go_on_for_ever() -> None:
    backoff = Backoff(lambda: 1.0)
    assert {backoff.delay() for _ in range(2_000)} == {1, 2, 4, 8, 16, 30}


@given(st.integers())
def test_on_average_it_calls_less_than_once_a_second(seed: int) -> None:
    backoff = Backoff(random.Random(seed).random)
    assert sum(backoff.delay() for _ in range(50)) > 50
