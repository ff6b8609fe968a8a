"""Chunker and Reassembler under any schedule that a bad network could think of."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
    run_state_machine_as_test,
)

from sessionbot_kit.chunker import ANY_DOCUMENT, Chunker, Limits, Payload
from tests.chunked_messages import CODECS, Message, documents, reader

LIMITS = Limits(
    fragments=10**6, message_bytes=20_000, held_bytes=200_000, pending=8, remembered=10_000
)


class Schedules(RuleBasedStateMachine):
    """Messages are cut, and their frames lost, doubled, delayed, mixed and sent again."""

    payloads = Bundle("payloads")
    frames = Bundle("frames")

    def __init__(self) -> None:
        super().__init__()
        self.reader = reader(limits=LIMITS)
        self.sent: dict[str, Message] = {}
        self.got: dict[str, Message] = {}

    @rule(target=payloads, message=documents(), codec=CODECS, size=st.integers(4, 64))
    def encode(self, message: Message, codec: Any, size: int) -> Payload:
        name = f"m{len(self.sent)}"
        self.sent[name] = message
        chunker = Chunker(size, codec=codec, shape=ANY_DOCUMENT, limits=LIMITS)
        return chunker.encode(message, name)

    @rule(target=frames, payload=payloads, data=st.data())
    def cut(self, payload: Payload, data: st.DataObject) -> tuple[str, bytes]:
        frames = list(payload.fragments())
        return payload.message_id, data.draw(st.sampled_from(frames))

    @rule(frame=frames)
    def arrive(self, frame: tuple[str, bytes]) -> None:
        self.feed(*frame)

    @rule(frame=consumes(frames))
    def be_lost(self, frame: tuple[str, bytes]) -> None:
        pass

    @rule(payload=payloads)
    def go_on(self, payload: Payload) -> None:
        if self.finds_no_room(payload.message_id):
            return
        start = self.reader.progress().get(payload.message_id, 0)
        for frame in payload.fragments(start):
            self.feed(payload.message_id, frame)
        assert self.got.get(payload.message_id) == self.sent[payload.message_id]

    def feed(self, name: str, frame: bytes) -> None:
        if self.finds_no_room(name):
            return
        message = self.reader.feed(frame, 0.0)
        if message is not None:
            assert name not in self.got
            self.got[name] = message
            assert message == self.sent[name]

    def finds_no_room(self, name: str) -> bool:
        """A sender that keeps to the limits does not begin one more."""
        under_way = self.reader.progress()
        return name not in under_way and len(under_way) >= LIMITS.pending

    @invariant()
    def nothing_leaks(self) -> None:
        assert self.reader.counts.completed == len(self.got)
        assert self.reader.counts.rejected == 0
        assert (self.reader.pending == 0) == (self.reader.held_bytes == 0)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_every_message_arrives_once_under_any_schedule() -> None:
    run_state_machine_as_test(
        Schedules, settings=settings(max_examples=2_000, stateful_step_count=60, deadline=None)
    )


def test_every_message_arrives_once_under_some_schedules() -> None:
    run_state_machine_as_test(
        Schedules, settings=settings(max_examples=30, stateful_step_count=30, deadline=None)
    )
