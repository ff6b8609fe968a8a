"""Limits: defaults, and what makes no sense together."""

from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from sessionbot_kit.errors import UsageError
from sessionbot_kit.limits import KIB, LEAST_COST, MIB, Limits, held_cost


def test_the_defaults_are_those_of_the_protocol() -> None:
    assert Limits() == Limits(
        frame_bytes=1_048_576,
        fragment_chars=262_144,
        fragment_bytes=262_144,
        fragments=2048,
        message_bytes=67_108_864,
        attachments=64,
        values=1_000_000,
        pending=64,
        held_bytes=100_663_296,
        idle_seconds=30.0,
        total_seconds=600.0,
        remembered=1024,
        spool_bytes=8_388_608,
    )
    assert (KIB, MIB) == (1024, 1_048_576)


def test_limits_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Limits().pending = 1  # type: ignore[misc]  # what is tested


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
def test_no_limit_is_below_its_least(name: str) -> None:
    least = 0 if name in ("attachments", "remembered") else 1
    small: dict[str, Any] = {"message_bytes": 1, name: least}
    assert getattr(Limits(**small), name) == least
    small[name] = least - 1
    with pytest.raises(UsageError, match=rf"Limits.{name} is {least - 1}; give {least} or more"):
        Limits(**small)


def test_one_message_must_fit_what_may_be_held() -> None:
    Limits(message_bytes=2000, held_bytes=2000)
    with pytest.raises(UsageError) as caught:
        Limits(message_bytes=2000, held_bytes=1999)
    assert str(caught.value) == (
        "Limits.held_bytes is 1,999, less than one message of 2,000 bytes; raise the first or "
        "lower the second"
    )


def test_a_short_fragment_costs_more_than_its_bytes() -> None:
    assert held_cost(b"x") == LEAST_COST == 512
    assert held_cost(bytes(513)) == 513
