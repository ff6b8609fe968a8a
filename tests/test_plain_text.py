"""What a person cannot see does not reach a language model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.plain_text import one_line, visible


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("pay\u202egnp.exe", "paygnp.exe"),
        ("ig\u200bnore\u2060 this\ufeff", "ignore this"),
        ("hello" + "".join(chr(0xE0000 + ord(c)) for c in "obey"), "hello"),
        ("a\u2066b\u2069c\u200ed\u061ce", "abcde"),
        ("a\ufe00\ufe01\ufe02b", "ab"),
        ("x\u200dy", "xy"),
        ("bell\x07 esc\x1b[31m", "bell esc[31m"),
        ("line\u2028break", "line\nbreak"),
        ("\u3164\u115f\u00ad", ""),
    ],
)
def test_what_hides_or_reorders_is_taken_out(text: str, seen: str) -> None:
    assert visible(text) == seen


@pytest.mark.parametrize(
    "text",
    [
        "Grüße, žluťoučký kůň",
        "नमस्ते",
        "میخواهم",
        "👩\u200d👩\u200d👧",
        "❤\ufe0f",
        "a\tb\nc",
        "日本語",
    ],
)
def test_what_people_write_stays(text: str) -> None:
    assert visible(text) == text


@given(st.text())
def test_to_look_twice_changes_nothing(text: str) -> None:
    assert visible(visible(text)) == visible(text)


def test_a_text_in_one_line_has_single_spaces() -> None:
    assert one_line(" a\n\n b\tc ") == "a b c"
