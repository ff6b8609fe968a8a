"""Every notebook gives the outputs that are committed with it."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from checks.files import ROOT, project_files
from checks.notebooks import WIDGET_VIEW, regenerate, tidy

pytestmark = pytest.mark.timeout(300)  # each starts another pytest and a Jupyter kernel

NOTEBOOKS = [
    path for path in project_files(ROOT, ".ipynb") if path.is_relative_to(ROOT / "notebooks")
]


def compare(notebook: Path) -> subprocess.CompletedProcess[str]:
    """Run a notebook and compare each cell's output with the one that is saved."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-c", str(ROOT / "pyproject.toml")),
            *("-p", "no:randomly", "-p", "no:cacheprovider", "--rootdir", str(notebook.parent)),
            *("--nbval", "--nbval-current-env", "--nbval-cell-timeout=60"),
            *("--nbval-sanitize-with", str(ROOT / "tests" / "sanitize.cfg"), str(notebook)),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def saved(folder: Path, source: str, output: str) -> Path:
    """Save a notebook of one cell with what it is said to print."""
    cell = nbformat.v4.new_code_cell(
        source,
        execution_count=1,
        outputs=[nbformat.v4.new_output("stream", name="stdout", text=output)],
    )
    path = folder / "planted.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    return path


@pytest.mark.parametrize(
    "notebook", NOTEBOOKS, ids=[path.relative_to(ROOT).as_posix() for path in NOTEBOOKS]
)
def test_a_notebook_gives_the_outputs_that_are_saved(notebook: Path) -> None:
    done = compare(notebook)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_wrong_output_fails(tmp_path: Path) -> None:
    done = compare(saved(tmp_path, "print(1 + 2)", "4\n"))
    assert done.returncode == 1
    assert "1 failed" in done.stdout


def test_a_right_output_passes_and_so_does_another_temporary_path(tmp_path: Path) -> None:
    source = "print(3); print('ipykernel_%d/7.py' % __import__('os').getpid())"
    done = compare(saved(tmp_path, source, "3\nipykernel_1234/567.py\n"))
    assert done.returncode == 0, done.stdout


def test_the_sanitizer_excuses_nothing_else(tmp_path: Path) -> None:
    done = compare(saved(tmp_path, "print(object())", "<object object at 0x7f0000000000>\n"))
    assert done.returncode == 1


def test_running_again_writes_what_changed_and_says_so(tmp_path: Path) -> None:
    path = saved(tmp_path, "print(1 + 2)", "4\n")
    assert regenerate(path) == (
        "planted.ipynb has new outputs; look at them with git diff, and commit what is right"
    )
    assert nbformat.read(path, as_version=4).cells[0].outputs[0].text == "3\n"
    assert regenerate(path) is None


def test_a_notebook_that_fails_is_left_as_it_was(tmp_path: Path) -> None:
    path = saved(tmp_path, "1 / 0", "4\n")
    before = path.read_bytes()
    assert "planted.ipynb does not run" in str(regenerate(path))
    assert path.read_bytes() == before


def test_of_a_widget_the_text_is_kept() -> None:
    data = {WIDGET_VIEW: {"model_id": "1"}, "text/plain": "Chat(alice)"}
    output = nbformat.v4.new_output("display_data", data)
    cell = nbformat.v4.new_code_cell("chat", outputs=[output])
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"widgets": {"state": {}}})
    tidy(notebook)
    assert cell.outputs[0].data == {"text/plain": "Chat(alice)"}
    assert "widgets" not in notebook.metadata
