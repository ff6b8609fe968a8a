"""PDF and Word documents, where the extra is installed: `pip install "sessionbot-kit[documents]"`.

A page of a PDF is a heading of its own, since it has no lines that a reader could count. What is
locked with a password is refused, and so is what the libraries cannot read.
"""

from collections.abc import Iterator
from pathlib import Path

from sessionbot_kit.errors import UsageError
from sessionbot_kit.knowledge.passages import Line

MOST_PAGES = 10_000


class UnreadableDocument(UsageError):
    """A document that cannot be read; the sentence says why."""


def pdf_lines(path: Path) -> Iterator[Line]:
    """The lines of each page."""
    try:
        from pypdf import PdfReader
    except ImportError as missing:
        raise _needs(path, missing) from missing
    try:
        reader = PdfReader(path)
        if reader.is_encrypted:
            raise UnreadableDocument(
                f"{path.name} is locked with a password; save a copy without it"
            )
        for number, page in enumerate(reader.pages[:MOST_PAGES], 1):
            yield Line(number, f"page {number}", level=1)
            yield from (Line(number, text) for text in page.extract_text().splitlines())
    except UnreadableDocument:
        raise
    except Exception as error:  # somebody else's reader, on anybody's file
        raise UnreadableDocument(f"{path.name} cannot be read as PDF: {error!r}") from error


def docx_lines(path: Path) -> Iterator[Line]:
    """The paragraphs, counted as lines."""
    try:
        import docx
    except ImportError as missing:
        raise _needs(path, missing) from missing
    if path.read_bytes()[:4] != b"PK\x03\x04":
        raise UnreadableDocument(f"{path.name} is locked with a password, or no Word document")
    try:
        document = docx.Document(str(path))
        for number, paragraph in enumerate(document.paragraphs, 1):
            style = paragraph.style.name if paragraph.style is not None else ""
            level = style.removeprefix("Heading ") if (style or "").startswith("Heading ") else "0"
            yield Line(number, paragraph.text, int(level) if level.isdigit() else 0)
    except Exception as error:  # somebody else's reader, on anybody's file
        raise UnreadableDocument(f"{path.name} cannot be read as Word: {error!r}") from error


def _needs(path: Path, missing: ImportError) -> UnreadableDocument:
    return UnreadableDocument(
        f'{path.name} needs {missing.name}; install it: pip install "sessionbot-kit[documents]"'
    )
