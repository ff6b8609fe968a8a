"""Find tasks without a parent: a task is made by a TaskGroup or a Crew, or its line names another.

    python -m checks.tasks

Where neither can be, the line ends with a comment that says who awaits the task:
`# parent: stop() cancels and awaits it`.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from checks.files import ROOT, project_files

MAKERS = {"create_task", "ensure_future"}
CREW = "crew.py"  # where tasks are kept that no group can hold
PARENT = re.compile(r"#\s*parent: \S")


def orphans(source: str) -> Iterator[int]:
    """Yield the lines on which a task is made that nobody is bound to await."""
    lines = source.splitlines()
    tree = ast.parse(source)
    bare = {
        name.asname or name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "asyncio"
        for name in node.names
        if name.name in MAKERS
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not _is_made_alone(node.func, bare):
            continue
        last = node.end_lineno or node.lineno
        if not any(PARENT.search(line) for line in lines[node.lineno - 1 : last]):
            yield node.lineno


def orphans_of(root: Path) -> list[str]:
    """List the orphans of the package, as places that an editor can open."""
    return [
        f"{path.relative_to(root)}:{line}: a task outside a TaskGroup or a Crew; name its parent"
        for path in project_files(root, ".py")
        if path.is_relative_to(root / "sessionbot_kit") and path.name != CREW
        for line in orphans(path.read_text("utf-8"))
    ]


def _is_made_alone(function: ast.expr, bare: set[str]) -> bool:
    if isinstance(function, ast.Name):
        return function.id in bare
    if not isinstance(function, ast.Attribute) or function.attr not in MAKERS:
        return False
    return _is_loop(function.value)


def _is_loop(owner: ast.expr) -> bool:
    """Tell `asyncio`, a loop and `get_running_loop()` from a task group."""
    if isinstance(owner, ast.Call):
        return _is_loop(owner.func)
    name = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
    return name == "asyncio" or name.endswith("loop")


if __name__ == "__main__":
    found = orphans_of(ROOT)
    print("\n".join(found))
    sys.exit(1 if found else 0)
