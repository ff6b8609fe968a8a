"""How often the mailbox is looked into."""

from sessionbot_kit.channels.session_messenger.pace import Pace


def waits(pace: Pace, count: int, *, now: float = 0.0) -> list[float]:
    return [round(pace.wait_s(now), 2) for _ in range(count)]


def test_nobody_talks_and_the_mailbox_is_looked_into_slowly() -> None:
    assert waits(Pace(fast_s=1, slow_s=5), 3) == [5, 5, 5]


def test_while_somebody_talks_it_is_looked_into_fast() -> None:
    pace = Pace(fast_s=1, slow_s=5, active_s=60)
    pace.stirred(0.0)
    assert waits(pace, 3, now=59.0) == [1, 1, 1]


def test_when_the_talk_is_over_it_slows_down_step_by_step() -> None:
    pace = Pace(fast_s=1, slow_s=2, active_s=60, slowing=1.5)
    pace.stirred(0.0)
    assert waits(pace, 4, now=61.0) == [1.5, 2, 2, 2]


def test_while_nothing_works_it_waits_longer_and_longer_but_not_for_ever() -> None:
    pace = Pace(fast_s=1, slow_s=5)
    pace.stirred(0.0)
    seen = []
    for _ in range(8):
        pace.failed()
        seen.append(pace.wait_s(0.0))
    assert seen == [2, 4, 8, 16, 32, 60, 60, 60]


def test_when_it_works_again_it_is_as_fast_as_before() -> None:
    pace = Pace(fast_s=1, slow_s=5)
    pace.stirred(0.0)
    pace.failed()
    pace.worked()
    assert (pace.wait_s(0.0), pace.failures) == (1, 0)


def test_slow_is_never_faster_than_fast() -> None:
    assert waits(Pace(fast_s=9, slow_s=1), 1) == [9]


def test_by_default_a_talk_is_noticed_within_a_second() -> None:
    pace = Pace()
    pace.stirred(0.0)
    assert pace.wait_s(100.0) <= 0.8
