"""Cuts a document into passages: small enough to be quoted, each with its heading and its lines.

    list(cut([Line(1, "Rent", level=1), Line(2, "It is due on the first.")]))
    # -> [Passage("It is due on the first.", heading="Rent", first=2, last=2)]

A passage ends at a heading, at an empty line once it is half full, and in any case when it is
full; a line that is longer alone is cut between words. The one rule to remember: every word of a
document is in one passage, and nothing is held but the passage that is being made.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

FULL: Final = 1_000  # characters: about 250 tokens
LONGEST_HEADING: Final = 200


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a document; with a `level` it is a heading."""

    number: int
    text: str
    level: int = 0


@dataclass(frozen=True, slots=True)
class Passage:
    """Some lines of a document, and the headings above them, outermost first."""

    text: str
    heading: str
    first: int
    last: int


def cut(lines: Iterable[Line], *, full: int = FULL) -> Iterator[Passage]:
    """Cut a document into passages."""
    headings: list[Line] = []
    begun: list[tuple[int, str]] = []
    size, bare = 0, False

    def finished() -> Passage:
        heading = " > ".join(above.text[:LONGEST_HEADING] for above in headings)
        said = begun or [(headings[-1].number, headings[-1].text)]  # a heading with nothing below
        text = "\n".join(text for _, text in said).strip()
        return Passage(text, heading, said[0][0], said[-1][0])

    for line in lines:
        if line.level:
            if begun or (bare and line.level <= headings[-1].level):
                yield finished()
            begun, size, bare = [], 0, True
            headings = [*(above for above in headings if above.level < line.level), line]
            continue
        if not line.text.strip():
            if size >= full / 2:
                yield finished()
                begun, size = [], 0
            continue
        bare = False
        for piece in pieces(line.text, full):
            if size and size + len(piece) > full:
                yield finished()
                begun, size = [], 0
            begun.append((line.number, piece))
            size += len(piece) + 1
    if begun or bare:
        yield finished()


def pieces(text: str, most: int) -> Iterator[str]:
    """Cut a long text between words, or anywhere if it has none."""
    begin = 0
    while len(text) - begin > most:
        end = text.rfind(" ", begin + most // 2, begin + most)
        end = begin + most if end < 0 else end
        yield text[begin:end].strip()
        begin = end
    if rest := text[begin:].strip():
        yield rest
