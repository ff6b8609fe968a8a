"""Tables and cards that read well everywhere: a terminal, a notebook, GitHub, a screen reader.

    Table("Sessions", ("user", "turns"), [("alice", 12), ("bob", 3)], note="2 of 2")

    Sessions
    user   turns
    ─────  ─────
    alice     12
    bob        3
    2 of 2

The last line of a cell shows the HTML, which is static: no script, no style sheet, nothing to
fetch, and the colors of the page around it. `text(width)` is never wider than it was asked to be,
also in Chinese; what does not fit ends in `…`, and what cannot fit side by side is laid out row
by row. The one rule to remember: **the same data gives the same text**, byte for byte.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from typing import Any, TypeVar

from rich.cells import cell_len, set_cell_size

Value = TypeVar("Value")

WIDTH = 80
NARROWEST = 8
GAP = "  "
LEAST_COLUMN = 6  # narrower columns say nothing; the rows are laid out one by one instead

_JOINERS = "\u200c\u200d"  # they hold families of emoji and letters of some scripts together


@dataclass(frozen=True, slots=True, repr=False)
class Table:
    """Rows under columns, with a title and perhaps a note."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]] = ()
    note: str = ""

    def __post_init__(self) -> None:
        for number, row in enumerate(self.rows, 1):
            if len(row) != len(self.columns):
                raise ValueError(
                    f"row {number} of {self.title!r} has {len(row)} cells for "
                    f"{len(self.columns)} columns; give each column one"
                )

    def text(self, width: int = WIDTH) -> str:
        """Lay the table out in at most `width` cells of a terminal (eight at least)."""
        width = max(width, NARROWEST)
        grid = [[shown(value) for value in row] for row in self.rows]
        header = [_clean(column) for column in self.columns]
        widths = _fit([max(map(cell_len, column)) for column in _columns(header, *grid)], width)
        lines = list(_wrap(_clean(self.title), width))
        if not widths:
            lines += _one_by_one(header, grid, width)
        else:
            right = [_numeric(column) for column in self._by_column()]
            for row in (header, ["─" * w for w in widths], *grid):
                lines.append(GAP.join(map(_pad, row, widths, right)).rstrip())
        if not grid:
            lines.append("(none)")
        lines += _wrap(_clean(self.note), width)
        return "\n".join(lines)

    def html(self) -> str:
        """The table as static HTML, every text escaped."""
        right = [_numeric(column) for column in self._by_column()]
        head = "".join(_cell("th", c, r, "col") for c, r in zip(self.columns, right, strict=True))
        body = "".join(
            "<tr>"
            + "".join(
                _cell("td" if n else "th", shown(value), right[n], None if n else "row")
                for n, value in enumerate(row)
            )
            + "</tr>"
            for row in self.rows
        )
        body = body or f'<tr><td colspan="{len(self.columns)}">(none)</td></tr>'
        return _page(self.title, f"<thead><tr>{head}</tr></thead>", body, self.note, len(right))

    def _by_column(self) -> list[tuple[object, ...]]:
        return list(_columns(*self.rows)) or [()] * len(self.columns)

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return self.html()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": self.text(), "text/html": self.html()}


@dataclass(frozen=True, slots=True, repr=False)
class Card:
    """What is known of one thing: names and values."""

    title: str
    facts: Mapping[str, object] = field(default_factory=dict)
    note: str = ""

    def text(self, width: int = WIDTH) -> str:
        """Lay the card out in at most `width` cells of a terminal (eight at least)."""
        width = max(width, NARROWEST)
        lines = list(_wrap(_clean(self.title), width))
        names = [_clean(name) for name in self.facts]
        room = min(max(map(cell_len, names), default=0), width // 2 - len(GAP))
        for name, value in zip(names, self.facts.values(), strict=True):
            head = f"{GAP}{_pad(name, room)}{GAP}"
            lines.append((head + _crop(shown(value), width - cell_len(head))).rstrip())
        lines += _wrap(_clean(self.note), width)
        return "\n".join(lines)

    def html(self) -> str:
        """The card as static HTML, every text escaped."""
        body = "".join(
            f"<tr>{_cell('th', name, False, 'row')}{_cell('td', shown(value), False)}</tr>"
            for name, value in self.facts.items()
        )
        return _page(self.title, "", body, self.note, 2)

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return self.html()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": self.text(), "text/html": self.html()}


def shown(value: object) -> str:
    """One value as people read it, on one line."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.4g}"
        case datetime():
            return value.isoformat(" ", "seconds").replace("+00:00", " UTC")
    return _clean(str(value))


def _clean(text: str) -> str:
    # What a stranger wrote must not move the cursor, paint the terminal or turn the text around.
    if text.isprintable():
        return text
    return "".join(
        c
        if c.isprintable() or c in _JOINERS
        else " "
        if c.isspace()
        else c.encode("unicode_escape").decode()
        for c in text
    )


def _columns(*rows: Sequence[Value]) -> Iterator[tuple[Value, ...]]:
    return zip(*rows, strict=True)


def _numeric(values: Iterable[object]) -> bool:
    given = [value for value in values if value is not None]
    return bool(given) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in given
    )


def _fit(natural: list[int], width: int) -> list[int]:
    """Take from the widest columns until all fit; nothing if they cannot."""
    room = width - len(GAP) * (len(natural) - 1)
    if sum(natural) <= room:
        return natural
    for widest in range(max(natural) - 1, LEAST_COLUMN - 1, -1):
        widths = [min(w, widest) for w in natural]
        if sum(widths) <= room:
            return widths
    return []


def _one_by_one(header: list[str], grid: list[list[str]], width: int) -> Iterator[str]:
    for number, row in enumerate(grid):
        if number:
            yield "─" * min(width, 3)
        for name, value in zip(header, row, strict=True):
            yield _crop(f"{name}: {value}", width).rstrip()


def _pad(text: str, width: int, right: bool = False) -> str:
    text = _crop(text, width)
    space = " " * (width - cell_len(text))
    return space + text if right else text + space


def _crop(text: str, width: int) -> str:
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + "…"


def _wrap(text: str, width: int) -> Iterator[str]:
    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if cell_len(longer) <= width:
            line = longer
            continue
        if line:
            yield line
        line = _crop(word, width)
    if line:
        yield line


def safe(text: str) -> str:
    """A stranger's text, for HTML: it is read as text whatever is in it."""
    return escape(_clean(text), quote=True)


def _page(title: str, head: str, body: str, note: str, columns: int) -> str:
    foot = f'<td colspan="{columns}" style="text-align:left">{safe(note)}</td>'
    foot = f"<tfoot><tr>{foot}</tr></tfoot>" if note else ""
    return f"<table><caption>{safe(title)}</caption>{head}<tbody>{body}</tbody>{foot}</table>"


def _cell(tag: str, text: str, right: bool, scope: str | None = None) -> str:
    # Notebooks push cells to the right unless told otherwise.
    where = f' scope="{scope}"' if scope else ""
    align = "right" if right else "left"
    return f'<{tag}{where} style="text-align:{align}">{safe(text)}</{tag}>'
