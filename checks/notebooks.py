"""Run every notebook and write its outputs; what changed is named, and the status is then 1.

    python -m checks.notebooks                              # all of notebooks/
    python -m checks.notebooks notebooks/01_first_bot.ipynb

Text is kept. Of a widget only its text and static HTML are kept, because its live view means
nothing without its Jupyter kernel. What `tests/sanitize.cfg` takes out for the comparison of
`make test` is taken out here too: a path that differs each time changes nothing.
"""

import configparser
import copy
import re
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from checks.files import ROOT, project_files

SANITIZE = ROOT / "tests" / "sanitize.cfg"
CELL_TIMEOUT_S = 60
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def regenerate(path: Path) -> str | None:
    """Run a notebook and write it when it changed; return what is wrong, or None."""
    old = nbformat.read(path, as_version=4)
    new = copy.deepcopy(old)
    client = NotebookClient(
        new,
        timeout=CELL_TIMEOUT_S,
        kernel_name="python3",
        record_timing=False,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        resources={"metadata": {"path": str(path.parent)}},
    )
    try:
        client.execute()
    except CellExecutionError as error:
        return f"{path.name} does not run: {error}"
    tidy(new)
    if same(old, new):
        return None
    nbformat.write(new, path)
    return f"{path.name} has new outputs; look at them with git diff, and commit what is right"


def tidy(notebook: Any) -> None:
    """Take out what differs from run to run or from machine to machine."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        kept: list[Any] = []
        for output in cell.outputs:
            if "data" in output:
                output.data.pop(WIDGET_VIEW, None)
            if _continues(kept, output):
                kept[-1].text += output.text
            else:
                kept.append(output)
        cell.outputs = kept


def same(old: Any, new: Any) -> bool:
    """Compare two notebooks as the tests do."""
    return sanitized(nbformat.writes(old)) == sanitized(nbformat.writes(new))


def sanitized(text: str) -> str:
    """Replace what the tests replace before they compare."""
    rules = configparser.RawConfigParser()
    rules.read(SANITIZE)
    for section in rules.sections():
        text = re.sub(rules[section]["regex"], rules[section]["replace"], text)
    return text


def _continues(kept: list[Any], output: Any) -> bool:
    # How a stream is cut into pieces depends on timing.
    return bool(
        kept
        and output.output_type == kept[-1].output_type == "stream"
        and output.name == kept[-1].name
    )


if __name__ == "__main__":
    asked = [Path(name).resolve() for name in sys.argv[1:]]
    paths = asked or [
        path for path in project_files(ROOT, ".ipynb") if path.is_relative_to(ROOT / "notebooks")
    ]
    wrong = [said for path in paths if (said := regenerate(path))]
    print("\n".join(wrong) or f"{len(paths)} notebooks ran, and nothing changed")
    sys.exit(1 if wrong else 0)
