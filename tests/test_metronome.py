from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.metronome import Metronome

STEPS = st.lists(st.floats(0, 2), min_size=1, max_size=60)


@given(STEPS, st.integers(1, 5))
def test_never_more_than_so_many_in_a_second_after_the_burst(
    steps: list[float], burst: int
) -> None:
    metronome, now, moments = Metronome(2.0, burst=burst), 0.0, []
    for step in steps:
        now += step
        moments.append(now + metronome.wait_s(now))
    assert moments == sorted(moments)
    for first, later in zip(moments, moments[burst:], strict=False):
        assert later - first >= burst * 0.5 - (burst - 1) * 0.5 - 1e-9


def test_the_first_one_does_not_wait_and_the_next_ones_do() -> None:
    metronome = Metronome(4.0)
    assert [metronome.wait_s(10.0) for _ in range(3)] == [0.0, 0.25, 0.5]
    assert metronome.wait_s(20.0) == 0.0


def test_after_a_rest_a_burst_may_pass() -> None:
    metronome = Metronome(1.0, burst=3)
    assert [metronome.wait_s(100.0) for _ in range(5)] == [0.0, 0.0, 0.0, 1.0, 2.0]
