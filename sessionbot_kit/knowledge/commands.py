"""The commands `sessionbot kb ...`, for `cli.py` to mount: collections of documents.

    sessionbot kb add house documents/house      # index a folder, or bring its index up to date
    sessionbot kb search house when is the rent due
    sessionbot kb status
    sessionbot kb remove house

The index is `knowledge.db` in the home of the settings; a running bot sees changes at once.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from sessionbot_kit.knowledge.collections import Knowledge
from sessionbot_kit.knowledge.indexing import Progress, Report
from sessionbot_kit.settings import Settings
from sessionbot_kit.tables import Table

Answer = TypeVar("Answer")

FILE = "knowledge.db"
app = typer.Typer(help="Collections of documents that a bot can look things up in.")

Where = Annotated[
    Path | None, typer.Option("--index", "-i", help="The index; else the one of the configuration")
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The collection")]


def _with(where: Path | None, use: Callable[[Knowledge], Awaitable[Answer]]) -> Answer:
    async def run() -> Answer:
        async with Knowledge(where or Settings.load().home / FILE) as knowledge:
            return await use(knowledge)

    return asyncio.run(run())


@app.command()
def add(
    name: Name,
    folder: Annotated[Path, typer.Argument(help="The folder with the documents")],
    index: Where = None,
) -> None:
    """Make a folder a collection; later, read what has changed in it."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())

    async def work(knowledge: Knowledge) -> Report:
        with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("reading", total=None)

            def show(progress: Progress) -> None:
                what = progress.path[-40:]
                bar.update(task, completed=progress.done, total=progress.total, description=what)

            return await knowledge.add(name, folder, progress=show)

    report = _with(index, work)
    typer.echo(
        f"{name}: {report.added} new, {report.changed} changed, {report.unchanged} unchanged, "
        f"{report.removed} removed; {report.passages} new passages"
    )
    for path, problem in report.problems.items():
        typer.echo(f"left out {path}: {problem}")


@app.command()
def search(
    name: Name,
    question: Annotated[list[str], typer.Argument(help="What to look for")],
    index: Where = None,
    limit: Annotated[int, typer.Option(min=1, max=50, help="At most so many passages")] = 5,
) -> None:
    """Show the passages that fit a question best, with file and lines."""
    hits = _with(
        index, lambda knowledge: knowledge.search(" ".join(question), among=[name], limit=limit)
    )
    for hit in hits:
        typer.echo(f"{hit.citation}  {hit.heading}".rstrip())
        typer.echo("    " + hit.text.replace("\n", "\n    "))
    if not hits:
        typer.echo("Nothing was found.")


@app.command()
def status(index: Where = None) -> None:
    """List the collections, and the documents that could not be read."""
    found = _with(index, lambda knowledge: knowledge.status())
    table = Table(
        "Collections",
        ("name", "documents", "passages", "vectors", "folder"),
        [(one.name, one.documents, one.passages, one.vectors, str(one.folder)) for one in found],
    )
    typer.echo(table.text(shutil.get_terminal_size().columns))
    for one in found:
        for path, problem in one.problems.items():
            typer.echo(f"left out of {one.name}: {path}: {problem}")


@app.command()
def remove(name: Name, index: Where = None) -> None:
    """Forget a collection; its documents stay where they are."""
    _with(index, lambda knowledge: knowledge.remove(name))
    typer.echo(f"{name} is forgotten; its documents stay where they are.")
