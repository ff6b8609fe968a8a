"""Find words that the house does not use: British spelling, notes to self, somebody's own paths.

    python -m checks.words

A word that must stand where it is found is changed there, or its file is exempt here.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from checks.files import ROOT, project_files

SUFFIXES = (".md", ".py", ".toml", ".yml", ".ipynb", ".cfg", ".sh", "")
EXEMPT = {"checks/words.py", "README_FR.md", "LICENSE"}
BANNED = [
    (re.compile(r"\b(?:behaviou|colou|favou|honou|neighbou|flavou|labou)r", re.I), "write -or"),
    (
        re.compile(
            r"\b(?:serial|initial|normal|recogn|organ|synchron|optim|minim|summar|author)is[aei]",
            re.I,
        ),
        "write -ize",
    ),
    (re.compile(r"\b(?:centre|fibre|defence|analyse)[ds]?\b", re.I), "write it as Americans do"),
    (re.compile(r"\bwhilst\b", re.I), "write while"),
    (re.compile(r"\b(?:TODO|FIXME|XXX)\b"), "do it now, or note it where work is planned"),
    (
        re.compile(r"(?<![\w./~])/(?:home/(?!a\b)\w|(?:root|Users|work|opt)/\w)"),
        "the path of one machine",
    ),
]


def unwanted(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the word and the reason."""
    for pattern, reason in BANNED:
        for found in pattern.finditer(text):
            yield text.count("\n", 0, found.start()) + 1, found[0], reason


def unwanted_in(root: Path) -> list[str]:
    """List what stands where."""
    return [
        f"{name}:{line}: {word!r}: {reason}"
        for path in project_files(root, *SUFFIXES)
        if (name := path.relative_to(root).as_posix()) not in EXEMPT
        for line, word, reason in unwanted(path.read_text("utf-8"))
    ]


if __name__ == "__main__":
    found = unwanted_in(ROOT)
    print("\n".join(found))
    sys.exit(1 if found else 0)
