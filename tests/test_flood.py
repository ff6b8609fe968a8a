"""Messages that come too fast are kept; the first of them is answered."""

import pytest

from sessionbot_kit.errors import RateLimited
from sessionbot_kit.flood import MAX_TOLD, Flood


class Gate:
    """Lets in so many messages of each session."""

    def __init__(self, left: int) -> None:
        self.left = left

    def __call__(self, session_id: str) -> None:
        if not self.left:
            raise RateLimited("too fast", retry_after=1.2)
        self.left -= 1


def test_the_first_that_comes_too_fast_is_told_how_long_to_wait() -> None:
    flood = Flood(Gate(1))
    assert flood.refusal("s", "telegram") is None
    assert "in 2 s" in (flood.refusal("s", "telegram") or "")


def test_who_was_told_is_not_told_again_until_let_in() -> None:
    gate = Gate(0)
    flood = Flood(gate)
    said = [bool(flood.refusal("s", "telegram")) for _ in range(3)]
    gate.left = 1
    assert flood.refusal("s", "telegram") is None
    assert [*said, bool(flood.refusal("s", "telegram"))] == [True, False, False, True]


def test_each_session_is_told_by_itself() -> None:
    flood = Flood(Gate(0))
    assert flood.refusal("a", "telegram") == flood.refusal("b", "telegram") != ""


def test_some_channels_are_not_counted() -> None:
    assert Flood(Gate(0), uncounted=("loopback",)).refusal("s", "loopback") is None


@pytest.mark.parametrize("others", [MAX_TOLD - 1, MAX_TOLD])
def test_what_is_remembered_of_who_was_told_is_bounded(others: int) -> None:
    flood = Flood(Gate(0))
    for name in ("first", *map(str, range(others))):
        flood.refusal(name, "telegram")
    assert bool(flood.refusal("first", "telegram")) is (others == MAX_TOLD)
