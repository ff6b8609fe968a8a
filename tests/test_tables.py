"""Tables: aligned, never too wide, escaped, and the same each time."""

from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from sessionbot_kit.tables import NARROWEST, Card, Table, shown

WORDS = st.text(max_size=30) | st.sampled_from(
    [
        "你好世界",
        "👩‍👩‍👧 family",
        "🇫🇷 flag",
        "é" * 9,
        "e\u0301",
        "❤️",
        "\x1b[31mred",
        "a\nb\tc",
        "\u202eevil",
    ]
)
VALUES = WORDS | st.integers() | st.floats() | st.booleans() | st.none()
TABLES = st.integers(1, 6).flatmap(
    lambda n: st.builds(
        Table,
        title=WORDS,
        columns=st.tuples(*[WORDS] * n),
        rows=st.lists(st.tuples(*[VALUES] * n), max_size=5),
        note=WORDS,
    )
)
CARDS = st.builds(Card, title=WORDS, facts=st.dictionaries(WORDS, VALUES, max_size=5), note=WORDS)
SESSIONS = Table("Sessions", ("user", "turns"), [("alice", 12), ("bob", 3)], note="2 of 2")


class Page(HTMLParser):
    """Reads HTML back: which tags there are, and which texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_a_table_is_aligned_with_numbers_to_the_right() -> None:
    assert repr(SESSIONS).split("\n") == [
        "Sessions",
        "user   turns",
        "─────  ─────",
        "alice     12",
        "bob        3",
        "2 of 2",
    ]


def test_wide_characters_take_two_cells() -> None:
    table = Table("Who", ("name", "n"), [("你好", 1), ("ab", 22), ("👩‍👩‍👧", 3), ("e\u0301", 4)])
    assert table.text().split("\n")[3:] == [
        "你好   1",
        "ab    22",
        "👩‍👩‍👧     3",
        "e\u0301      4",
    ]


def test_the_widest_column_gives_way_first() -> None:
    table = Table("T", ("id", "text"), [("abcdef", "x" * 90)])
    assert table.text(30).split("\n")[-1] == "abcdef  " + "x" * 21 + "…"


def test_columns_that_cannot_stand_side_by_side_are_laid_out_one_by_one() -> None:
    table = Table("T", ("first", "second"), [("alpha beta", "gamma delta"), ("b", None)])
    assert table.text(12).split("\n") == [
        "T",
        "first: alph…",
        "second: gam…",
        "───",
        "first: b",
        "second:",
    ]


def test_a_table_without_rows_says_so() -> None:
    assert Table("Sessions", ("user", "turns")).text().endswith("(none)")
    assert "(none)" in Table("Sessions", ("user", "turns")).html()


def test_a_row_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"row 2 of 'T' has 1 cells for 2 columns"):
        Table("T", ("a", "b"), [(1, 2), (3,)])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "yes"),
        (False, "no"),
        (1234567, "1,234,567"),
        (0.123456, "0.1235"),
        (datetime(2026, 11, 21, 9, 30, tzinfo=UTC), "2026-11-21 09:30:00 UTC"),
        ("a\nb", "a b"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\ud800", "\\ud800"),
    ],
)
def test_a_value_is_shown_as_people_read_it(value: object, text: str) -> None:
    assert shown(value) == text


def test_a_long_note_is_wrapped_between_words() -> None:
    table = Table("T", ("a",), [(1,)], note="this is a rather long note")
    assert table.text(12).split("\n")[-3:] == ["this is a", "rather long", "note"]


def test_a_card_aligns_its_facts() -> None:
    card = Card("echo 1.0", {"prefix": "!echo", "turns": 12, "last error": None}, note="Fine.")
    assert card.text().split("\n") == [
        "echo 1.0",
        "  prefix      !echo",
        "  turns       12",
        "  last error",
        "Fine.",
    ]


@given(TABLES | CARDS, st.integers(NARROWEST, 100))
def test_nothing_is_wider_than_asked(table: Table | Card, width: int) -> None:
    for line in table.text(width).split("\n"):
        assert cell_len(line) <= width


SOLID = st.text("ab你好é", min_size=1, max_size=9)


@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.tuples(*[SOLID] * n), min_size=1)))
def test_every_cell_begins_where_its_column_begins(rows: list[tuple[str, ...]]) -> None:
    columns = [str(n) for n in range(len(rows[0]))]
    lines = Table("T", columns, rows).text(1_000).split("\n")
    starts = [lines[1].index(column) for column in columns]
    for line, row in zip(lines[3:], rows, strict=True):
        assert [cell_len(line[: line.index(cell, n)]) for n, cell in places(line, row)] == starts


def places(line: str, row: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Where in the line each cell is to be looked for: behind the one before."""
    position = 0
    for cell in row:
        yield position, cell
        position = line.index(cell, position) + len(cell)


@given(TABLES | CARDS)
def test_the_text_cannot_move_the_cursor(table: Table | Card) -> None:
    for line in table.text().split("\n"):
        assert line.replace("\u200d", "").replace("\u200c", "").isprintable()


@given(TABLES | CARDS)
def test_the_same_data_gives_the_same_faces(table: Table | Card) -> None:
    bundle = table._repr_mimebundle_()
    assert bundle == {"text/plain": repr(table), "text/html": table._repr_html_()}
    assert bundle == table._repr_mimebundle_(include=None, exclude=None)


TAGS = {"table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td"}


@given(TABLES | CARDS)
def test_whatever_is_in_it_the_html_has_only_tags_of_a_table(table: Table | Card) -> None:
    page = Page(table.html())
    assert set(page.tags) <= TAGS
    assert page.open == []


def test_every_text_is_escaped_and_readable_again() -> None:
    evil = "<script>alert('x')</script>&\"<img src=x onerror=y>"
    table = Table(evil, (evil,), [(evil,)], note=evil)
    card = Card(evil, {evil: evil}, note=evil)
    for face in (table.html(), card.html()):
        assert "<script" not in face
        assert "<img" not in face
        assert Page(face).texts.count(evil) == 4


def test_the_html_says_what_heads_what() -> None:
    html = SESSIONS.html()
    assert "<caption>Sessions</caption>" in html
    assert '<th scope="col" style="text-align:left">user</th>' in html
    assert '<th scope="row" style="text-align:left">alice</th>' in html
    assert '<td style="text-align:right">12</td>' in html


def test_the_html_fetches_nothing_and_brings_no_colors() -> None:
    html = SESSIONS.html() + Card("c", {"a": 1}).html()
    assert not any(word in html for word in ("http", "src=", "href=", "color", "<style", "class="))
