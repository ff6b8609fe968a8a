"""What may be said when on a link, and what the two ends make of it."""

from dataclasses import replace

import pytest

from sessionbot_kit.control import Ack, Control, Greeting, Leave, Refusal, Report, Terms
from sessionbot_kit.errors import UsageError, WireError
from sessionbot_kit.lanes import Piece
from sessionbot_kit.wire import (
    ACK_DELAY,
    ACK_EVERY,
    MAX_REFUSALS,
    TRANSITIONS,
    Event,
    Freed,
    Left,
    Opened,
    Refused,
    State,
    Wire,
)

SESSION = "0123456789abcdef"


def greeting_of(wire: Wire) -> Greeting:
    item = wire.poll(0.0)
    assert isinstance(item, Greeting)
    return item


def control_of(wire: Wire, now: float = 0.0) -> Control:
    item = wire.poll(now)
    assert item is not None
    assert not isinstance(item, Piece)
    return item


def called() -> tuple[Wire, Greeting]:
    client = Wire(SESSION)
    client.connect({})
    return client, greeting_of(client)


def joined() -> tuple[Wire, Wire]:
    client, greeting = called()
    server = Wire(SESSION, epoch="one")
    server.accept(greeting, {})
    client.feed(greeting_of(server))
    return client, server


def reconnect(client: Wire, server: Wire) -> tuple[Opened, Opened]:
    for wire in (client, server):
        wire.cut()
    client.connect({})
    accepted = server.accept(greeting_of(client), {})
    opened = client.feed(greeting_of(server))
    assert isinstance(opened, Opened)
    return accepted, opened


def carry(sender: Wire, receiver: Wire) -> list[int]:
    """Bring every piece over whole; returns the numbers."""
    seqs = []
    while isinstance(item := sender.poll(0.0), Piece):
        sender.spend(item.stop - item.start)
        assert receiver.fragment(item.seq, item.stop - item.start)
        if item.stop == item.end:
            receiver.complete(item.seq, item.end)
            seqs.append(item.seq)
    assert item is None
    return seqs


def test_a_client_greets_first_and_without_an_epoch() -> None:
    _, greeting = called()
    assert greeting == Greeting(SESSION, "", Terms(), Report(), recovered=True)


def test_the_server_answers_with_its_epoch_and_both_are_open() -> None:
    client, greeting = called()
    server = Wire(SESSION, epoch="one")
    assert server.accept(greeting, {}) == Opened(recovered=True, freed=[], lost=0)
    answer = greeting_of(server)
    assert answer == Greeting(SESSION, "one", Terms(), Report(), recovered=True)
    assert client.feed(answer) == Opened(recovered=True, freed=[], lost=0)
    assert client.state is server.state is State.OPEN
    assert client.epoch == "one"


def test_pieces_flow_when_the_link_is_open_and_not_before() -> None:
    client, _ = joined()
    client.push(10, "a")
    assert client.poll(0.0) == Piece(1, 0, 10, 10)
    client.cut()
    assert client.poll(0.0) is None
    client.connect({})
    assert isinstance(client.poll(0.0), Greeting)
    assert client.poll(0.0) is None


def test_a_handled_message_is_acknowledged_after_a_moment() -> None:
    client, server = joined()
    client.push(10, "a")
    assert carry(client, server) == [1]
    assert server.due is None
    server.handled(1, now=5.0)
    assert server.due == 5.0 + ACK_DELAY
    assert server.poll(5.0) is None
    assert server.poll(5.0 + ACK_DELAY) == Ack(1, (), credit=Terms().window + 266)
    assert server.due is None
    assert server.poll(99.0) is None


def test_the_moment_is_counted_from_the_first_that_waits() -> None:
    client, server = joined()
    client.push(10, "a")
    client.push(10, "a")
    carry(client, server)
    server.handled(1, now=5.0)
    server.handled(2, now=6.0)
    assert server.due == 5.0 + ACK_DELAY


def test_many_handled_messages_are_acknowledged_at_once() -> None:
    client, server = joined()
    for _ in range(ACK_EVERY):
        client.push(10, "a")
    for seq in carry(client, server):
        assert server.poll(0.0) is None
        server.handled(seq, now=0.0)
    ack = control_of(server)
    assert isinstance(ack, Ack)
    assert ack.floor == ACK_EVERY
    assert client.feed(ack) == Freed(list(range(1, ACK_EVERY + 1)))
    assert client.lanes.unacknowledged == 0
    assert server.due is None


def test_consumed_bytes_come_back_as_credit_before_anything_is_handled() -> None:
    client, server = joined()
    client.push(600_000, "a")
    assert carry(client, server) == [1]
    assert control_of(server) == Ack(0, (), credit=Terms().window + 600_000 + 10 * 256)


def test_credit_that_is_granted_lets_more_leave() -> None:
    client, _ = joined()
    client.push(5_000_000, "a")
    first = carry_some(client)
    client.feed(Ack(0, (), credit=2 * Terms().window))
    assert (first, carry_some(client)) == (14, 16)


def carry_some(wire: Wire) -> int:
    count = 0
    while isinstance(item := wire.poll(0.0), Piece):
        wire.spend(item.stop - item.start)
        count += 1
    return count


def test_a_fragment_of_a_handled_message_is_thrown_away() -> None:
    client, server = joined()
    client.push(10, "a")
    carry(client, server)
    assert not server.fragment(1, 10)
    server.handled(1, now=0.0)
    assert not server.fragment(1, 10)


def test_a_refused_message_is_answered_and_the_link_goes_on() -> None:
    client, server = joined()
    client.push(10, "a")
    carry_some(client)
    server.fragment(1, 10)
    server.refuse(1, "bad_digest")
    refusal = control_of(server)
    assert refusal == Refusal(1, "bad_digest")
    assert client.feed(refusal) == Refused(1, "bad_digest")
    assert client.lanes.unacknowledged == 0
    assert not server.fragment(1, 10)
    client.push(10, "a")
    assert carry(client, server) == [2]


def test_a_frame_that_names_no_message_is_refused_with_number_zero() -> None:
    client, server = joined()
    server.refuse(0, "not_json")
    assert server.receipts.floor == 0
    assert client.feed(control_of(server)) == Refused(0, "not_json")


def test_a_peer_that_earns_refusals_and_reads_none_is_cut() -> None:
    _, server = joined()
    for _ in range(MAX_REFUSALS):
        server.refuse(0, "not_json")
    with pytest.raises(WireError, match="100 messages were refused and no answer was read"):
        server.refuse(0, "not_json")


def test_after_a_cut_both_sides_go_on_where_they_were() -> None:
    client, server = joined()
    for _ in range(3):
        client.push(10, "a")
    carry(client, server)
    server.handled(1, now=0.0)
    accepted, opened = reconnect(client, server)
    assert accepted == Opened(recovered=True, freed=[], lost=0)
    assert opened == Opened(recovered=True, freed=[1], lost=0)
    assert client.poll(0.0) is None, "what is whole over there is not sent again"
    server.handled(2, now=0.0)
    server.handled(3, now=0.0)
    assert client.feed(control_of(server, now=1.0)) == Freed([2, 3])


def test_after_a_cut_a_half_received_message_goes_on_from_its_byte() -> None:
    client, server = joined()
    client.push(200_000, "a")
    carry_some(client)
    client.cut()
    server.cut()
    client.connect({})
    server.accept(greeting_of(client), {1: 131_072})
    client.feed(greeting_of(server))
    assert client.poll(0.0) == Piece(1, 131_072, 196_608, 200_000)


def test_what_the_client_holds_is_in_its_greeting() -> None:
    client, _ = joined()
    client.cut()
    client.connect({4: 9})
    assert greeting_of(client).report == Report(partial=((4, 9),))


def test_a_refusal_is_said_on_the_next_connection_if_there_was_no_time_before() -> None:
    client, server = joined()
    client.push(10, "a")
    carry_some(client)
    server.refuse(1, "bad_digest")
    _, opened = reconnect(client, server)
    assert opened.freed == [1]
    assert client.feed(control_of(server)) == Refused(1, "bad_digest")
    assert server.poll(0.0) is None


def test_a_handled_message_is_told_by_the_greeting_and_not_again_by_an_ack() -> None:
    client, server = joined()
    client.push(10, "a")
    carry(client, server)
    server.handled(1, now=0.0)
    reconnect(client, server)
    assert server.due is None
    assert server.poll(99.0) is None


def test_a_server_that_was_started_again_says_so_and_both_begin_at_one() -> None:
    client, _ = joined()
    client.push(10, "a")
    client.push(10, "a")
    carry_some(client)
    client.cut()
    client.connect({})
    again = Wire(SESSION, epoch="two")
    accepted = again.accept(greeting_of(client), {})
    answer = greeting_of(again)
    assert (accepted.recovered, answer.recovered) == (False, False)
    assert client.feed(answer) == Opened(recovered=False, freed=[], lost=2)
    assert client.epoch == "two"
    assert client.push(10, "a") == 1
    assert carry(client, again) == [1]


def test_what_a_client_tells_of_an_earlier_run_is_not_held_against_it() -> None:
    _, greeting = called()
    server = Wire(SESSION, epoch="two")
    old = Report(floor=5, done=((7, 7),), whole=(8,), partial=((9, 1),))
    assert not server.accept(replace(greeting, epoch="one", report=old), {}).recovered
    assert server.state is State.OPEN


def test_a_short_message_overtakes_one_of_another_conversation_and_none_of_its_own() -> None:
    client, _ = joined()
    client.push(200_000, "a")
    client.push(10, "a")
    client.push(10, "b")
    seqs = []
    while isinstance(item := client.poll(0.0), Piece):
        client.spend(1)
        seqs.append(item.seq)
    assert seqs == [3, 1, 1, 1, 1, 2]


def test_positions_end_where_the_codec_says() -> None:
    client, _ = joined()
    client.push(500, "a", end=3)
    assert client.poll(0.0) == Piece(1, 0, 3, 3)


def test_a_client_that_missed_the_first_answer_is_greeted_again_the_same_way() -> None:
    client, greeting = called()
    server = Wire(SESSION, epoch="one")
    server.accept(greeting, {})
    server.push(10, "a")
    server.poll(0.0)
    carry_some(server)
    assert reconnect(client, server) == (Opened(freed=[]), Opened(freed=[]))
    assert server.poll(0.0) == Piece(1, 0, 10, 10)


def test_a_client_that_missed_the_news_of_a_restart_hears_it_again() -> None:
    client, _ = joined()
    server = Wire(SESSION, epoch="two")
    client.cut()
    client.connect({})
    server.accept(greeting_of(client), {})
    accepted, opened = reconnect(client, server)
    assert (accepted.recovered, opened.recovered) == (False, False)


def test_a_client_that_has_lost_its_memory_is_not_taken_for_the_old_one() -> None:
    client, server = joined()
    client.push(10, "a")
    carry(client, server)
    server.cut()
    _, greeting = called()
    with pytest.raises(WireError, match=r"from epoch '' and this is 'one'; begin a new session$"):
        server.accept(greeting, {})


def test_a_client_of_a_third_epoch_is_refused() -> None:
    _, server = joined()
    server.cut()
    _, greeting = called()
    with pytest.raises(WireError, match="begin a new session"):
        server.accept(replace(greeting, epoch="three"), {})


@pytest.mark.parametrize(
    "change",
    [{"session": "fedcba9876543210"}, {"recovered": False}],
)
def test_an_answer_that_does_not_fit_the_call_is_a_fault(change: dict[str, object]) -> None:
    client, greeting = called()
    with pytest.raises(WireError, match="answered a call of"):
        client.feed(replace(greeting, epoch="one", **change))  # type: ignore[arg-type]  # by design


def test_an_answer_that_claims_to_recover_another_epoch_is_a_fault() -> None:
    client, _ = joined()
    client.cut()
    client.connect({})
    greeting = greeting_of(client)
    with pytest.raises(WireError, match="answered a call of"):
        client.feed(replace(greeting, epoch="two"))
    assert client.feed(greeting) == Opened(freed=[])


def test_a_second_greeting_on_a_connection_is_a_fault() -> None:
    client, server = joined()
    client_greeting = Greeting(SESSION, "one", Terms(), Report())
    with pytest.raises(WireError, match="GREETED came while the link was OPEN"):
        client.feed(client_greeting)
    with pytest.raises(WireError, match="GREETED came while the link was OPEN"):
        server.accept(client_greeting, {})


@pytest.mark.parametrize("control", [Ack(0), Refusal(1, "x")])
def test_nothing_is_said_before_the_greeting(control: Control) -> None:
    client, _ = called()
    expected = f"{control.type} came while the link was GREETING; greet first"
    with pytest.raises(WireError, match=expected):
        client.feed(control)


def test_no_fragment_comes_before_the_greeting() -> None:
    client, _ = called()
    with pytest.raises(WireError, match="a fragment came while the link was GREETING"):
        client.fragment(1, 10)


def test_a_report_of_more_than_was_sent_is_a_fault() -> None:
    client, server = joined()
    server.cut()
    client.cut()
    client.connect({})
    greeting = replace(greeting_of(client), report=Report(floor=5))
    with pytest.raises(WireError, match="message 5 was acknowledged and only 0 were sent"):
        server.accept(greeting, {})


def test_a_link_that_has_not_met_its_peer_takes_no_message() -> None:
    client, _ = called()
    with pytest.raises(UsageError, match="has not met its peer"):
        client.push(10, "a")


def test_a_link_between_two_connections_takes_messages() -> None:
    client, server = joined()
    client.cut()
    assert client.push(10, "a") == 1
    reconnect(client, server)
    assert carry(client, server) == [1]


def test_leaving_closes_both_ends_for_good() -> None:
    client, server = joined()
    client.push(10, "a")
    leave = client.leave("done")
    assert leave == Leave("done")
    assert server.feed(leave) == Left("done")
    assert client.state is server.state is State.CLOSED
    assert client.poll(0.0) is None
    assert client.leave() == Leave("")
    with pytest.raises(UsageError, match=r"^this link takes no message; it was closed"):
        client.push(10, "a")
    with pytest.raises(WireError, match="CONNECT came while the link was CLOSED"):
        client.connect({})


def test_leaving_drops_what_was_to_be_said() -> None:
    _, server = joined()
    server.refuse(1, "bad_digest")
    server.leave()
    assert server.poll(0.0) is None


def test_the_table_leads_from_every_state_to_closed_and_from_there_nowhere() -> None:
    for state in State:
        assert TRANSITIONS[state, Event.LEAVE] is State.CLOSED
        assert (state, Event.CUT) in TRANSITIONS
    assert {TRANSITIONS.get((State.CLOSED, event)) for event in Event} == {State.CLOSED, None}
