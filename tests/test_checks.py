"""Each check notices the fault that it is there for, planted in a copy of the project."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from checks import environment, links, tasks, words
from checks.contracts import lowest_floors

ROOT = Path(__file__).parents[1]
PYPROJECT = (ROOT / "pyproject.toml").read_text("utf-8")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the package and of what checks it."""
    copy = tmp_path / "copy"
    for folder in ("sessionbot_kit", "checks"):
        shutil.copytree(ROOT / folder, copy / folder)
    (copy / "pyproject.toml").write_text(PYPROJECT, "utf-8")
    return copy


def lint_imports(project: Path) -> str:
    """Check the floors of a copy and return what is said, "kept" when nothing is wrong."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    return "kept" if done.returncode == 0 else done.stdout + done.stderr


def plant(path: Path, line: str) -> None:
    path.write_text(f"{line}\n{path.read_text('utf-8') if path.exists() else ''}", "utf-8")


def test_the_floors_hold(project: Path) -> None:
    assert lint_imports(project) == "kept"


def test_an_import_that_goes_up_is_caught(project: Path) -> None:
    plant(project / "sessionbot_kit" / "models.py", "import sessionbot_kit.store")
    said = lint_imports(project)
    assert "Imports go down only BROKEN" in said
    assert "sessionbot_kit.models -> sessionbot_kit.store (l.1)" in said


def test_a_module_without_a_floor_is_caught(project: Path) -> None:
    plant(project / "sessionbot_kit" / "utils.py", "")
    assert "sessionbot_kit.utils" in lint_imports(project)


def test_a_circle_on_one_floor_is_caught(project: Path) -> None:
    plant(project / "sessionbot_kit" / "errors.py", "import sessionbot_kit.models")
    assert "No circles BROKEN" in lint_imports(project)


def test_siblings_that_know_each_other_are_caught(project: Path) -> None:
    links_folder = project / "sessionbot_kit" / "links"
    links_folder.mkdir(exist_ok=True)
    (links_folder / "__init__.py").touch()
    plant(links_folder / "one.py", "")
    plant(links_folder / "two.py", "import sessionbot_kit.links.one")
    assert "Siblings never import each other BROKEN" in lint_imports(project)


@pytest.mark.parametrize("module", ["errors", "chunker", "tables"])
def test_a_pure_floor_that_does_io_is_caught(project: Path, module: str) -> None:
    plant(project / "sessionbot_kit" / f"{module}.py", "import sqlite3")
    assert "The pure floors do no I/O BROKEN" in lint_imports(project)


def test_the_lowest_floors_are_those_of_the_table() -> None:
    assert {"errors", "models", "chunker", "dialog"} <= lowest_floors(ROOT / "pyproject.toml", 2)
    assert "store" not in lowest_floors(ROOT / "pyproject.toml", 2)


def test_the_environment_files_say_what_pyproject_says() -> None:
    for name, wanted in environment.environment_files(PYPROJECT).items():
        assert (ROOT / name).read_text("utf-8") == wanted


def test_a_drift_is_shown_and_mended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "binder").mkdir()
    (tmp_path / "pyproject.toml").write_text(PYPROJECT.replace("pydantic>=2.11", "pydantic>=2.12"))
    shutil.copy(ROOT / "environment.yml", tmp_path)
    shutil.copy(ROOT / "binder" / "environment.yml", tmp_path / "binder")
    assert environment.main(tmp_path, check=True) == 1
    said = capsys.readouterr().out
    assert '-      - "pydantic>=2.11"\n+      - "pydantic>=2.12"' in said
    assert environment.main(tmp_path, check=False) == 0
    assert environment.main(tmp_path, check=True) == 0


def test_an_extra_that_names_another_of_our_own_is_resolved() -> None:
    project = {
        "name": "kit",
        "dependencies": ["a"],
        "optional-dependencies": {"all": ["kit[one]", "c"], "one": ["b", "c"]},
    }
    assert environment.requirements(project, "all") == ["a", "b", "c"]


def test_a_python_that_we_refuse_is_not_given_to_binder() -> None:
    with pytest.raises(SystemExit, match="which requires-python"):
        environment.environment_files(PYPROJECT.replace('">=3.11"', '">=3.13"'))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a](missing.md)", "a.md: missing.md leads to no file"),
        ("[a](b.md#nowhere)", "a.md: b.md#nowhere leads to no heading of b.md"),
        ("[a][x]\n\n[x]: missing.md", "a.md: missing.md leads to no file"),
        ('<img src="missing.png">', "a.md: missing.png leads to no file"),
        ("[a](../../outside.md)", "a.md: ../../outside.md leads to no file"),
        ("[a](..)", "a.md: .. leads out of the project"),
        ("[a](#nowhere)", "a.md: #nowhere leads to no heading of a.md"),
    ],
)
def test_a_link_that_leads_nowhere_is_caught(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.md").write_text(text)
    (tmp_path / "b.md").write_text("# Here")
    assert list(links.broken_links(tmp_path)) == [said]


def test_links_that_lead_somewhere_and_code_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "b c.md").write_text("# Why `ask` ends\n\n## Here, now\n\n## Here, now")
    (tmp_path / "a.md").write_text(
        "[a](b%20c.md#why-ask-ends) [b](<b%20c.md#here-now-1>) [c](https://nowhere.invalid/x)\n"
        "`[d](no.md)`\n\n```\n[e](no.md)\n```\n\n[f](mailto:a@b.c)"
    )
    assert list(links.broken_links(tmp_path)) == []


def test_a_link_in_the_prose_of_a_notebook_is_followed(tmp_path: Path) -> None:
    cell = '{"cells": [{"cell_type": "markdown", "source": ["[next](02.ipynb)"]}]}'
    (tmp_path / "01.ipynb").write_text(cell)
    assert list(links.broken_links(tmp_path)) == ["01.ipynb: 02.ipynb leads to no file"]


@pytest.mark.parametrize(
    "line",
    [
        "asyncio.create_task(work())",
        "asyncio.ensure_future(work())",
        "asyncio.get_running_loop().create_task(work())",
        "self._loop.create_task(work())",
        "from asyncio import create_task as spawn; spawn(work())",
        "task = asyncio.create_task(\n    work(),\n)",
    ],
)
def test_a_task_without_a_parent_is_caught(line: str) -> None:
    assert len(list(tasks.orphans(line))) == 1


@pytest.mark.parametrize(
    "line",
    [
        "group.create_task(work())",
        "self._tasks.create_task(work())",
        "asyncio.create_task(work())  # parent: stop() cancels and awaits it",
        "create_task(work())",
    ],
)
def test_a_task_with_a_parent_is_left_alone(line: str) -> None:
    assert list(tasks.orphans(line)) == []


@pytest.mark.parametrize(
    "text",
    ["behavi" + "our", "normal" + "isation", "TO" + "DO: later", "see " + "/home/" + "ada/notes"],
)
def test_a_word_that_the_house_does_not_use_is_caught(text: str) -> None:
    assert [line for line, _, _ in words.unwanted(f"first\n{text}\n")] == [2]


def test_words_of_the_house_are_left_alone() -> None:
    text = "behavior, normalize, a raised hand, https://example.org/home/page, ~/work/data"
    assert list(words.unwanted(text)) == []
