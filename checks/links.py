"""Follow every relative link and anchor of the documents and notebooks.

    python -m checks.links

Links that leave the project are not fetched: a check must not fail because somebody else's
server does.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from checks.files import ROOT, project_files

FENCE = re.compile(r"^(?P<ticks>`{3,}|~{3,}).*?^(?P=ticks)`*\s*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
INLINE = re.compile(r"\]\(\s*<?([^\s)>]+)>?(?:\s+[\"'(][^)]*)?\)")
REFERENCE = re.compile(r"^ {0,3}\[[^\]]+\]:\s*<?(\S+?)>?(?:\s|$)", re.MULTILINE)
ATTRIBUTE = re.compile(r"<(?:a|img)\b[^>]*?\b(?:href|src)=[\"']([^\"']+)", re.IGNORECASE)
ELSEWHERE = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]*:|^//")
HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.+?)\s*#*\s*$", re.MULTILINE)
NAMED = re.compile(r"<[^>]+\b(?:id|name)=[\"']([^\"']+)")
MARKUP = re.compile(r"!?\[([^\]]*)\]\([^)]*\)|<[^>]+>")


def broken_links(root: Path) -> Iterator[str]:
    """Say of each link that leads nowhere, which file has it and why."""
    for path in project_files(root, ".md", ".ipynb"):
        text = document_text(path)
        for link in links(text):
            if ELSEWHERE.match(link):
                continue
            reason = _broken(root, path, unquote(link))
            if reason:
                yield f"{path.relative_to(root)}: {link} {reason}"


def links(text: str) -> list[str]:
    """List where a document points to, code left out."""
    prose = CODE.sub("", FENCE.sub("", text))
    return [found for pattern in (INLINE, REFERENCE, ATTRIBUTE) for found in pattern.findall(prose)]


def anchors(text: str) -> set[str]:
    """Name the places of a document that a link may lead to, as GitHub names them."""
    prose = FENCE.sub("", text)
    names = set(NAMED.findall(prose))
    for title in HEADING.findall(prose):
        plain = MARKUP.sub(lambda found: found[1] or "", title).replace("`", "").lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        count = 0
        while (name := f"{slug}-{count}" if count else slug) in names:
            count += 1
        names.add(name)
    return names


def document_text(path: Path) -> str:
    """Read a document; of a notebook, its prose."""
    text = path.read_text("utf-8")
    if path.suffix != ".ipynb":
        return text
    cells = (cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown")
    return "\n\n".join("".join(cell["source"]) for cell in cells)


def _broken(root: Path, path: Path, link: str) -> str | None:
    name, _, anchor = link.partition("#")
    start = root if name.startswith("/") else path.parent
    target = (start / name.lstrip("/")) if name else path
    if not target.exists():
        return "leads to no file"
    if not target.resolve().is_relative_to(root.resolve()):
        return "leads out of the project"
    if (
        anchor
        and target.suffix in (".md", ".ipynb")
        and anchor not in anchors(document_text(target))
    ):
        return f"leads to no heading of {target.relative_to(root)}"
    return None


if __name__ == "__main__":
    broken = list(broken_links(ROOT))
    print("\n".join(broken))
    sys.exit(1 if broken else 0)
