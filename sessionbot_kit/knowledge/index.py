"""What is in the index: its collections, their passages, and the way back to a document.

    index = Index(Path("data/knowledge.db"))
    index.declare("house", Path("documents"))
    index.update("house")                       # reads what is new or has changed, and no more
    index.best("house", '"rent"', 50)

A collection has a table of passages of its own. Methods block, and may be called from any thread.
The one rule to remember: the file can be deleted, and made again from the folders.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sessionbot_kit.errors import UsageError
from sessionbot_kit.knowledge.index_file import collection_id, connect, prepare, writing
from sessionbot_kit.knowledge.indexing import Progress, Report, update
from sessionbot_kit.knowledge.query import Hit

BEGINNING: Final = 4  # letters that words have in common to be alike


@dataclass(frozen=True, slots=True)
class CollectionStatus:
    """A collection as it stands in the index."""

    name: str
    owner: str
    folder: Path
    documents: int
    passages: int
    vectors: int
    problems: dict[str, str]


class Index:
    """The file. Its methods block, and may be called from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        prepare(path)
        self._reading = threading.Lock()
        self._read = connect(path)

    def close(self) -> None:
        with self._reading:
            self._read.close()

    # Collections

    def declare(self, name: str, folder: Path, owner: str = "") -> None:
        """Make a collection, or move it to another folder."""
        if not name or not name.isprintable() or len(name) > 100:
            raise UsageError(f"{name!r} names no collection; give at most 100 printable characters")
        if not folder.is_dir():
            raise UsageError(f"{folder} is no folder; give the folder that the documents are in")
        with writing(self.path) as connection:
            connection.execute(
                "INSERT INTO collections (owner, name, folder) VALUES (?, ?, ?) "
                "ON CONFLICT (owner, name) DO UPDATE SET folder = excluded.folder",
                (owner, name, str(folder.resolve())),
            )
            id = collection_id(connection, name, owner)
            connection.execute(
                f"CREATE VIRTUAL TABLE IF NOT EXISTS passages_{id} USING fts5(text, heading, path, "
                "first UNINDEXED, last UNINDEXED, "
                "tokenize = 'porter unicode61 remove_diacritics 2')"
            )
            connection.execute(
                f"CREATE VIRTUAL TABLE IF NOT EXISTS words_{id} USING fts5vocab(passages_{id}, row)"
            )
            connection.execute(
                f"INSERT INTO passages_{id} (passages_{id}, rank) VALUES ('rank', "
                "'bm25(1.0, 1.5, 0.5)')"
            )

    def remove(self, name: str, owner: str = "") -> None:
        """Forget a collection. Its documents stay where they are."""
        with writing(self.path) as connection:
            id = collection_id(connection, name, owner)
            connection.execute(f"DROP TABLE words_{id}")
            connection.execute(f"DROP TABLE passages_{id}")
            for table, column in (
                ("vectors", "collection"),
                ("documents", "collection"),
                ("collections", "id"),
            ):
                connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (id,))

    def status(self, owner: str | None = None) -> list[CollectionStatus]:
        """Every collection, or those that a session sees: its own and the shared ones."""
        with self._reading:
            rows = self._read.execute(
                "SELECT id, name, owner, folder FROM collections ORDER BY name, owner"
            ).fetchall()
            return [self._status(*row) for row in rows if owner is None or row[2] in ("", owner)]

    def _status(self, id: int, name: str, owner: str, folder: str) -> CollectionStatus:
        documents, passages = self._read.execute(
            "SELECT count(*), coalesce(sum(end_row - first_row), 0) FROM documents "
            "WHERE collection = ? AND problem = ''",
            (id,),
        ).fetchone()
        (vectors,) = self._read.execute(
            "SELECT count(*) FROM vectors WHERE collection = ?", (id,)
        ).fetchone()
        problems = self._read.execute(
            "SELECT path, problem FROM documents WHERE collection = ? AND problem <> ''", (id,)
        ).fetchall()
        return CollectionStatus(
            name, owner, Path(folder), documents, passages, vectors, dict(problems)
        )

    # Reading

    def best(self, name: str, query: str, limit: int, owner: str = "") -> list[tuple[int, Hit]]:
        """The passages with the best words, best first, and their rows."""
        with self._reading:
            id = collection_id(self._read, name, owner)
            rows = self._read.execute(
                f"SELECT rowid, rank, path, first, last, heading, text FROM passages_{id} "
                f"WHERE passages_{id} MATCH ? ORDER BY rank LIMIT ?",
                (query, limit),
            ).fetchall()
        return [
            (row, Hit(name, path, first, last, heading, text, -rank))
            for row, rank, path, first, last, heading, text in rows
        ]

    def alike(self, name: str, word: str, limit: int, owner: str = "") -> list[str]:
        """Words of the collection that begin like this one, or have it inside them."""
        with self._reading:
            id = collection_id(self._read, name, owner)
            rows = self._read.execute(
                f"SELECT term FROM words_{id} WHERE instr(term, ?) OR substr(term, 1, ?) = ? "
                "ORDER BY doc LIMIT ?",
                (word, BEGINNING, word[:BEGINNING], limit),
            ).fetchall()
        return [term for (term,) in rows]

    def passages(self, name: str, rows: Sequence[int], owner: str = "") -> dict[int, Hit]:
        """Passages by their rows."""
        with self._reading:
            id = collection_id(self._read, name, owner)
            found = {}
            for row in rows:
                one = self._read.execute(
                    f"SELECT path, first, last, heading, text FROM passages_{id} WHERE rowid = ?",
                    (row,),
                ).fetchone()
                if one is not None:
                    path, first, last, heading, text = one
                    found[row] = Hit(name, path, first, last, heading, text, 0.0, ("meaning",))
        return found

    def vectors(self, name: str, owner: str = "") -> tuple[list[int], list[bytes]]:
        with self._reading:
            id = collection_id(self._read, name, owner)
            found = self._read.execute(
                "SELECT row, vector FROM vectors WHERE collection = ?", (id,)
            ).fetchall()
        return [row for row, _ in found], [vector for _, vector in found]

    def without_vectors(self, name: str, limit: int, owner: str = "") -> list[tuple[int, str]]:
        """Passages that still need a vector, and their texts."""
        with self._reading:
            id = collection_id(self._read, name, owner)
            return self._read.execute(
                f"SELECT rowid, heading || char(10) || text FROM passages_{id} WHERE rowid NOT IN "
                "(SELECT row FROM vectors WHERE collection = ?) LIMIT ?",
                (id, limit),
            ).fetchall()

    def add_vectors(self, name: str, rows: Sequence[tuple[int, bytes]], owner: str = "") -> None:
        with writing(self.path) as connection:
            id = collection_id(connection, name, owner)
            connection.executemany(
                "INSERT OR REPLACE INTO vectors SELECT ?, rowid, ? FROM "
                f"passages_{id} WHERE rowid = ?",
                [(id, vector, row) for row, vector in rows],
            )

    # Writing

    def update(
        self,
        name: str,
        owner: str = "",
        *,
        progress: Callable[[Progress], None] = lambda progress: None,
        stopped: threading.Event | None = None,
    ) -> Report:
        """Bring a collection up to its folder."""
        stopped = stopped or threading.Event()
        with writing(self.path, stopped) as connection:
            id = collection_id(connection, name, owner)
            return update(connection, id, name, progress=progress, stopped=stopped)
