"""Every bad frame that concerns the core, fed to a reassembler; see tests/bad_frames.py."""

import pytest

from sessionbot_kit.chunker import FragmentError, Reassembler
from sessionbot_kit.original_peers import original_reassembler
from tests.bad_frames import Case, Wait, load, text_fragment

CASES = load("core")
FULL = '{"to":"a","from":"b","text":"hi","attachments":[]}'


class Outcome:
    """What a reassembler made of a case."""

    def __init__(self, case: Case) -> None:
        self.reassembler = original_reassembler() if case.legacy else Reassembler()
        self.messages = 0
        self.errors: list[FragmentError] = []
        now = 0.0
        for step in case.steps():
            if isinstance(step, Wait):
                now += step.seconds
                self.errors += self.reassembler.expire(now)
                continue
            try:
                self.messages += self.reassembler.feed(step, now) is not None
            except FragmentError as error:
                self.errors.append(error)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_case_ends_as_expected(case: Case) -> None:
    outcome = Outcome(case)
    fatal = [error for error in outcome.errors if error.fatal]
    match case.expect:
        case "accept":
            assert outcome.messages == len({*_ids(case)})
        case "ignore":
            assert not outcome.errors
            assert outcome.messages <= 1
        case "reject":
            assert outcome.errors
            assert not fatal
        case _:
            assert case.expect == "close(1009)"
            assert fatal


@pytest.mark.parametrize("case", [c for c in CASES if c.code], ids=lambda case: case.name)
def test_each_refusal_has_its_code(case: Case) -> None:
    assert [error.code for error in Outcome(case).errors] == [case.code]


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.expect in ("reject", "close(1009)")], ids=lambda case: case.name
)
def test_a_peer_that_was_refused_is_still_heard(case: Case) -> None:
    outcome = Outcome(case)
    outcome.reassembler.expire(1e9)
    assert outcome.reassembler.feed(text_fragment("new", 0, 1, FULL), 1e9) is not None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_case_holds_more_than_it_may(case: Case) -> None:
    reassembler = Outcome(case).reassembler
    assert reassembler.held_bytes <= reassembler.limits.held_bytes
    assert reassembler.pending <= reassembler.limits.pending
    reassembler.expire(1e9)
    assert (reassembler.held_bytes, reassembler.pending) == (0, 0)


def test_refused_messages_leave_the_earlier_ones_intact() -> None:
    case = next(case for case in CASES if case.name == "never_finished_1000_ids")
    outcome = Outcome(case)
    assert outcome.reassembler.progress() == {f"id{n}": 1 for n in range(64)}
    assert {error.code for error in outcome.errors} == {"too_many_pending"}


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


def _ids(case: Case) -> list[str]:
    # The frames of a case that is accepted name one message, but for two that interleave.
    return ["a", "b"] if case.name == "ok_interleaved" else ["m1"]
