"""A short form of `make chaos`."""

import pytest

from tests.chaos import chaos


@pytest.mark.parametrize("seconds", [4, pytest.param(300, marks=pytest.mark.long)])
@pytest.mark.timeout(900)
async def test_people_notice_nothing_of_what_is_killed_frozen_and_cut(seconds: float) -> None:
    figures = await chaos(seconds)
    assert figures.messages > 0
    assert sum(figures.deeds.values()) > 0
