"""The thirteen words."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.channels.session_messenger import mnemonic
from sessionbot_kit.channels.session_messenger.words import WORDS
from sessionbot_kit.errors import SettingsError

from .vectors import KEYS

PHRASE = KEYS[0]["mnemonic"]


@pytest.mark.parametrize("keys", KEYS, ids=lambda keys: keys["session_id"][:8])
def test_a_phrase_and_its_seed_are_those_of_the_other_clients(keys: dict[str, str]) -> None:
    seed = bytes.fromhex(keys["seed_hex"])
    assert mnemonic.decode(keys["mnemonic"]) == seed
    assert mnemonic.encode(seed) == keys["mnemonic"]


@given(st.binary(min_size=16, max_size=16))
def test_every_seed_comes_back_out_of_its_phrase(seed: bytes) -> None:
    assert mnemonic.decode(mnemonic.encode(seed)) == seed


@given(st.text())
def test_any_text_is_a_phrase_or_a_sentence_that_says_why_not(text: str) -> None:
    with suppress(SettingsError):
        assert len(mnemonic.decode(text)) == 16


@given(st.lists(st.sampled_from(WORDS), min_size=13, max_size=13))
def test_words_that_do_not_belong_together_are_refused_or_are_a_seed(words: list[str]) -> None:
    try:
        seed = mnemonic.decode(" ".join(words))
    except SettingsError:
        return
    assert mnemonic.encode(seed).split()[:12] == words[:12]


def test_capitals_and_line_breaks_do_not_matter() -> None:
    assert mnemonic.decode(PHRASE.upper().replace(" ", "\n ")) == mnemonic.decode(PHRASE)


def test_the_first_three_letters_of_a_word_will_do() -> None:
    short = " ".join(word[:3] for word in PHRASE.split())
    assert mnemonic.decode(short) == mnemonic.decode(PHRASE)


def test_every_word_is_named_by_its_first_three_letters() -> None:
    assert len(WORDS) == len({word[:3] for word in WORDS}) == 1626


def test_twelve_words_are_refused_with_a_sentence() -> None:
    with pytest.raises(SettingsError, match="12 words; write all 13"):
        mnemonic.decode(" ".join(PHRASE.split()[:12]))


def test_a_misspelled_word_is_named_by_its_place_and_is_not_quoted() -> None:
    with pytest.raises(SettingsError, match="word 2 of") as caught:
        mnemonic.decode(PHRASE.replace("luxury", "luxuries"))
    assert "lux" not in str(caught.value)


def test_two_words_in_the_wrong_order_are_noticed() -> None:
    words = PHRASE.split()
    words[0], words[1] = words[1], words[0]
    with pytest.raises(SettingsError, match="last word"):
        mnemonic.decode(" ".join(words))


def test_words_that_stand_for_more_than_four_bytes_are_refused() -> None:
    beyond = ["abbey", "abbey", "zoom"] * 4
    for last in set(beyond):
        with pytest.raises(SettingsError):
            mnemonic.decode(" ".join([*beyond, last]))


@pytest.mark.parametrize("size", [0, 15, 17, 32])
def test_a_seed_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(SettingsError, match="16"):
        mnemonic.encode(bytes(size))
