"""Brings a collection up to its folder, and opens no file that the disk says has not changed.

    report = update(connection, id, name, progress=show, stopped=event)

A document goes in as one transaction together with its row, many small ones in one; killed
anywhere, what was committed stays and the next update does the rest. The one rule to remember: a
document is in whole or not at all, and what could not be read is reported with its reason.
"""

import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sessionbot_kit.errors import UsageError
from sessionbot_kit.knowledge.folder import Facts, Found, documents_in, look_into
from sessionbot_kit.knowledge.formats import PAGES, lines_of
from sessionbot_kit.knowledge.pages import UnreadableDocument
from sessionbot_kit.knowledge.passages import cut

BATCH_FILES: Final = 200
BATCH_PASSAGES: Final = 5_000
RACY_NS: Final = 2_000_000_000  # a file this young may change again without a new time


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an update has come; `total` is known from the beginning."""

    done: int
    total: int
    path: str


@dataclass(slots=True)
class Report:
    """What an update did. `problems` names each document that is left out, and why."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    passages: int = 0
    opened: int = 0
    problems: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Known:
    size: int
    mtime_ns: int
    inode: int
    sha256: str
    first_row: int
    end_row: int
    problem: str

    def is_still(self, found: Found) -> bool:
        if self.problem and (found.problem != self.problem) and found.path.suffix in PAGES:
            return False  # what it needs may be installed by now
        return (self.size, self.mtime_ns, self.inode) == (found.size, found.mtime_ns, found.inode)


def update(
    connection: sqlite3.Connection,
    id: int,
    name: str,
    *,
    progress: Callable[[Progress], None],
    stopped: threading.Event,
) -> Report:
    """Read what is new or has changed, and forget what has gone."""
    (folder,) = connection.execute("SELECT folder FROM collections WHERE id = ?", (id,)).fetchone()
    try:
        files = list(documents_in(Path(folder)))
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be read: {error.strerror}; bring the folder back, or remove the "
            f"collection {name}"
        ) from error
    report, known = Report(), _known(connection, id)
    batch_files = batch_passages = 0
    for done, found in enumerate(files):
        if stopped.is_set():
            return report
        progress(Progress(done, len(files), found.name))
        before = known.pop(found.name, None)
        if before is not None and before.is_still(found):
            report.unchanged += 1
            if before.problem:
                report.problems[found.name] = before.problem
            continue
        batch_passages += _renew(connection, id, found, before, report)
        batch_files += 1
        if batch_files >= BATCH_FILES or batch_passages >= BATCH_PASSAGES:
            connection.execute("COMMIT")
            connection.execute("BEGIN")
            batch_files = batch_passages = 0
    for path, gone in known.items():
        _drop(connection, id, path, gone)
        report.removed += 1
    progress(Progress(len(files), len(files), ""))
    return report


def _renew(
    connection: sqlite3.Connection, id: int, found: Found, before: _Known | None, report: Report
) -> int:
    """Read one document; how many passages it has."""
    facts = Facts("", "", 0)
    first = end = int(
        connection.execute("SELECT next_row FROM collections WHERE id = ?", (id,)).fetchone()[0]
    )
    problem = found.problem
    connection.execute("SAVEPOINT document")
    try:
        if not problem:
            report.opened += 1
            facts = look_into(found.path)
            if before is not None and before.sha256 == facts.sha256 and not before.problem:
                first, end = before.first_row, before.end_row
                report.unchanged += 1
            else:
                end = _write(connection, id, found, facts, first)
                report.passages += end - first
                report.added += before is None
                report.changed += before is not None
    except FileNotFoundError:
        problem = "was deleted while it was read"
    except (OSError, UnreadableDocument) as error:
        problem = str(getattr(error, "strerror", None) or error)
    if problem:
        connection.execute("ROLLBACK TO document")
        report.problems[found.name] = problem
        end = first
    if before is not None and before.first_row != first:
        _drop(connection, id, found.name, before)
    _note(connection, id, found, facts, (first, end), problem)
    connection.execute("RELEASE document")
    return end - first


def _note(
    connection: sqlite3.Connection,
    id: int,
    found: Found,
    facts: Facts,
    rows: tuple[int, int],
    problem: str,
) -> None:
    # A file that is still young may be written once more within the same tick of its clock.
    young = time.time_ns() - found.mtime_ns < RACY_NS
    mtime_ns = 0 if young else found.mtime_ns
    connection.execute(
        "INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (id, found.name, found.size, mtime_ns, found.inode, facts.sha256, *rows, problem),
    )
    connection.execute(
        "UPDATE collections SET next_row = max(next_row, ?) WHERE id = ?", (rows[1], id)
    )


def _known(connection: sqlite3.Connection, id: int) -> dict[str, _Known]:
    rows = connection.execute(
        "SELECT path, size, mtime_ns, inode, sha256, first_row, end_row, problem FROM documents "
        "WHERE collection = ?",
        (id,),
    )
    return {path: _Known(*rest) for path, *rest in rows}


def _write(
    connection: sqlite3.Connection, id: int, found: Found, facts: Facts, first_row: int
) -> int:
    """Write the passages of a document; the row after the last one."""
    row = first_row
    lines = lines_of(found.path, encoding=facts.encoding, longest_line=facts.longest_line)
    for passage in cut(lines):
        connection.execute(
            f"INSERT INTO passages_{id} (rowid, text, heading, path, first, last) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (row, passage.text, passage.heading, found.name, passage.first, passage.last),
        )
        row += 1
    return row


def _drop(connection: sqlite3.Connection, id: int, path: str, known: _Known) -> None:
    rows = (known.first_row, known.end_row)
    connection.execute(f"DELETE FROM passages_{id} WHERE rowid >= ? AND rowid < ?", rows)
    connection.execute(
        "DELETE FROM vectors WHERE collection = ? AND row >= ? AND row < ?", (id, *rows)
    )
    connection.execute("DELETE FROM documents WHERE collection = ? AND path = ?", (id, path))
