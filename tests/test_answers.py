"""Whether an answer answers the question."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.answers import Check, Verdict, either
from sessionbot_kit.errors import UsageError


def check(answer: str, **rules: Any) -> Verdict:
    return asyncio.run(Check("Well?", **rules)(answer))


@given(st.text())
def test_without_rules_every_answer_is_good(answer: str) -> None:
    assert check(answer) == Verdict(answer)


@pytest.mark.parametrize("answer", ["small", "SMALL", "  Small\n"])
def test_a_choice_is_found_however_it_is_written(answer: str) -> None:
    assert check(answer, choices=["Small", "Large"]) == Verdict("Small")


def test_a_choice_with_spaces_around_it_is_found_too() -> None:
    assert check("small", choices=[" Small "]) == Verdict(" Small ")


def test_what_is_no_choice_is_told_the_choices() -> None:
    assert check("green", choices=["a", "b", "c"]) == Verdict("green", "Please answer a, b or c.")


def test_a_chosen_answer_is_checked_as_it_is_written_among_the_choices() -> None:
    seen: list[str] = []
    check("LARGE", choices=["Large"], validate=seen.append)
    assert seen == ["Large"]


@pytest.mark.parametrize("fine", [None, True, 0, 7, b""])
def test_a_check_that_has_nothing_to_say_passes(fine: Any) -> None:
    assert check("x", validate=lambda text: fine) == Verdict("x")


def test_a_check_says_what_is_wrong() -> None:
    assert check("x", validate=lambda text: f"{text}?") == Verdict("x", "x?")


def test_a_check_that_refuses_without_a_word_gets_ours() -> None:
    sorry = Verdict("x", "Sorry, that does not fit. Well?")
    assert check("x", validate=lambda text: False) == sorry
    assert check("x", validate=int) == sorry


def test_an_async_check_is_awaited() -> None:
    async def no(text: str) -> str:
        return "no"

    assert check("x", validate=no) == Verdict("x", "no")


def test_an_error_of_another_kind_is_the_plugins() -> None:
    with pytest.raises(KeyError):
        check("x", validate=lambda text: {}[text])


@pytest.mark.parametrize("nothing", [[], (), "abc", ""])
def test_choices_are_a_list_with_something_in_it(nothing: Any) -> None:
    with pytest.raises(UsageError, match="leaves nothing to choose; give a list of texts"):
        Check("Well?", choices=nothing)


def test_choices_are_named_as_people_do() -> None:
    assert either(["a"]) == "a"
    assert either(["a", "b"]) == "a or b"
    assert either(["a", "b", "c"]) == "a, b or c"


def test_a_channel_may_show_the_choices() -> None:
    assert Check("Well?").metadata() == {}
    assert Check("Well?", choices=("a", "b")).metadata() == {"choices": ["a", "b"]}
