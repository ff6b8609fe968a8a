"""Names that a piece of source uses and does not own, and the line that would bring each in.

    free_names("def f(): return json.dumps(GREETING)")     # -> {"json": 1, "GREETING": 1}
    line_for("json", json)                                 # -> "import json"
    line_for("GREETING", "hello")                          # -> "GREETING = 'hello'"

The symbol tables of the compiler know what is free in which scope: comprehensions, class bodies,
default values, `global`. What they cannot see (`eval`, `globals()["x"]`) is not here. The one rule
to remember: the source is looked at and never run.
"""

import ast
import builtins
import re
import symtable
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final

GIVEN: Final = frozenset(dir(builtins)) | {
    "__annotations__",
    "__builtins__",
    "__file__",
    "__path__",
}
MAX_VALUE_CHARS: Final = 60
_SECRET = re.compile(r"token|secret|password|passphrase|mnemonic|api_?key", re.I)


def free_names(source: str, name: str = "<source>") -> dict[str, int]:
    """The names that a module would look for in vain, with the line of their first use.

    A SyntaxError when it does not compile. With `import *` nobody can say, so nothing is free.
    """
    tree = ast.parse(source, name)
    if any(alias.name == "*" for node in ast.walk(tree) for alias in _imported(node)):
        return {}
    top = symtable.symtable(source, name, "exec")
    own = {symbol.get_name() for symbol in top.get_symbols() if _binds(symbol)}
    own |= {symbol.get_name() for table in _below(top) for symbol in _global_bindings(table)}
    used = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_referenced()}
    used |= {
        symbol.get_name()
        for table in _below(top)
        for symbol in table.get_symbols()
        if symbol.is_referenced() and symbol.is_global()
    }
    lines = _first_lines(tree)
    found = {one: lines.get(one, 0) for one in used - own - GIVEN}
    return dict(sorted(found.items(), key=lambda item: (item[1], item[0])))


def class_of(source: str, name: str) -> str | None:
    """The class in whose body a name is made, if it is one: its methods must say `self.name`."""
    tables = _below(symtable.symtable(source, "<source>", "exec"))
    owners = (
        table.get_name()
        for table in tables
        if table.get_type() == "class"
        and name in table.get_identifiers()
        and _binds(table.lookup(name))
    )
    return next(owners, None)


def line_for(name: str, value: Any) -> str:
    """The line that makes a name mean what it means elsewhere."""
    if isinstance(value, ModuleType):
        if value.__name__ == name:
            return f"import {name}"
        parent, _, child = value.__name__.rpartition(".")
        if child == name:
            return f"from {parent} import {name}"
        return f"import {value.__name__} as {name}"
    if (home := _home_of(name, value)) is not None:
        return home
    if isinstance(value, type) or callable(value):
        return f"the definition of {name}"
    text = repr(value)
    if _SECRET.search(name) or len(text) > MAX_VALUE_CHARS or not _is_literal(value, text):
        return f"{name} = ..."
    return f"{name} = {text}"


def _home_of(name: str, value: Any) -> str | None:
    """The import of what a module of this interpreter offers."""
    module = getattr(value, "__module__", None)
    if not isinstance(module, str) or module.startswith(("__", "sessionbot_plugin_")):
        return None
    parts = module.split(".")
    # From the package itself, where it offers the same: that is what its users know.
    for depth in range(1, len(parts) + 1):
        home = sys.modules.get(".".join(parts[:depth]))
        for offered in dict.fromkeys((name, str(getattr(value, "__name__", name)))):
            if home is not None and vars(home).get(offered, _NOTHING) is value:
                alias = "" if offered == name else f" as {name}"
                return f"from {home.__name__} import {offered}{alias}"
    return None


_NOTHING: Final = object()


def _is_literal(value: Any, text: str) -> bool:
    try:
        return bool(ast.literal_eval(text) == value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False


def _imported(node: ast.AST) -> list[ast.alias]:
    return node.names if isinstance(node, ast.ImportFrom) else []


def _binds(symbol: symtable.Symbol) -> bool:
    return symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()


def _global_bindings(table: symtable.SymbolTable) -> Iterator[symtable.Symbol]:
    return (
        symbol for symbol in table.get_symbols() if symbol.is_declared_global() and _binds(symbol)
    )


def _below(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    for child in table.get_children():
        yield child
        yield from _below(child)


def _first_lines(tree: ast.AST) -> dict[str, int]:
    lines: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            lines[node.id] = min(node.lineno, lines.get(node.id, node.lineno))
    return lines
