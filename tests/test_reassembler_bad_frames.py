"""Every bad frame that concerns the core, fed to a reassembler; see tests/bad_frames.py."""

from collections.abc import Callable
from functools import cache

import pytest

from sessionbot_kit.chunker import FragmentError, Limits, Reassembler
from sessionbot_kit.original_peers import original_reassembler
from tests.bad_frames import Case, Wait, load, text_fragment

CASES = load("core")
FULL = '{"to":"a","from":"b","text":"hi","attachments":[]}'


class Outcome:
    """What a reassembler made of a case; of each case once."""

    def __init__(self, case: Case) -> None:
        reassembler = original_reassembler() if case.legacy else Reassembler()
        self.messages = 0
        self.errors: list[FragmentError] = []
        now = 0.0
        for step in case.steps():
            if isinstance(step, Wait):
                now += step.seconds
                self.errors += reassembler.expire(now)
                continue
            try:
                self.messages += reassembler.feed(step, now) is not None
            except FragmentError as error:
                self.errors.append(error)
        self.progress = reassembler.progress()
        self.held = reassembler.held_bytes
        reassembler.expire(1e9)
        self.left = reassembler.held_bytes, reassembler.pending
        self.after = reassembler.feed(text_fragment("new", 0, 1, FULL), 1e9)


@pytest.fixture(scope="module")
def outcome() -> Callable[[str], Outcome]:
    return cache(lambda name: Outcome(next(case for case in CASES if case.name == name)))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_case_ends_as_expected(case: Case, outcome: Callable[[str], Outcome]) -> None:
    found = outcome(case.name)
    fatal = [error for error in found.errors if error.fatal]
    match case.expect:
        case "accept":
            assert found.messages == (2 if case.name == "ok_interleaved" else 1)
        case "ignore":
            assert not found.errors
            assert found.messages <= 1
        case "reject":
            assert found.errors
            assert not fatal
        case _:
            assert case.expect == "close(1009)"
            assert fatal


@pytest.mark.parametrize("case", [c for c in CASES if c.code], ids=lambda case: case.name)
def test_each_refusal_has_its_code(case: Case, outcome: Callable[[str], Outcome]) -> None:
    assert [error.code for error in outcome(case.name).errors] == [case.code]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_after_each_case_the_peer_is_heard_and_nothing_is_left(
    case: Case, outcome: Callable[[str], Outcome]
) -> None:
    found = outcome(case.name)
    assert found.held <= Limits().held_bytes
    assert len(found.progress) <= Limits().pending
    assert found.left == (0, 0)
    assert found.after is not None


def test_refused_messages_leave_the_earlier_ones_intact(
    outcome: Callable[[str], Outcome],
) -> None:
    found = outcome("never_finished_1000_ids")
    assert found.progress == {f"id{n}": 1 for n in range(64)}
    assert {error.code for error in found.errors} == {"too_many_pending"}


def test_strict_readers_refuse_what_only_original_peers_send() -> None:
    for case in (case for case in CASES if case.legacy):
        (frame,) = case.steps()
        assert isinstance(frame, str)
        with pytest.raises(FragmentError):
            Reassembler().feed(frame, 0.0)


def test_the_files_hold_cases_for_every_level() -> None:
    assert len(CASES) >= 180
    assert len(load("wire")) == 10
    assert len(load("upgrade")) == 10
