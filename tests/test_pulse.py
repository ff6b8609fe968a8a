"""A heartbeat that comes late is told."""

import asyncio

import pytest

from sessionbot_kit.pulse import BEAT_S, Pulse


@pytest.mark.parametrize(("late", "told"), [(0.0, []), (0.9, []), (1.0, [1.0]), (5.0, [5.0])])
async def test_only_a_beat_that_is_a_second_late_is_told(late: float, told: list[float]) -> None:
    heard: list[float] = []
    times = iter([0.0, BEAT_S + late])
    beats = 0

    async def report(seconds: float) -> None:
        heard.append(round(seconds, 6))

    async def sleep(seconds: float) -> None:
        nonlocal beats
        beats += 1
        if beats == 2:
            raise asyncio.CancelledError

    pulse = Pulse(report, clock=lambda: next(times, 0.0), sleep=sleep)
    with pytest.raises(asyncio.CancelledError):
        await pulse.run()
    assert heard == told
    assert pulse.lag_s == pytest.approx(late)
