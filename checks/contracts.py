"""A contract for import-linter: the lowest floors of the house do no I/O.

The floors stand once, in the contract of type `layers` in pyproject.toml. This one takes the
lowest of them from there, so that a new module is pure, or not, by the floor it is put on.
"""

import tomllib
from pathlib import Path
from typing import Any

from grimp import ImportGraph
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.domain import fields
from importlinter.domain.contract import ContractCheck
from importlinter.domain.imports import ModuleExpression


class PureFloorsContract(ForbiddenContract):
    """Forbid modules to everything on the lowest `floors`, as far as it exists."""

    type_name = "pure_floors"
    source_modules: Any = fields.SetField(subfield=fields.ModuleExpressionField(), required=False)
    floors: Any = fields.IntegerField()

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Fill the source modules in and check as the original does."""
        package = self.session_options["root_packages"][0]
        names = {f"{package}.{name}" for name in lowest_floors(Path("pyproject.toml"), self.floors)}
        self.source_modules = {ModuleExpression(name) for name in names & graph.modules}
        return super().check(graph, verbose)


def lowest_floors(pyproject: Path, count: int) -> set[str]:
    """Name the modules on the lowest floors of the contract that lists them all."""
    contracts = tomllib.loads(pyproject.read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    (layers,) = (one["layers"] for one in contracts if one["type"] == "layers")
    return {
        name.strip(" ()")
        for layer in layers[-count:]
        for name in layer.replace("|", ":").split(":")
    }
