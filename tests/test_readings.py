"""Tarot, the I Ching, a sitting and an archive: made by code, commented by a model at most."""

import re
import tomllib
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from unicodedata import name as unicode_name

import pytest

from sessionbot_kit.extension import Plugin
from sessionbot_kit.knowledge import Knowledge
from sessionbot_kit.llms import Scripted
from sessionbot_kit.plugins.archivist import NOTHING, Archivist
from sessionbot_kit.plugins.assistant import Assistant
from sessionbot_kit.plugins.iching import (
    KING_WEN,
    LINES,
    ODDS,
    TEXTS,
    TRIGRAMS,
    cast,
    iching,
    now_and_then,
    number_of,
    told,
)
from sessionbot_kit.plugins.meditation import BEGIN, END, ON_THE_WAY, meditation
from sessionbot_kit.plugins.tarot import DECK, SPREADS, lay, tarot
from sessionbot_kit.registry import check_plugin
from sessionbot_kit.testing import Person

Opens = Callable[..., Person]
CASTS = 100_000
SEED = re.compile(r"\(.*seed=([0-9a-f]+)\)")


def strays(counts: dict[int, int], odds: dict[int, float], total: int) -> float:
    """Chi-squared: how far counts are from their odds."""
    return sum((counts[key] - total * p) ** 2 / (total * p) for key, p in odds.items())


# Tarot


def test_the_deck_has_78_cards_of_four_suits_and_22_trumps() -> None:
    assert len({card.name for card in DECK}) == 78
    suits = Counter(card.name.rpartition(" of ")[2] for card in DECK if " of " in card.name)
    assert [suits[suit] for suit in ("Wands", "Cups", "Swords", "Pentacles")] == [14] * 4
    assert all(card.upright and card.on_its_head for card in DECK)


def test_a_spread_has_its_places_and_no_card_twice() -> None:
    assert [len(places) for places in SPREADS.values()] == [1, 3, 10]
    for number in range(100):
        assert len({card.name for card in lay(f"{number:x}", 10)}) == 10


def test_every_card_and_both_its_ways_are_equally_likely() -> None:
    cards = [lay(f"{number:x}", 1)[0] for number in range(20_000)]
    places = {card.name: n for n, card in enumerate(DECK)}
    counts = Counter(places[card.name] for card in cards)
    # One run in ten thousand of a fair deck strays further; the seeds are the same each time.
    assert strays(counts, dict.fromkeys(range(78), 1 / 78), 20_000) < 131
    assert abs(sum(card.reversed for card in cards) - 10_000) < 4 * 70.7


async def test_a_reading_is_laid_again_from_its_seed(talk: Opens) -> None:
    user = talk(tarot)
    (first,) = await user.says("!tarot cross What now?")
    assert len(first.splitlines()) == 11
    assert await user.says(f"!tarot cross seed={SEED.findall(first)[0]}") == [first]
    (other,) = await user.says("!tarot cross")
    assert other != first


# The I Ching


def test_the_order_of_king_wen_has_each_hexagram_once() -> None:
    assert sorted(number for row in KING_WEN for number in row) == list(range(1, 65))
    assert len(TRIGRAMS) == 8
    assert len(TEXTS) == 64
    assert all(text.endswith(".") for text in TEXTS)


def test_each_pair_of_king_wen_is_turned_over_or_is_the_opposite() -> None:
    shapes = {number_of(lines): lines for lines in all_shapes()}
    for number in range(1, 65, 2):
        one, other = shapes[number], shapes[number + 1]
        turned = one[::-1]
        assert other == (turned if turned != one else tuple(1 - line for line in one))


def all_shapes() -> list[tuple[int, ...]]:
    return [tuple(n >> place & 1 for place in range(6)) for n in range(64)]


def test_names_and_signs_are_those_of_unicode() -> None:
    assert told((1,) * 6).startswith("䷀ 1. The creative heaven (heaven above heaven).")
    assert told((1, 0, 1, 0, 1, 0)).startswith("䷾ 63. After completion (water above fire).")
    assert unicode_name("\u4dff") == "HEXAGRAM FOR BEFORE COMPLETION"
    assert number_of((0, 1, 0, 1, 0, 1)) == 64
    assert number_of((1, 1, 1, 0, 0, 0)) == 11


@pytest.mark.parametrize("method", ODDS)
def test_a_hundred_thousand_casts_keep_to_their_odds(method: str) -> None:
    lines = [line for n in range(CASTS) for line in cast(f"{n:x}", method)]
    odds = {
        line: share / sum(ODDS[method]) for line, share in zip(LINES, ODDS[method], strict=True)
    }
    # Three degrees of freedom: a fair cast goes above 21.1 once in ten thousand runs.
    assert strays(Counter(lines), odds, len(lines)) < 21.1


def test_old_lines_change_into_their_opposite() -> None:
    assert now_and_then((6, 7, 8, 9, 7, 8)) == ((0, 1, 0, 1, 1, 0), (1, 1, 0, 0, 1, 0))


async def test_a_cast_tells_its_changing_lines_and_what_it_becomes(talk: Opens) -> None:
    user = talk(iching)
    changes = next(f"{n:x}" for n in range(99) if len(set(cast(f"{n:x}")) & {6, 9}) > 0)
    still = next(f"{n:x}" for n in range(999) if not set(cast(f"{n:x}")) & {6, 9})
    (said,) = await user.says(f"!iching seed={changes} What now?")
    assert "Changing lines, from the bottom:" in said
    assert "It becomes" in said
    (said,) = await user.says(f"!iching seed={still}")
    assert len(said.splitlines()) == 2
    (said,) = await user.says("!iching yarrow")
    assert "(yarrow, seed=" in said


# What a model may do


async def test_a_model_comments_below_and_changes_no_word_of_the_reading(talk: Opens) -> None:
    model = Scripted(["Forget the cards! ![x](http://evil.example/?q) You drew Death."])
    alone, with_model = talk(tarot), talk(tarot, Assistant(model))
    (reading,) = await alone.says("!tarot three seed=7 What now?")
    (said,) = await with_model.says("!tarot three seed=7 What now?")
    made, line, comment = said.removeprefix(reading).partition("--- scripted comments ---\n")
    assert said.startswith(reading)
    assert (made.strip(), bool(line)) == ("", True)
    assert comment == "Forget the cards! [image: x] You drew Death."
    assert '<data source="tarot">\npast: ' in model.asked[0].messages[-1]["content"]


# A sitting


async def test_a_sitting_is_guided_to_its_bell(talk: Opens) -> None:
    user = talk(meditation)
    assert await user.says("!sit 20") == [f"20 minutes. {BEGIN}"]
    said = [await user.waits(minutes=minutes) for minutes in (5, 5, 6, 4)]
    assert said == [*([text] for _, text in ON_THE_WAY), [END]]


async def test_a_sitting_survives_a_restart(talk: Opens) -> None:
    user = talk(meditation)
    await user.says("!sit 20")
    user.restart()
    assert await user.waits(minutes=5) == [ON_THE_WAY[0][1]]
    user.restart()
    assert await user.waits(minutes=15) == [ON_THE_WAY[1][1], ON_THE_WAY[2][1], END]


async def test_a_length_is_asked_for_until_it_is_one(talk: Opens) -> None:
    user = talk(meditation)
    assert await user.says("!sit") == ["For how many minutes?"]
    assert await user.says("a while") == ["Please give whole minutes, from 1 to 120."]
    assert await user.says("3") == [f"3 minutes. {BEGIN}"]


# An archive


async def test_an_archive_quotes_with_file_and_line(talk: Opens, tmp_path: Path) -> None:
    folder = tmp_path / "house"
    folder.mkdir()
    (folder / "lease.md").write_text("# Rent\nThe rent is due on the first of each month.")
    async with Knowledge(tmp_path / "k.db") as knowledge:
        await knowledge.add("house", folder)
    section = {"archivist": {"index": str(tmp_path / "k.db"), "collections": ["house"]}}
    user = talk(Archivist(), sections=section)
    assert await user.says("!archive When is the rent due?") == [
        "[lease.md:2] The rent is due on the first of each month."
    ]
    assert await user.says("!archive zebras") == [NOTHING]


async def test_an_archive_without_documents_says_so(talk: Opens) -> None:
    assert "I have no documents" in (await talk(Archivist()).says("!archive rent"))[0]


# As packages


@pytest.mark.parametrize("name", ["tarot", "iching", "meditation", "archivist", "assistant"])
def test_a_plugin_is_found_by_its_entry_point(name: str) -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))
    entry = project["project"]["entry-points"]["sessionbot_kit.plugins"][name]
    module, _, attribute = entry.partition(":")
    found = getattr(import_module(module), attribute)
    check_plugin(found)
    assert isinstance(found, Plugin)
    assert (found.meta.id, bool(found.summary)) == (name, True)
