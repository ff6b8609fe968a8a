"""The demo tells what happened, fits a terminal, and fails when a reply is wrong."""

import io
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from sessionbot_kit import demo
from sessionbot_kit.bot import Bot
from sessionbot_kit.demo import STAGES, Demo, Journey, Line
from sessionbot_kit.events import Offered, Received, Said, Sent
from sessionbot_kit.extension import FunctionPlugin
from sessionbot_kit.models import IncomingMessage


def paper(*, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=80, highlight=False, force_terminal=terminal)


def text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


async def test_every_reply_is_right_and_shown() -> None:
    console = paper()
    assert await Demo(console).run()
    shown = text(console)
    assert "You are Ada, and that was message 2 from you." in shown
    assert "5 of 5 replies were right" in shown
    assert all(stage in shown for stage in STAGES)


async def test_it_fits_in_80_columns_and_pipes_without_colors() -> None:
    console = paper()
    await Demo(console).run()
    assert "\x1b" not in text(console)
    assert max(map(cell_len, text(console).splitlines())) <= 80


async def test_a_terminal_gets_colors() -> None:
    console = paper(terminal=True)
    await Demo(console).run()
    assert "\x1b[1;32m" in text(console)


async def test_a_wrong_reply_is_shown_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "AFTER", (Line("ada", "who am I?", "You are Bob."),))
    console = paper()
    assert not await Demo(console).run()
    assert "expected 'You are Bob.'" in text(console)
    assert "3 of 4 replies were right" in text(console)


async def test_a_bot_that_forgets_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(*plugins: FunctionPlugin, store: Path) -> Bot:
        return Bot(*plugins)  # a file of its own each time

    monkeypatch.setattr(demo, "Bot", forgetful)
    assert not await Demo(paper()).run()


MESSAGE = IncomingMessage(
    id="1",
    channel_type="loopback",
    channel_id="c",
    sender_id="u",
    sender_name="Ada",
    content="hi",
    timestamp=datetime(2026, 1, 1, tzinfo=UTC),
)


def test_a_journey_is_measured_from_the_events() -> None:
    now = time.monotonic()
    journey = Journey.of(
        now,
        [
            Received(turn="t", session="s", message=MESSAGE, at=now + 0.001),
            Offered(turn="t", session="s", plugin="p", kernel="k", attempt=1, at=now + 0.002),
            Said(turn="t", session="s", plugin="p", replies=(), plugin_ms=0.5, at=now + 0.003),
            Sent(turn="t", session="s", reply="r", ids=(), at=now + 0.004),
        ],
    )
    assert [round(ms, 3) for _, ms in journey.stages] == [0, 1, 2, 2.5, 3, 4]
    assert journey.whole
    assert journey.plugin == "p"


def test_a_message_that_did_not_arrive_is_not_whole() -> None:
    received = Received(turn="t", session="s", message=MESSAGE)
    assert not Journey.of(received.at, [received]).whole


@given(st.lists(st.floats(0, 10_000), min_size=5, max_size=5))
def test_a_chart_fits_whatever_the_times_are(times: list[float]) -> None:
    stages = zip(STAGES, [0.0, *sorted(times)], strict=True)
    journey = Journey("echo", tuple(stages))
    assert all(row.cell_len <= 80 for row in journey.chart())
