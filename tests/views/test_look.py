from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.tables import safe
from sessionbot_kit.views import look
from sessionbot_kit.views.differences import marked

NASTY = '<img src=x onerror="alert(1)">'


class Tags(HTMLParser):
    """Which elements a page has, and what they say aloud."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.labels: list[str] = []
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.labels += [value or "" for name, value in attrs if name == "aria-label"]

    def handle_data(self, data: str) -> None:
        self.words += data


@given(st.text(max_size=60))
def test_whatever_a_stranger_writes_is_read_as_text(text: str) -> None:
    plain, nasty = Tags(look.bubble("ada", "")), Tags(look.bubble(text, f"{text}{NASTY}"))
    assert nasty.tags == plain.tags


@given(st.lists(st.text(max_size=20), min_size=1, max_size=5))
def test_a_table_has_a_cell_for_each_value_whatever_is_in_it(texts: list[str]) -> None:
    page = Tags(look.table(NASTY, ["c"] * len(texts), [texts], note=NASTY))
    assert page.tags.count("td") == len(texts)
    assert "img" not in page.tags


def test_an_empty_table_says_so() -> None:
    assert "none yet" in Tags(look.table("t", ("a", "b"), [])).words


def test_line_breaks_of_a_message_stay() -> None:
    assert "one\ntwo" in look.bubble("ada", "one\ntwo")


def test_a_very_long_text_is_cut_and_says_how_much_is_missing() -> None:
    assert "… 98,000 more characters" in look.words("x" * 100_000)


def test_a_conversation_is_a_log_that_a_screen_reader_follows() -> None:
    html = look.log("Conversation", [look.bubble("ada", "hello")], older=1_240)
    assert 'role="log" aria-live="polite"' in html
    assert "… 1,240 older" in html


def test_a_gauge_says_in_words_what_it_shows() -> None:
    page = Tags(look.gauge(412, 4096, "tokens"))
    assert page.labels == ["412 of 4,096 tokens"]
    assert "412 of 4,096 tokens" in page.words


@pytest.mark.parametrize("values", [[], [0.0], [1, 2, 3], [0] * 60])
def test_a_plot_says_its_newest_and_its_highest_value(values: list[float]) -> None:
    said = Tags(look.plot("Loop lag", values, " ms")).words
    assert said.startswith("Loop lag: ")
    assert f"at most {max(values, default=0):,.4g} ms" in said


def test_a_graph_names_every_plugin_and_says_who_needs_whom() -> None:
    page = Tags(look.graph({"tarot": ["cards", "missing"], "cards": []}))
    assert page.words == "tarotcards"
    assert page.labels == ["tarot needs cards, missing"]


@given(
    st.dictionaries(
        st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=3), max_size=6
    )
)
def test_a_graph_with_circles_is_drawn_too(edges: dict[str, list[str]]) -> None:
    assert Tags(look.graph(edges)).tags.count("rect") == len(edges)


def test_what_others_need_stands_left_of_them() -> None:
    levels = look._levels({"shop": ["menu"], "menu": ["pizza"], "pizza": []})
    assert levels == {"pizza": 0, "menu": 1, "shop": 2}


@given(st.text(max_size=40), st.text(max_size=40))
def test_both_sides_of_a_difference_keep_all_their_words(left: str, right: str) -> None:
    for text, side in zip((left, right), marked(left, right), strict=True):
        page = Tags(side)
        assert page.words == Tags(safe(text)).words
        assert set(page.tags) <= {"del", "ins"}


def test_words_that_only_one_side_has_are_marked() -> None:
    assert marked("one large pizza", "one small pizza now") == (
        "one <del>large</del> pizza",
        "one <ins>small</ins> pizza<ins> now</ins>",
    )
