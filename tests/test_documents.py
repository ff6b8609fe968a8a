"""Every Python block of the documents runs, and prints what the document says it prints."""

import ast
import asyncio
import contextlib
import inspect
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from checks.files import ROOT, project_files

BLOCK = re.compile(
    r"^```python[ \t]*\n(?P<code>.*?)^```[ \t]*\n"
    r"(?:\s*^```text[ \t]*\n(?P<output>.*?)^```[ \t]*$)?",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A block of Python, and the ```text block right below it, which is what it prints."""

    line: int
    code: str
    output: str | None


def blocks(text: str) -> Iterator[Block]:
    """Find the blocks that run."""
    for found in BLOCK.finditer(text + "\n"):
        yield Block(text.count("\n", 0, found.start("code")), found["code"], found["output"])


def run(path: Path) -> None:
    """Run the blocks of a document in order, in one namespace and one event loop."""
    names: dict[str, Any] = {"__name__": "__main__"}
    with asyncio.Runner() as runner:
        for block in blocks(path.read_text("utf-8")):
            # As many empty lines as stand above it make a traceback point into the document.
            code = compile(
                "\n" * block.line + block.code, path, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            )
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                result = eval(code, names)
                if inspect.iscoroutine(result):
                    runner.run(result)
            if block.output is not None:
                assert printed.getvalue() == block.output, f"{path.name}, line {block.line}"


DOCUMENTS = [path for path in project_files(ROOT, ".md") if any(blocks(path.read_text("utf-8")))]


@pytest.mark.parametrize(
    "document", DOCUMENTS, ids=[path.relative_to(ROOT).as_posix() for path in DOCUMENTS]
)
def test_the_blocks_of_a_document_run(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run(document)


def document(folder: Path, text: str) -> Path:
    path = folder / "document.md"
    path.write_text(text, "utf-8")
    return path


def test_a_later_block_knows_what_an_earlier_one_made_and_may_await(tmp_path: Path) -> None:
    text = "```python\nimport asyncio\nloop = asyncio.get_running_loop() if 0 else 1\n```\n"
    text += "and\n```python\nawait asyncio.sleep(0)\nprint(loop)\n```\n\n```text\n1\n```\n"
    run(document(tmp_path, text))


def test_a_block_that_fails_is_shown_with_its_line(tmp_path: Path) -> None:
    path = document(tmp_path, "# Title\n\n```python\nx = 1\nx.missing\n```\n")
    with pytest.raises(AttributeError) as caught:
        run(path)
    assert (str(caught.traceback[-1].path), caught.traceback[-1].lineno + 1) == (str(path), 5)


def test_a_block_that_prints_something_else_fails(tmp_path: Path) -> None:
    path = document(tmp_path, "```python\nprint('hello')\n```\n\n```text\ngoodbye\n```\n")
    with pytest.raises(AssertionError, match=r"document\.md, line 1"):
        run(path)


def test_other_blocks_are_only_read(tmp_path: Path) -> None:
    run(document(tmp_path, "```console\nmake lab\n```\n\n```\nx\n```\n\n```python-like\n?\n```\n"))
