"""The command `sessionbot new`, for `cli.py` to mount.

sessionbot new plugin greet                            # a package with a plugin to begin with
sessionbot new plugin greet --from plugins/greet.py    # a package around what was promoted
"""

from pathlib import Path
from typing import Annotated

import typer

from sessionbot_kit.plugin_package import PluginPackage

app = typer.Typer(help="Begin something: a plugin in a package of its own.")


@app.callback()
def new() -> None:
    pass


@app.command()
def plugin(
    name: Annotated[str, typer.Argument(help="What the plugin is called")],
    to: Annotated[Path | None, typer.Option(help="The folder; else sessionbot-NAME")] = None,
    source: Annotated[
        Path | None, typer.Option("--from", help="A module that %promote has written")
    ] = None,
) -> None:
    """Make an installable package around a plugin."""
    package = PluginPackage(name)
    folder = to or Path(package.package)
    for path in package.write(folder, source):
        typer.echo(str(path))
    typer.echo(f'Next: cd {folder} && pip install -e ".[test]" && pytest')
