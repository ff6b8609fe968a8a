"""Any schedule of sending, delivering, handling, cutting and restarting: each message once."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from sessionbot_kit.wire import State
from tests.two_peers import TERMS, Message, Network, Peer, by_conversation, names

sides = st.sampled_from(["client", "server"])
sizes = st.one_of(
    st.integers(1, 65_536), st.integers(65_537, 200_000), st.integers(200_000, 600_000)
)
conversations = st.sampled_from(["ada", "bob", "eve", None])
counts = st.integers(1, 12)


class TwoPeers(RuleBasedStateMachine):
    """Two peers and a network that hypothesis plays."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Network()
        self.made = 0
        self.sent: dict[str, list[Message]] = {"client": [], "server": []}
        self.network.settle()

    def peer(self, side: str) -> Peer:
        return self.network.client if side == "client" else self.network.server

    @rule(side=sides, size=sizes, conversation=conversations)
    def push(self, side: str, size: int, conversation: str | None) -> None:
        peer = self.peer(side)
        if peer.met and not peer.wire.lanes.full(size):
            self.made += 1
            message = Message(self.made, size, conversation)
            peer.push(message)
            self.sent[side].append(message)

    @rule(count=counts)
    def flow(self, count: int) -> None:
        self.network.flow(count)

    @rule(up=counts, down=counts)
    def deliver(self, up: int, down: int) -> None:
        self.network.deliver(up, down)

    @rule(side=sides)
    def ask(self, side: str) -> None:
        self.peer(side).ask(self.network.now)

    @rule(seconds=st.sampled_from([0.001, 0.05]))
    def wait(self, seconds: float) -> None:
        self.network.now += seconds

    @rule()
    def cut(self) -> None:
        self.network.cut()

    @rule()
    def connect(self) -> None:
        self.network.connect()

    @rule(dice=st.integers(0, 4))
    def restart_the_server(self, dice: int) -> None:
        if dice == 0:
            self.network.restart_server()

    @invariant()
    def nothing_is_kept_without_a_bound(self) -> None:
        for peer in (self.network.client, self.network.server):
            assert len(peer.kept) <= peer.wire.lanes.max_messages
            assert peer.wire.lanes.unacknowledged == len(peer.kept)
            assert sum(peer.partial.values()) <= TERMS.unfinished_bytes
            waiting = sum(message.size for _, message in peer.inbox)
            assert waiting <= TERMS.window + TERMS.unfinished_bytes

    def teardown(self) -> None:
        self.network.settle()
        assert self.network.client.wire.state is self.network.server.wire.state is State.OPEN
        self._arrived(self.sent["client"], self.network.client, self.network.server)
        self._arrived(self.sent["server"], self.network.server, self.network.client)

    def _arrived(self, sent: list[Message], sender: Peer, receiver: Peer) -> None:
        assert sender.kept == {}
        heard = set(names(receiver.handled))
        assert len(heard) == len(receiver.handled), "a message was handled twice"
        assert set(names(sent)) - heard <= set(names(sender.lost)), "a message is missing"
        expected = by_conversation([message for message in sent if message.name in heard])
        assert by_conversation(receiver.handled) == expected, "the order was lost"


def play(schedules: int, steps: int) -> None:
    run_state_machine_as_test(
        TwoPeers,
        settings=settings(
            max_examples=schedules,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_any_schedule_of_cuts_brings_every_message_once_and_in_order() -> None:
    play(schedules=60, steps=60)


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_ten_thousand_schedules_of_cuts_bring_every_message_once_and_in_order() -> None:
    play(schedules=10_000, steps=50)
