"""A recorded conversation is a test of one line."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from sessionbot_kit.errors import KitError
from sessionbot_kit.testing import plays
from tests.drafts import PIZZA, made_of, recorded


async def talk(folder: Path) -> Path:
    """A recording of a conversation about pizza."""
    recording = await recorded(made_of(PIZZA), "!pizza", "large")
    recording.save(folder / "pizza.jsonl")
    replace(recording, takes=()).save(folder / "silent.jsonl")
    return folder / "pizza.jsonl"


async def test_it_passes_where_the_plugin_says_what_it_said(tmp_path: Path) -> None:
    (tmp_path / "pizza.py").write_text(PIZZA)
    await asyncio.to_thread(plays, tmp_path / "pizza.py", await talk(tmp_path))


async def test_it_fails_with_the_turn_and_what_is_said_now(tmp_path: Path) -> None:
    (tmp_path / "pizza.py").write_text(PIZZA.replace("is in oven", "waits in oven"))
    recording = await talk(tmp_path)
    with pytest.raises(AssertionError, match=r"turn 2 \(large\): said .*; now .* waits in oven"):
        await asyncio.to_thread(plays, tmp_path / "pizza.py", recording)


async def test_it_never_passes_for_want_of_anything_to_play(tmp_path: Path) -> None:
    (tmp_path / "pizza.py").write_text(PIZZA)
    await talk(tmp_path)
    with pytest.raises(AssertionError, match=r"silent\.jsonl has no turns; record a conversation"):
        await asyncio.to_thread(plays, tmp_path / "pizza.py", tmp_path / "silent.jsonl")


async def test_a_plugin_that_cannot_be_loaded_says_why(tmp_path: Path) -> None:
    recording = await talk(tmp_path)
    with pytest.raises(KitError, match=r"none\.py cannot be read: No such file"):
        await asyncio.to_thread(plays, tmp_path / "none.py", recording)
