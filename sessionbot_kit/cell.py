"""A plugin in a notebook cell: exactly the text of the cell, in a namespace of its own.

    edition = read_cell("greet", source, known=globals())
    greet = open_cell(edition)              # the plugin; `greet.edition.version` is the sha256

A cell sees nothing of the notebook around it. What it needs stands in it, so that the file which
is made of it later does the same. A name that belongs to another cell is refused before anything
runs, with the line to add. The one rule to remember: **one plugin a cell**, called as the cell is.
"""

import ast
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from sessionbot_kit.edition import Edition, Page
from sessionbot_kit.errors import PluginError
from sessionbot_kit.extension import Plugin, PluginMeta
from sessionbot_kit.free_names import class_of, free_names, line_for
from sessionbot_kit.sources import open_edition

_NOTHING = object()


class Cell(Edition):
    """An edition whose page is a cell."""

    @property
    def source(self) -> bytes:
        return self.pages[""].source

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Called by the import system; there is no file, so the lines are looked up as they ran."""
        spec = super().find_spec(name, path, target)
        if spec is not None:
            spec.origin = self._shown(self.pages[""])
        return spec


def read_cell(name: str, text: str, known: Mapping[str, Any] | None = None) -> Cell:
    """Take the text of a cell, after a look at it; nothing runs yet.

    `known` are the names of the notebook, to say what a missing one is.
    """
    PluginMeta(id=name)  # refuses a name that no plugin can have
    if not text.strip():
        raise PluginError(f"the cell {name} is empty; write a plugin below %%plugin {name}")
    if not text.endswith(("\n", "\r")):
        text += "\n"
    try:
        source = text.encode()
    except UnicodeEncodeError as error:
        raise PluginError(
            f"the cell {name} has half a character at position {error.start}; type it again"
        ) from error
    _check(name, text, known or {})
    return Cell(name, {"": Page(Path(f"cell {name}"), source)})


def open_cell(cell: Cell) -> Plugin:
    """Run a cell in its own namespace and take its plugin."""
    plugins = open_edition(cell)
    if len(plugins) == 1 and plugins[0].meta.id == cell.name:
        return plugins[0]
    for plugin in plugins:
        cell.release(plugin)
    if len(plugins) > 1:
        ids = " and ".join(plugin.meta.id for plugin in plugins)
        raise PluginError(f"the cell {cell.name} makes {ids}; give each plugin a cell of its own")
    id = plugins[0].meta.id
    raise PluginError(f"the cell {cell.name} makes the plugin {id}; begin it with %%plugin {id}")


def _check(name: str, text: str, known: Mapping[str, Any]) -> None:
    where = f"cell {name}"
    try:
        free = free_names(text, where)
        _check_twice(where, ast.parse(text))
        compile(text, where, "exec", dont_inherit=True)
    except SyntaxError as error:
        raise PluginError(_sentence(where, text, error)) from error
    except (ValueError, RecursionError, MemoryError) as error:  # a null byte; far too deep
        raise PluginError(f"{where} cannot be read: {error}; write it anew") from error
    if free:
        raise PluginError(f"{where}:{min(free.values())} {_missing(text, free, known)}")


def _check_twice(where: str, tree: ast.Module) -> None:
    """A class and a function of one name: the later one wins, and nobody sees it."""
    functions = _lines(tree.body, (ast.FunctionDef, ast.AsyncFunctionDef))
    for name, line in _lines(tree.body, (ast.ClassDef,)).items():
        if name in functions:
            first, second = sorted((line, functions[name]))
            raise PluginError(
                f"{where}:{second} makes {name} again, which line {first} made: one is a class and "
                "one a function; give one of them another name"
            )


def _lines(body: Iterable[ast.stmt], kinds: tuple[Any, ...]) -> dict[str, int]:
    return {node.name: node.lineno for node in body if isinstance(node, kinds)}


def _sentence(where: str, text: str, error: SyntaxError) -> str:
    lines = text.splitlines()
    line = lines[error.lineno - 1].strip() if error.lineno and error.lineno <= len(lines) else ""
    place = f"{where}:{error.lineno}" if error.lineno else where
    what = " ".join(error.msg.split())
    if line.startswith(("%", "!")):
        mend = (
            f"{line.split()[0]} is of the notebook and no module has it; put it into another cell"
        )
    elif ("await" in what and "outside" in what) or line.startswith("await "):
        mend = "await inside the plugin's function, or in `async def start(self)` of a class"
    else:
        mend = f"mend `{line}`" if line else "mend it there"
    return f"{place} {what}; {mend}"


def _missing(text: str, free: Mapping[str, int], known: Mapping[str, Any]) -> str:
    elsewhere = [name for name in free if known.get(name, _NOTHING) is not _NOTHING]
    if elsewhere:
        lines = "; ".join(line_for(name, known[name]) for name in elsewhere)
        return f"uses {_listed(elsewhere)} of another cell; add to this one: {lines}"
    imports = [line for one in free if (line := _well_known(one))]
    if imports:
        return f"uses {_listed(free)}; add to this cell: {'; '.join(imports)}"
    name = next(iter(free))
    if (owner := class_of(text, name)) is not None:
        return f"uses {name}, which the class {owner} has; write self.{name} or {owner}.{name}"
    return f"uses {_listed(free)}, which nobody has made; look at the spelling, or add an import"


def _well_known(name: str) -> str:
    """The import of a name that can only mean one thing."""
    if name in sys.modules["sessionbot_kit"].__all__:
        return f"from sessionbot_kit import {name}"
    return f"import {name}" if name in sys.stdlib_module_names else ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
