"""Who sends next."""

import pytest

from sessionbot_kit.control import FRAGMENT_BYTES, FRAGMENT_COST, MIB, Report, Terms
from sessionbot_kit.errors import UsageError, WireError
from sessionbot_kit.lanes import SMALL_IN_A_ROW, Lanes, Piece

PLENTY = Terms(window=2**31, message_bytes=2**30, unfinished=64, unfinished_bytes=2**30)


def joined(terms: Terms = PLENTY, *, step: int = 100) -> Lanes:
    lanes = Lanes(step=step)
    lanes.resume(Report(), terms)
    return lanes


def sent(lanes: Lanes, most: int = 10_000) -> list[Piece]:
    pieces: list[Piece] = []
    while len(pieces) < most and (piece := lanes.next()) is not None:
        lanes.spend(piece.stop - piece.start)
        pieces.append(piece)
    return pieces


def order(lanes: Lanes, most: int = 10_000) -> list[int]:
    return [piece.seq for piece in sent(lanes, most)]


def test_messages_are_numbered_from_one() -> None:
    lanes = joined()
    assert [lanes.push(1, "a"), lanes.push(1, "a"), lanes.push(1, None)] == [1, 2, 3]


def test_a_short_message_leaves_in_one_piece() -> None:
    lanes = joined()
    lanes.push(100, "a")
    assert sent(lanes) == [Piece(1, 0, 100, 100)]


def test_a_long_message_leaves_in_pieces_that_meet() -> None:
    lanes = joined()
    lanes.push(250, "a")
    assert sent(lanes) == [
        Piece(1, 0, 100, 250),
        Piece(1, 100, 200, 250),
        Piece(1, 200, 250, 250),
    ]


def test_positions_may_count_fragments_instead_of_bytes() -> None:
    lanes = joined(step=1)
    lanes.push(150_000, "a", end=3)
    lanes.push(10, "b", end=1)
    assert sent(lanes) == [
        Piece(2, 0, 1, 1),
        Piece(1, 0, 1, 3),
        Piece(1, 1, 2, 3),
        Piece(1, 2, 3, 3),
    ]


def test_a_short_message_overtakes_a_long_one_of_another_conversation() -> None:
    lanes = joined()
    lanes.push(300, "a")
    assert order(lanes, 1) == [1]
    lanes.push(10, "b")
    assert order(lanes) == [2, 1, 1]


def test_a_short_message_never_overtakes_a_long_one_of_its_own_conversation() -> None:
    lanes = joined()
    lanes.push(300, "a")
    lanes.push(10, "a")
    lanes.push(20, "a")
    assert order(lanes) == [1, 1, 1, 2, 3]


def test_long_messages_take_turns() -> None:
    lanes = joined()
    for conversation in "abc":
        lanes.push(250, conversation)
    assert order(lanes) == [1, 2, 3, 1, 2, 3, 1, 2, 3]


def test_short_messages_let_a_long_one_through_after_sixteen() -> None:
    lanes = joined()
    lanes.push(300, "long")
    for number in range(40):
        lanes.push(1, str(number))
    seqs = order(lanes)
    assert [at for at, seq in enumerate(seqs) if seq == 1] == [16, 33, 42]
    assert SMALL_IN_A_ROW == 16


def test_short_messages_alone_are_not_held_up() -> None:
    lanes = joined()
    for number in range(40):
        lanes.push(1, str(number))
    assert order(lanes) == list(range(1, 41))


def test_a_message_without_conversation_waits_for_all_before_it_and_holds_all_after_it() -> None:
    lanes = joined()
    lanes.push(300, "a")
    lanes.push(10, None)
    lanes.push(10, "b")
    lanes.push(10, None)
    lanes.push(250, None)
    lanes.push(10, "c")
    assert order(lanes) == [1, 1, 1, 2, 3, 4, 5, 5, 5, 6]


def test_a_message_behind_one_without_conversation_waits_even_when_that_has_begun() -> None:
    lanes = joined()
    lanes.push(300, None)
    assert order(lanes, 1) == [1]
    lanes.push(10, "a")
    assert order(lanes) == [1, 1, 2]


def test_nothing_leaves_before_there_is_a_connection() -> None:
    lanes = Lanes()
    lanes.push(1, "a")
    assert lanes.next() is None


def test_nothing_leaves_once_the_credit_is_spent_and_one_frame_may_overdraw_it() -> None:
    lanes = joined(Terms(window=1_000))
    lanes.push(10_000, "a")
    assert len(sent(lanes)) == 3  # each weighs 100 and 256: two leave room for a third
    lanes.grant(1_193)  # an eighth of the window is for short messages
    assert sent(lanes) == []
    lanes.grant(1_194)
    assert len(sent(lanes)) == 1
    assert FRAGMENT_COST == 256


def test_short_messages_leave_on_credit_that_long_ones_may_not_have() -> None:
    lanes = joined(Terms(window=80_000))
    lanes.push(10_000_000, "a")
    assert set(order(lanes)) == {1}
    for _ in range(2 * SMALL_IN_A_ROW):
        lanes.push(1, "b")
    assert order(lanes) == [*range(2, 2 * SMALL_IN_A_ROW + 2)]
    lanes.grant(100_000)
    assert order(lanes, 1) == [1]


def test_an_older_grant_takes_nothing_back() -> None:
    lanes = joined(Terms(window=1_000))
    lanes.grant(10)
    lanes.push(1, "a")
    assert order(lanes) == [1]


def test_no_more_long_messages_are_begun_than_the_receiver_keeps() -> None:
    lanes = joined(Terms(window=MIB, unfinished=2, unfinished_bytes=10_000, message_bytes=9_000))
    for conversation in "abc":
        lanes.push(250, conversation)
    assert order(lanes) == [1, 2, 1, 2, 1, 2, 3, 3, 3]


def test_no_more_bytes_are_begun_than_the_receiver_keeps() -> None:
    lanes = joined(Terms(window=MIB, unfinished=9, unfinished_bytes=600, message_bytes=600))
    for size, conversation in ((300, "a"), (300, "b"), (101, "c")):
        lanes.push(size, conversation)
    lanes.push(5, "d")
    assert order(lanes) == [4, 1, 2, 1, 2, 1, 2, 3, 3]


@pytest.mark.parametrize("size", [-1, 0, 70_000])
def test_a_size_that_the_other_side_does_not_take_is_refused(size: int) -> None:
    lanes = joined(Terms(message_bytes=69_999))
    with pytest.raises(UsageError, match="takes 1 to 69,999"):
        lanes.push(size, "a")
    assert lanes.push(69_999, "a") == 1


def test_it_is_full_by_count_until_something_is_acknowledged() -> None:
    lanes = Lanes(max_messages=2)
    lanes.resume(Report(), PLENTY)
    lanes.push(1, "a")
    assert not lanes.full(1)
    lanes.push(1, "b")
    assert lanes.full(1)
    sent(lanes)
    lanes.acknowledge(1, ())
    assert not lanes.full(1)


def test_it_is_full_of_bytes_for_long_messages_and_never_for_short_ones() -> None:
    lanes = Lanes(max_bytes=200_000)
    lanes.resume(Report(), PLENTY)
    lanes.push(199_999, "a")
    assert not lanes.full(10**9)
    lanes.push(1, "b")
    assert lanes.full(FRAGMENT_BYTES + 1)
    assert not lanes.full(FRAGMENT_BYTES)
    sent(lanes)
    lanes.acknowledge(1, ())
    assert not lanes.full(FRAGMENT_BYTES + 1)


def test_it_is_idle_when_the_last_of_several_has_left() -> None:
    lanes = joined()
    for conversation in "abc":
        lanes.push(10, conversation)
    sent(lanes, 2)
    assert not lanes.idle
    sent(lanes)
    assert lanes.idle


def test_a_message_without_conversation_waits_for_each_of_several() -> None:
    lanes = joined()
    for conversation in "abc":
        lanes.push(150, conversation)
    lanes.push(1, None)
    assert order(lanes) == [1, 2, 3, 1, 2, 3, 4]


def test_room_over_there_is_counted_over_many_messages() -> None:
    lanes = joined(Terms(window=MIB, unfinished=9, unfinished_bytes=600, message_bytes=600))
    for size, conversation in ((300, "a"), (200, "b"), (400, "c"), (300, "d")):
        lanes.push(size, conversation)
    assert order(lanes) == [1, 2, 1, 2, 1, 3, 3, 3, 3, 4, 4, 4]


def test_it_is_idle_when_everything_has_left() -> None:
    lanes = joined()
    assert lanes.idle
    lanes.push(150, None)
    lanes.push(10, "a")
    assert not lanes.idle
    sent(lanes, 2)
    assert not lanes.idle
    sent(lanes)
    assert lanes.idle
    assert lanes.unacknowledged == 2


def test_acknowledged_messages_are_forgotten_by_floor_and_by_range() -> None:
    lanes = joined()
    for number in range(9):
        lanes.push(10, str(number))
    sent(lanes)
    assert lanes.acknowledge(2, [(4, 5), (8, 8)]) == [1, 2, 4, 5, 8]
    assert lanes.acknowledge(2, [(4, 5), (8, 8)]) == []
    assert lanes.unacknowledged == 4
    assert lanes.held_bytes == 40


@pytest.mark.parametrize(("floor", "done"), [(3, []), (0, [(1, 3)])])
def test_more_acknowledged_than_sent_is_a_fault(floor: int, done: list[tuple[int, int]]) -> None:
    lanes = joined()
    lanes.push(1, "a")
    lanes.push(1, "b")
    sent(lanes)
    with pytest.raises(WireError, match="message 3 was acknowledged and only 2 were sent"):
        lanes.acknowledge(floor, done)


def test_an_answer_to_a_message_that_has_not_left_is_a_fault() -> None:
    lanes = joined()
    lanes.push(1, "a")
    with pytest.raises(WireError, match="message 1 was answered before it was sent"):
        lanes.acknowledge(1, ())
    with pytest.raises(WireError, match="message 1 was answered before it was sent"):
        lanes.refuse(1)


def test_a_refused_message_stops_and_the_next_of_its_conversation_begins() -> None:
    lanes = joined()
    lanes.push(1_000, "a")
    lanes.push(10, "a")
    sent(lanes, 2)
    assert lanes.refuse(1)
    assert order(lanes) == [2]
    assert not lanes.refuse(1)
    assert lanes.held_bytes == 10


def test_a_refused_message_makes_room_for_another_long_one() -> None:
    lanes = joined(Terms(window=MIB, unfinished=9, unfinished_bytes=600, message_bytes=600))
    lanes.push(600, "a")
    lanes.push(600, "b")
    sent(lanes, 2)
    lanes.refuse(1)
    assert order(lanes) == [2] * 6


def test_after_a_cut_everything_unacknowledged_leaves_again() -> None:
    lanes = joined()
    for number in range(3):
        lanes.push(10, str(number))
    sent(lanes)
    assert lanes.resume(Report(floor=1), PLENTY) == [1]
    assert order(lanes) == [2, 3]


def test_after_a_cut_a_long_message_goes_on_where_the_receiver_is() -> None:
    lanes = joined()
    lanes.push(450, "a")
    sent(lanes)
    lanes.resume(Report(partial=((1, 300),)), PLENTY)
    assert sent(lanes) == [Piece(1, 300, 400, 450), Piece(1, 400, 450, 450)]


def test_after_a_cut_it_goes_on_at_a_cut_between_fragments() -> None:
    lanes = joined()
    lanes.push(450, "a")
    sent(lanes)
    lanes.resume(Report(partial=((1, 399),)), PLENTY)
    assert sent(lanes, 1) == [Piece(1, 300, 400, 450)]


def test_after_a_cut_what_is_whole_over_there_is_not_sent_again() -> None:
    lanes = joined()
    lanes.push(450, "a")
    lanes.push(10, "a")
    sent(lanes)
    lanes.resume(Report(whole=(1,)), PLENTY)
    assert order(lanes) == [2]
    assert lanes.unacknowledged == 2


def test_after_a_cut_the_half_sent_go_before_the_unsent() -> None:
    lanes = joined()
    lanes.push(500, "a")
    lanes.push(500, "b")
    sent(lanes, 4)
    terms = Terms(window=MIB, unfinished=1, unfinished_bytes=MIB, message_bytes=MIB)
    lanes.resume(Report(partial=((2, 200),)), terms)
    assert order(lanes) == [2, 2, 2, 1, 1, 1, 1, 1]


def test_after_a_cut_the_credit_begins_anew() -> None:
    lanes = joined(Terms(window=300))
    lanes.push(1_000, "a")
    assert len(sent(lanes)) == 1
    lanes.resume(Report(partial=((1, 100),)), Terms(window=300))
    assert len(sent(lanes)) == 1


@pytest.mark.parametrize(
    "report",
    [
        Report(partial=((1, 201),)),
        Report(partial=((2, 1),)),
        Report(partial=((9, 0),)),
        Report(whole=(1,)),
        Report(whole=(9,)),
    ],
)
def test_a_report_of_what_was_never_sent_is_a_fault(report: Report) -> None:
    lanes = joined()
    lanes.push(450, "a")
    lanes.push(450, "a")
    sent(lanes, 2)
    with pytest.raises(WireError, match="and never sent so far"):
        lanes.resume(report, PLENTY)


def test_forgetting_begins_again_at_one_and_says_what_is_lost() -> None:
    lanes = joined()
    lanes.push(450, "a")
    lanes.push(10, "a")
    sent(lanes, 2)
    assert lanes.forget() == 2
    assert (lanes.last_seq, lanes.unacknowledged, lanes.held_bytes) == (0, 0, 0)
    assert lanes.idle
    lanes.resume(Report(), PLENTY)
    assert lanes.push(10, "a") == 1
    assert order(lanes) == [1]


def test_the_defaults_are_the_promised_ones() -> None:
    lanes = Lanes()
    assert lanes.step == FRAGMENT_BYTES == 64 * 1024
    assert (lanes.max_messages, lanes.max_bytes) == (1_024, 96 * MIB)
    assert Terms() == Terms(MIB, 64 * MIB, 64, 96 * MIB)


def test_more_messages_than_a_receiver_keeps_account_of_are_never_open() -> None:
    assert Lanes(max_messages=5_000).max_messages == 1_024
