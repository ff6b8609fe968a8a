"""`Knowledge`: collections of documents, searched by words and, with an embedder, by meaning.

    async with Knowledge("data/knowledge.db", embed=model.embed) as knowledge:
        report = await knowledge.add("house", "documents/house")
        hits = await knowledge.search("When is the rent due?", among=["house"], limit=5)

A collection belongs to everybody, or with `owner=` to one session, which alone sees it. The one
rule to remember: a search names its collections, and sees no other.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self

from sessionbot_kit.errors import UsageError
from sessionbot_kit.knowledge.index import CollectionStatus, Index
from sessionbot_kit.knowledge.indexing import Progress, Report
from sessionbot_kit.knowledge.query import Hit, any_of, fuse, words_of
from sessionbot_kit.knowledge.vectors import Nearest, packed
from sessionbot_kit.tables import Table

CANDIDATES: Final = 50
EMBED_BATCH: Final = 64
FEW: Final = 3  # hits, below which words that are alike are looked for
SHORTEST: Final = 3  # letters of a word that may have others like it
MOST_ALIKE: Final = 20

Embed = Callable[[Sequence[str]], Awaitable[list[list[float]]]]


class Hits(tuple[Hit, ...]):
    """What was found, best first; in a notebook a table with the passages."""

    __slots__ = ()

    @property
    def table(self) -> Table:
        rows = [
            (hit.citation, hit.heading, f"{hit.score:.4f}", " + ".join(hit.found_by), hit.text)
            for hit in self
        ]
        return Table("Passages", ("where", "heading", "score", "found by", "passage"), rows)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return self.table._repr_mimebundle_()


class Knowledge:
    """The collections of one index."""

    def __init__(self, path: str | Path = "data/knowledge.db", *, embed: Embed | None = None):
        self.path = Path(path)
        self._embed = embed
        self._index: Index | None = None
        self._near: dict[tuple[str, str], Nearest] = {}

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._open)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        index, self._index = self._index, None
        if index is not None:
            await asyncio.to_thread(index.close)

    def _open(self) -> None:
        self._index = self._index or Index(self.path)

    @property
    def index(self) -> Index:
        if self._index is None:
            raise UsageError("this index is not open; write `async with Knowledge(...)`")
        return self._index

    async def add(
        self,
        name: str,
        folder: str | Path,
        *,
        owner: str = "",
        progress: Callable[[Progress], None] = lambda progress: None,
    ) -> Report:
        """Make a folder a collection, or bring the collection up to it."""
        await asyncio.to_thread(self.index.declare, name, Path(folder), owner)
        return await self.update(name, owner=owner, progress=progress)

    async def update(
        self,
        name: str,
        *,
        owner: str = "",
        progress: Callable[[Progress], None] = lambda progress: None,
    ) -> Report:
        """Read what is new or has changed. Canceled, it keeps what it has read so far."""
        stopped = threading.Event()

        def work() -> Report:
            return self.index.update(name, owner, progress=progress, stopped=stopped)

        working = asyncio.get_running_loop().run_in_executor(None, work)
        try:
            report = await asyncio.shield(working)
        except asyncio.CancelledError:
            stopped.set()
            await asyncio.wait([working])
            raise
        if self._embed is not None:
            await self._embed_new(name, owner, self._embed)
        self._near.pop((name, owner), None)
        return report

    async def remove(self, name: str, *, owner: str = "") -> None:
        """Forget a collection; its documents stay."""
        await asyncio.to_thread(self.index.remove, name, owner)
        self._near.pop((name, owner), None)

    async def status(self, *, owner: str | None = None) -> list[CollectionStatus]:
        """Every collection, or with `owner` those that a session sees."""
        return await asyncio.to_thread(self.index.status, owner)

    async def search(
        self, question: str, *, among: Iterable[str], owner: str = "", limit: int = 5
    ) -> Hits:
        """The passages that fit a question best, of these collections and no other."""
        names = list(dict.fromkeys(among))
        words = words_of(question)
        if not words or not names:
            return Hits()
        vector: list[float] | None = None
        if self._embed is not None:
            (vector,) = await self._embed([question])
        return await asyncio.to_thread(self._search, words, vector, names, owner, limit)

    # How it works

    def _search(
        self,
        words: list[str],
        vector: list[float] | None,
        names: list[str],
        owner: str,
        limit: int,
    ) -> Hits:
        query = any_of(words)
        # Alone, words need no fusion, and no more candidates than are wanted.
        alone = vector is None and len(names) == 1
        wanted = limit if alone else max(CANDIDATES, limit)
        found: dict[tuple[str, int], Hit] = {}
        rankings: list[list[tuple[str, int]]] = []
        for name in names:
            best = self.index.best(name, query, wanted, owner)
            if len(best) < FEW:
                best += self._alike(name, words, {row for row, _ in best}, wanted, owner)
            if alone:
                return Hits(hit for _, hit in best)
            found |= {(name, row): hit for row, hit in best}
            rankings.append([(name, row) for row, _ in best])
            if vector is not None:
                rows = self._nearest(name, owner).to(vector, wanted)
                for row, hit in self.index.passages(name, rows, owner).items():
                    known = found.get((name, row))
                    both = replace(hit, found_by=("words", "meaning")) if known else hit
                    found[name, row] = both
                rankings.append([(name, row) for row in rows if (name, row) in found])
        scores = list(fuse(rankings).items())[:limit]
        return Hits(replace(found[key], score=score) for key, score in scores)

    def _alike(
        self, name: str, words: Sequence[str], found: set[int], limit: int, owner: str
    ) -> list[tuple[int, Hit]]:
        """When words find next to nothing: passages with words that begin or end like them."""
        terms = dict.fromkeys(
            term
            for word in words
            if len(word) >= SHORTEST
            for term in self.index.alike(name, word, MOST_ALIKE, owner)
        )
        if not terms:
            return []
        more = self.index.best(name, any_of(terms), limit, owner)
        alike = [(row, replace(hit, found_by=("alike",))) for row, hit in more if row not in found]
        return alike[: max(0, limit - len(found))]

    def _nearest(self, name: str, owner: str) -> Nearest:
        near = self._near.get((name, owner))
        if near is None:
            near = self._near[name, owner] = Nearest(*self.index.vectors(name, owner))
        return near

    async def _embed_new(self, name: str, owner: str, embed: Embed) -> None:
        """Give a vector to each passage that has none; killed, the next update goes on."""
        while batch := await asyncio.to_thread(
            self.index.without_vectors, name, EMBED_BATCH, owner
        ):
            vectors = await embed([text for _, text in batch])
            rows = [(row, packed(v)) for (row, _), v in zip(batch, vectors, strict=True)]
            await asyncio.to_thread(self.index.add_vectors, name, rows, owner)
