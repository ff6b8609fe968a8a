"""Counting tokens."""

import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.errors import UsageError
from sessionbot_kit.tokenizer import CHARS, BpeTokenizer, tokenizer

any_text = st.text(st.characters(codec=None, categories=("L", "N", "P", "S", "Z", "Cs")))


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("a", 1), ("four", 1), ("fiver", 2), ("e" * 460, 115)]
)
def test_four_characters_are_about_one_token(text: str, tokens: int) -> None:
    assert CHARS.count(text) == tokens


@given(any_text)
def test_the_estimate_rounds_up(text: str) -> None:
    mended = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert CHARS.count(text) == math.ceil(len(mended) / 4)


def test_a_surrogate_pair_that_was_cut_apart_counts_as_one_character() -> None:
    assert CHARS.count("\ud83d\ude00" * 4) == 1


def test_without_a_setting_nothing_but_the_estimate_is_used() -> None:
    assert tokenizer() is CHARS
    assert tokenizer("chars/4").name == "chars/4"


def test_a_setting_may_name_the_encoding_of_a_model() -> None:
    bpe = tokenizer("rs-bpe:cl100k_base")
    assert (bpe.name, bpe.count("hello world"), bpe.count("")) == ("rs-bpe:cl100k_base", 2, 0)


def test_the_newest_encoding_is_used_when_only_the_package_is_named() -> None:
    assert tokenizer("rs-bpe").name == "rs-bpe:o200k_base"
    assert isinstance(tokenizer("rs-bpe"), BpeTokenizer)


def test_the_two_encodings_count_differently() -> None:
    text = "さようなら、世界。" * 5
    assert tokenizer("rs-bpe:o200k_base").count(text) < tokenizer("rs-bpe:cl100k_base").count(text)


@given(any_text)
def test_a_model_counts_any_text_lone_surrogates_too(text: str) -> None:
    assert tokenizer("rs-bpe").count(text) >= (1 if text else 0)


@pytest.mark.parametrize("name", ["", "tiktoken", "rs-bpe:gpt-9", "chars/3", "chars/4:o200k_base"])
def test_an_unknown_tokenizer_is_refused_with_the_names_to_choose_from(name: str) -> None:
    with pytest.raises(UsageError) as error:
        tokenizer(name)
    assert str(error.value) == (
        f"there is no tokenizer {name!r}; "
        "choose one of chars/4, rs-bpe:o200k_base, rs-bpe:cl100k_base"
    )


def test_a_missing_package_names_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rs_bpe.bpe", None)
    with pytest.raises(UsageError) as error:
        tokenizer("rs-bpe")
    assert str(error.value) == (
        "the tokenizer rs-bpe is not installed; pip install 'sessionbot-kit[tokens]'"
    )
