"""Reads documents as lines: txt, md, html, csv and json, with nothing but the standard library.

    for line in lines_of(Path("lease.md"), encoding="utf-8", longest_line=80): ...

A line keeps the number that it has in its file, also where it was a cell of a table or a value
deep inside JSON. What a person would not see in a browser (scripts, comments, hidden elements) is
not read. What claims to be CSV or JSON and is not, is read as text. The one rule to remember: a
document may be larger than the memory, and may be one line.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Final, TextIO

from sessionbot_kit.knowledge.pages import docx_lines, pdf_lines
from sessionbot_kit.knowledge.passages import Line, pieces
from sessionbot_kit.plain_text import one_line, visible

READ_CHARS: Final = 65_536
LONGEST_PIECE: Final = 8_000
LONGEST_ROW: Final = 100_000  # a longer line is no row of a table
DEEPEST: Final = 6  # steps of the way to a value that are named
LARGEST_TREE: Final = 32_000_000  # bytes of html and json, which are read whole

TEXT: Final = frozenset({".txt", ".text", ".md", ".markdown", ".rst", ".log"})
MARKDOWN: Final = frozenset({".md", ".markdown"})
HTML: Final = frozenset({".html", ".htm", ".xhtml"})
TABLES: Final = frozenset({".csv", ".tsv"})
JSON: Final = frozenset({".json", ".jsonl", ".ndjson"})
PAGES: Final[Mapping[str, Callable[[Path], Iterator[Line]]]] = {
    ".pdf": pdf_lines,
    ".docx": docx_lines,
}
SUFFIXES: Final = TEXT | HTML | TABLES | JSON | PAGES.keys()

_HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*\s*$")
_FENCE = re.compile(r"\s{0,3}(```|~~~)")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|\n|[^\s{}\[\]:,"]+')


def lines_of(path: Path, *, encoding: str, longest_line: int) -> Iterator[Line]:
    """The lines of a document, each with its number; what nobody can see is taken out."""
    suffix = path.suffix.lower()
    if suffix in PAGES:
        yield from _seen(PAGES[suffix](path))
        return
    with path.open(encoding=encoding, errors="replace") as stream:
        yield from _seen(_reader(suffix, longest_line)(stream))


def _reader(suffix: str, longest_line: int) -> Callable[[TextIO], Iterator[Line]]:
    if suffix in HTML:
        return _html
    if suffix in MARKDOWN:
        return _markdown
    if suffix in JSON:
        return _json
    if suffix in TABLES and longest_line <= LONGEST_ROW:
        return _tabs if suffix == ".tsv" else _commas
    return _plain


def _seen(lines: Iterable[Line]) -> Iterator[Line]:
    for line in lines:
        text = visible(line.text)
        yield line if text == line.text else Line(line.number, text, line.level)


def _plain(stream: TextIO) -> Iterator[Line]:
    number, rest = 1, ""
    while block := stream.read(READ_CHARS):
        *lines, rest = (rest + block).split("\n")
        for line in lines:
            yield from (Line(number, piece) for piece in pieces(line, LONGEST_PIECE))
            if not line.strip():
                yield Line(number, "")
            number += 1
        if len(rest) > 2 * LONGEST_PIECE:
            cut = rest.rfind(" ", LONGEST_PIECE) if " " in rest[LONGEST_PIECE:] else len(rest)
            yield from (Line(number, piece) for piece in pieces(rest[:cut], LONGEST_PIECE))
            rest = rest[cut:]
    yield from (Line(number, piece) for piece in pieces(rest, LONGEST_PIECE))


def _markdown(stream: TextIO) -> Iterator[Line]:
    fence = ""
    for line in _plain(stream):
        if found := _FENCE.match(line.text):
            if not fence:
                fence = found[1]
            elif found[1] == fence:
                fence = ""
        if not fence and (heading := _HEADING.match(line.text)):
            yield Line(line.number, heading[2], len(heading[1]))
        else:
            yield line


def _commas(stream: TextIO) -> Iterator[Line]:
    return _rows(stream, ",")


def _tabs(stream: TextIO) -> Iterator[Line]:
    return _rows(stream, "\t")


def _rows(stream: TextIO, delimiter: str) -> Iterator[Line]:
    """Each row with the names of its columns, so that it can be read alone."""
    reader = csv.reader(stream, delimiter=delimiter)
    names: list[str] = []
    try:
        for row in reader:
            if not names:
                names = [one_line(cell) for cell in row]
                yield Line(reader.line_num, ", ".join(names))
                continue
            cells = [
                f"{names[n]}: {one_line(cell)}" if n < len(names) else one_line(cell)
                for n, cell in enumerate(row)
                if cell.strip()
            ]
            yield Line(reader.line_num, "; ".join(cells))
    except csv.Error:
        number = reader.line_num
        yield from (Line(number + line.number, line.text) for line in _plain(stream))


class _Tree:
    """Where in a JSON document we are: the key or the index at each depth."""

    def __init__(self) -> None:
        self._way: list[str | int] = []
        self._key: str | None = None  # said, and its colon not yet

    def open(self, token: str) -> None:
        self._way.append(0 if token == "[" else "")
        self._key = None

    def close(self) -> None:
        if self._way:
            self._way.pop()

    def comma(self) -> None:
        if self._way:
            here = self._way[-1]
            self._way[-1] = here + 1 if isinstance(here, int) else ""

    def colon(self) -> None:
        if self._way and self._key is not None:
            self._way[-1], self._key = self._key, None

    def value(self, token: str) -> str | None:
        """The value with the way to it; None when it is a key."""
        text = one_line(_value(token))
        if self._way and self._way[-1] == "":
            self._key = text
            return None
        steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in self._way]
        way = "".join(steps[-DEEPEST:]).removeprefix(".")
        return f"{way}: {text}" if way else text


def _json(stream: TextIO) -> Iterator[Line]:
    """Each value with the way to it, in the line in which it stands: `rooms[2].name: Attic`."""
    number, tree = 1, _Tree()
    for found in _TOKEN.finditer(stream.read()):
        match token := found[0]:
            case "\n":
                number += 1
            case "{" | "[":
                tree.open(token)
            case "}" | "]":
                tree.close()
            case ",":
                tree.comma()
            case ":":
                tree.colon()
            case _:
                if (text := tree.value(token)) is not None:
                    yield Line(number, text)


def _value(token: str) -> str:
    try:
        return str(json.loads(token)) if token.startswith('"') else token
    except ValueError:
        return token.strip('"')


class _Page(HTMLParser):
    """Collects what a browser would show."""

    VOID = frozenset({"area", "br", "col", "embed", "hr", "img", "input", "link", "meta", "wbr"})
    UNSEEN = frozenset({"script", "style", "template", "noscript", "svg", "iframe", "object"})
    INLINE = frozenset(
        {"a", "abbr", "b", "cite", "code", "em", "i", "kbd", "mark", "q", "s", "small", "span"}
        | {"strong", "sub", "sup", "time", "u", "var", "label"}
    )
    HIDDEN = re.compile(
        r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0|opacity\s*:\s*0(?![.\d])",
        re.I,
    )

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[Line] = []
        self._unseen: list[str] = []
        self._said: list[str] = []
        self._begun = 0
        self._level = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.INLINE:
            self.flush()
        if tag in self.VOID:
            return
        style = " ".join(value or "" for name, value in attrs if name == "style")
        hidden = any(name == "hidden" for name, _ in attrs) or self.HIDDEN.search(style)
        if self._unseen or tag in self.UNSEEN or hidden:
            self._unseen.append(tag)
        elif tag == "title" or re.fullmatch("h[1-6]", tag):
            self._level = 1 if tag == "title" else int(tag[1])

    def handle_endtag(self, tag: str) -> None:
        if tag in self._unseen:
            while self._unseen.pop() != tag:
                pass
            return
        if tag not in self.INLINE:
            self.flush()
        if tag == "title" or re.fullmatch("h[1-6]", tag):
            self._level = 0

    def handle_data(self, data: str) -> None:
        if self._unseen or not data.strip():
            return
        if not self._said:
            self._begun = self.getpos()[0] + data[: len(data) - len(data.lstrip())].count("\n")
        self._said.append(data)

    def flush(self) -> None:
        if self._said:
            self.lines.append(Line(self._begun, one_line("".join(self._said)), self._level))
            self._said = []


def _html(stream: TextIO) -> Iterator[Line]:
    page = _Page()
    while block := stream.read(READ_CHARS):
        page.feed(block)
        yield from page.lines
        page.lines.clear()
    page.close()
    page.flush()
    yield from page.lines
