"""Which files of a folder are documents, and what the disk says of them.

    for found in documents_in(Path("documents")): found.path, found.size, found.problem
    facts = look_into(path)              # sha256, encoding, longest line: in one pass

Symbolic links are not followed, so a folder cannot lead out of itself; hidden files are left
alone. The one rule to remember: a file is opened only when its size, time or place has changed.
"""

import codecs
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sessionbot_kit.knowledge.formats import HTML, JSON, LARGEST_TREE, PAGES, SUFFIXES
from sessionbot_kit.knowledge.pages import UnreadableDocument

READ_BYTES: Final = 1 << 20
LARGEST: Final = 1_000_000_000
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """A file of the folder; `problem` says why it is not read, if so."""

    name: str  # the path below the folder, with slashes
    path: Path
    size: int = 0
    mtime_ns: int = 0
    inode: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a file once it was read through."""

    sha256: str
    encoding: str
    longest_line: int


def documents_in(folder: Path) -> Iterator[Found]:
    """The documents of a folder and of those below it, by name."""
    below = [folder]
    while below:
        here = below.pop()
        try:
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError as error:
            if here == folder:
                raise
            yield Found(_name(here, folder), here, problem=f"cannot be opened: {error.strerror}")
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                below.append(Path(entry.path))
            elif (
                Path(entry.name).suffix.lower() in SUFFIXES
                and (found := _found(entry, folder)) is not None
            ):
                yield found


def _found(entry: "os.DirEntry[str]", folder: Path) -> Found | None:
    path = Path(entry.path)
    name = _name(path, folder)
    if entry.is_symlink():
        return Found(name, path, problem="is a symbolic link, which is not followed")
    try:
        facts = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None  # it went as we looked
    if not stat.S_ISREG(facts.st_mode):
        return Found(name, path, problem="is no ordinary file")
    tree = path.suffix.lower() in HTML | JSON
    most = LARGEST_TREE if tree else LARGEST
    problem = f"has {facts.st_size:,} bytes, more than {most:,}" if facts.st_size > most else ""
    return Found(name, path, facts.st_size, facts.st_mtime_ns, facts.st_ino, problem)


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix().encode("utf-8", "replace").decode()


def look_into(path: Path) -> Facts:
    """Read a file through: its hash, its encoding, and how long its longest line is."""
    digest, utf8 = hashlib.sha256(), codecs.getincrementaldecoder("utf-8")()
    encoding, longest, line = "utf-8", 0, 0
    is_text = path.suffix.lower() not in PAGES
    # The last step must not be a link either, whatever it was when the folder was listed.
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        first = True
        while block := file.read(READ_BYTES):
            digest.update(block)
            if not is_text:
                continue
            if first:
                encoding = next((name for bom, name in _BOMS if block.startswith(bom)), encoding)
                first = False
            if encoding == "utf-8":
                try:
                    utf8.decode(block)
                except UnicodeDecodeError:
                    encoding = "cp1252"
            if encoding != "utf-16" and b"\0" in block:
                raise UnreadableDocument(
                    "is no text: it has zero bytes, as encrypted and binary files have"
                )
            *ends, rest = block.split(b"\n")
            for end in ends:
                longest, line = max(longest, line + len(end)), 0
            line += len(rest)
    return Facts(digest.hexdigest(), encoding, max(longest, line))
