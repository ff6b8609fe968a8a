from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.fallbacks import files_as_text, split_text
from sessionbot_kit.models import Media

WORDS = st.text(st.sampled_from("ab \n"), max_size=400)


@given(WORDS, st.integers(1, 50))
def test_the_pieces_of_a_text_are_the_text_and_none_is_too_long(text: str, limit: int) -> None:
    pieces = split_text(text, limit)
    assert "".join(pieces) == text
    assert all(0 < len(piece) <= limit for piece in pieces) or not text


def test_a_text_is_cut_between_paragraphs_rather_than_lines_and_words() -> None:
    text = "one two\n\nthree\nfour five"
    assert split_text(text, 15) == ["one two\n\n", "three\nfour five"]
    assert split_text("three\nfour five six", 11) == ["three\n", "four five ", "six"]
    assert split_text("incomprehensibilities", 10) == ["incomprehe", "nsibilitie", "s"]


def test_a_short_text_stays_as_it_is() -> None:
    assert split_text("short", 5) == ["short"]
    assert split_text("as long as it likes", None) == ["as long as it likes"]


def test_a_file_is_a_link_or_a_name_with_its_size() -> None:
    media = (
        Media(url="https://example.org/cat.png", name="cat.png"),
        Media.from_bytes(b"meow", name="dog.png", caption="my dog"),
        Media(sha256="0" * 64, kind="video"),
    )
    assert files_as_text(media).splitlines() == [
        "cat.png: https://example.org/cat.png",
        "[dog.png, 4 bytes] my dog",
        "[video]",
    ]
