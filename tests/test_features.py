"""The table of features names tests that exist, and each feature once."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLE = (ROOT / "docs" / "features.md").read_text("utf-8")
ROWS = re.findall(r"^\| (F\d{3}) \|.*$", TABLE, re.MULTILINE)
SHOWN_BY = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", TABLE)))


def names_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, functions)}


def place(file: str) -> Path:
    """A test of a contract lies in the package, for authors of other stores, links and channels."""
    return ROOT / ("sessionbot_kit" if file.startswith("testing/") else "tests") / file


def test_every_test_that_is_named_exists() -> None:
    missing = [
        f"{file}::{name}"
        for file, name in SHOWN_BY
        if not (path := place(file)).exists() or name not in names_in(path)
    ]
    assert missing == []


def test_every_feature_is_named_once_and_shown_by_a_test() -> None:
    assert len(ROWS) == len(set(ROWS)) > 0
    lines = [line for line in TABLE.splitlines() if re.match(r"\| F\d{3} ", line)]
    assert [line for line in lines if "::test_" not in line] == []
