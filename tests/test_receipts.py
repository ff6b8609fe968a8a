"""What has arrived, and how much more may come."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.control import MAX_OPEN, Ack, Report, Terms
from sessionbot_kit.errors import FragmentError, WireError
from sessionbot_kit.receipts import MAX_UNHANDLED, Receipts

SMALL = Terms(window=1_000)


def handle(receipts: Receipts, *seqs: int) -> None:
    for seq in seqs:
        receipts.complete(seq, 1)
        receipts.handled(seq)


def test_what_is_new_is_taken_and_what_was_handled_is_not() -> None:
    receipts = Receipts(Terms())
    assert receipts.fragment(1, 10)
    assert receipts.fragment(1, 10)
    handle(receipts, 1, 3)
    assert [receipts.fragment(seq, 10) for seq in (1, 2, 3, 4)] == [False, True, False, True]


def test_what_is_whole_is_known_and_not_acknowledged_until_it_is_handled() -> None:
    receipts = Receipts(Terms())
    receipts.complete(1, 500)
    assert receipts.knows(1)
    assert receipts.ack().floor == 0
    receipts.handled(1)
    assert receipts.ack().floor == 1


@given(st.permutations(range(1, 40)))
def test_numbers_handled_in_any_order_end_in_one_floor(seqs: list[int]) -> None:
    receipts = Receipts(Terms())
    seen: set[int] = set()
    for seq in seqs:
        assert not receipts.knows(seq)
        handle(receipts, seq)
        seen.add(seq)
        covered = {n for a, b in receipts.done for n in range(a, b + 1)}
        assert covered | set(range(1, receipts.floor + 1)) == seen
        assert receipts.done == sorted(receipts.done)
        assert all(after[0] > before[1] + 1 for before, after in pairwise(receipts.done))
        assert not receipts.done or receipts.done[0][0] > receipts.floor + 1
    assert (receipts.floor, receipts.done) == (39, [])


def test_a_refused_number_is_over() -> None:
    receipts = Receipts(Terms())
    receipts.refused(1)
    receipts.refused(1)
    assert not receipts.fragment(1, 10)
    assert receipts.unacknowledged == 1
    assert receipts.ack().floor == 1


def test_a_number_that_is_whole_cannot_be_refused_any_more() -> None:
    receipts = Receipts(Terms())
    receipts.complete(1, 10)
    receipts.refused(1)
    assert receipts.ack().floor == 0


def test_it_has_begun_when_a_message_has_come_whole() -> None:
    receipts = Receipts(Terms())
    receipts.fragment(2, 10)
    assert not receipts.begun
    receipts.complete(2, 10)
    assert receipts.begun
    receipts.handled(2)
    assert receipts.begun
    handle(receipts, 1)
    assert receipts.begun


def test_a_fragment_may_begin_while_there_is_credit_and_not_after() -> None:
    receipts = Receipts(SMALL)
    receipts.fragment(1, 743)
    receipts.fragment(2, 5_000)
    with pytest.raises(FragmentError, match=r"1,000 bytes of credit were .*wait for") as caught:
        receipts.fragment(3, 1)
    assert (caught.value.code, caught.value.fatal) == ("over_credit", True)


def test_exactly_spent_credit_is_spent() -> None:
    receipts = Receipts(SMALL)
    receipts.fragment(1, 744)
    with pytest.raises(WireError, match="wait for credit"):
        receipts.fragment(2, 1)


def test_credit_is_due_when_half_a_window_was_consumed() -> None:
    receipts = Receipts(SMALL)
    receipts.fragment(1, 243)  # and 256 on top
    assert not receipts.credit_due
    receipts.fragment(2, 1)
    assert receipts.credit_due
    assert receipts.ack() == Ack(0, (), credit=1_756)
    assert not receipts.credit_due


def test_credit_is_due_at_half_a_window_and_no_later() -> None:
    receipts = Receipts(SMALL)
    receipts.fragment(1, 244)
    assert receipts.credit_due


def test_a_new_connection_begins_with_a_full_window() -> None:
    receipts = Receipts(SMALL)
    receipts.fragment(1, 700)
    handle(receipts, 1)
    receipts.connected()
    assert receipts.granted == 1_000
    assert receipts.unacknowledged == 0
    assert receipts.fragment(2, 700)
    assert receipts.ack().credit == 1_956


def test_a_slow_application_stops_the_credit_by_bytes() -> None:
    receipts = Receipts(SMALL)
    receipts.fragment(1, 800)
    receipts.complete(1, 999)
    assert receipts.credit_due
    receipts.complete(2, 1)
    assert not receipts.credit_due
    assert receipts.ack().credit == 1_000
    receipts.handled(2)
    assert receipts.credit_due
    assert receipts.ack().credit == 2_056


def test_a_slow_application_stops_the_credit_by_count() -> None:
    receipts = Receipts(Terms(window=10_000))
    receipts.fragment(1, 9_000)
    for seq in range(1, MAX_UNHANDLED):
        receipts.complete(seq, 1)
    assert receipts.credit_due
    receipts.complete(MAX_UNHANDLED, 1)
    assert not receipts.credit_due
    assert MAX_UNHANDLED == 256


def test_what_waits_is_counted_until_it_is_handled() -> None:
    receipts = Receipts(Terms())
    for seq, size in ((1, 10), (2, 300), (3, 5)):
        receipts.complete(seq, size)
    receipts.handled(2)
    assert (receipts.unhandled_bytes, list(receipts.unhandled)) == (15, [1, 3])


def test_an_ack_counts_as_told() -> None:
    receipts = Receipts(Terms())
    handle(receipts, 1, 2, 5, 6, 4)
    assert receipts.unacknowledged == 5
    assert receipts.ack() == Ack(2, ((4, 6),), credit=Terms().window)
    assert receipts.unacknowledged == 0


def test_a_report_names_whole_messages_and_how_far_half_ones_are() -> None:
    receipts = Receipts(Terms())
    handle(receipts, 1, 3)
    receipts.complete(4, 77)
    assert receipts.report({2: 10}) == Report(1, ((3, 3),), (4,), ((2, 10),))


def test_a_peer_that_leaves_gaps_everywhere_is_stopped() -> None:
    receipts = Receipts(Terms())
    handle(receipts, *range(2, 2 * MAX_OPEN + 1, 2))
    with pytest.raises(WireError, match=r"more than 1,024 messages are missing .*without gaps"):
        handle(receipts, 2 * MAX_OPEN + 2)


def test_a_peer_that_sends_on_without_an_acknowledgement_is_stopped() -> None:
    receipts = Receipts(Terms())
    for seq in range(1, MAX_OPEN + 1):
        receipts.complete(seq, 1)
    with pytest.raises(WireError, match="more than 1,024 messages came without"):
        receipts.complete(MAX_OPEN + 1, 1)
