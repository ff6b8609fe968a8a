"""Our time and theirs."""

from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.channels.session_messenger.clock import KEPT_NODES, NetworkClock

HOUR_MS = 3_600_000


def test_without_an_answer_our_own_clock_counts() -> None:
    assert NetworkClock(lambda: 5.0).now_ms() == 5_000


def test_a_clock_an_hour_off_is_put_right_by_the_first_answer() -> None:
    clock = NetworkClock(lambda: 100.0)
    clock.heard("node", 100_000 + HOUR_MS, 100.0, 100.0)
    assert clock.now_ms() == 100_000 + HOUR_MS


def test_the_way_there_and_back_is_split_in_two() -> None:
    clock = NetworkClock(lambda: 10.0)
    clock.heard("node", 11_000, 10.0, 12.0)
    assert clock.offset_ms == 0


def test_one_node_that_lies_moves_nothing() -> None:
    clock = NetworkClock(lambda: 10.0)
    for node in ("a", "b"):
        clock.heard(node, 10_000, 10.0, 10.0)
    clock.heard("liar", 99_999_999, 10.0, 10.0)
    assert clock.offset_ms == 0


def test_a_node_that_speaks_often_has_one_voice() -> None:
    clock = NetworkClock(lambda: 10.0)
    for node in ("a", "b", "liar", "liar", "liar"):
        clock.heard(node, 99_999 if node == "liar" else 10_000, 10.0, 10.0)
    assert clock.offset_ms == 0


def test_only_the_nodes_heard_last_are_remembered() -> None:
    clock = NetworkClock(lambda: 10.0)
    for number in range(KEPT_NODES * 3):
        clock.heard(str(number), 10_000 if number < KEPT_NODES * 2 else 20_000, 10.0, 10.0)
    assert clock.offset_ms == 10_000


@given(st.none() | st.text() | st.booleans() | st.floats() | st.integers(max_value=0))
def test_what_is_no_time_is_not_heard(t: object) -> None:
    clock = NetworkClock(lambda: 10.0)
    clock.heard("node", t, 10.0, 10.0)
    assert clock.offset_ms == 0


def test_when_our_clock_is_set_what_was_heard_before_counts_no_longer() -> None:
    now = [10.0]
    clock = NetworkClock(lambda: now[0])
    for node in ("a", "b", "c"):
        clock.heard(node, 10_000, 10.0, 10.0)
    now[0] = 3_610.0
    assert clock.offset_ms == 0
    clock.heard("a", 10_000, 3_610.0, 3_610.0)
    assert clock.now_ms() == 10_000


def test_two_messages_in_the_same_millisecond_get_two_names() -> None:
    clock = NetworkClock(lambda: 1.0)
    assert [clock.new_ms() for _ in range(3)] == [1_000, 1_001, 1_002]


def test_a_time_from_before_a_restart_is_not_given_out_again() -> None:
    assert NetworkClock(lambda: 1.0, not_before=5_000).new_ms() == 5_001
