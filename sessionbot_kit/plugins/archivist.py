"""Questions over folders of documents: the passages themselves, each with its file and lines.

    !archive When is the rent due?

    plugins:
      archivist:
        index: data/knowledge.db        # made by `sessionbot kb add house documents/house`
        collections: [house]

What is quoted comes from the documents, word for word; a language model, where there is one, only
comments below. One rule to remember: where nothing was found, it says so.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from sessionbot_kit.dialog import Chat
from sessionbot_kit.errors import SettingsError
from sessionbot_kit.extension import Plugin, PluginMeta
from sessionbot_kit.knowledge import Knowledge
from sessionbot_kit.models import IncomingMessage
from sessionbot_kit.plugins.assistant.comment import comment

NOTHING: Final = "I have found nothing about that."
QUOTED_CHARS: Final = 600


class Archivist(Plugin):
    """Look something up in the documents: !archive and your question."""

    meta = PluginMeta(id="archivist", version="1", implements={"chat.message": "answer"})
    prefixes = ("!archive",)

    def __init__(
        self, index: str | Path | None = None, collections: Iterable[str] = (), passages: int = 3
    ) -> None:
        self._index = index
        self._collections = tuple(collections)
        self._passages = passages
        self._knowledge: Knowledge | None = None

    def configure(self, config: Mapping[str, Any]) -> None:
        self._index = config.get("index", self._index)
        self._collections = tuple(config.get("collections", self._collections))
        if self._collections and self._index is None:
            raise SettingsError("archivist has collections and no index; set archivist.index")

    async def start(self) -> None:
        if self._index is not None:
            self._knowledge = await Knowledge(self._index).__aenter__()

    async def stop(self) -> None:
        if self._knowledge is not None:
            await self._knowledge.aclose()

    async def answer(self, message: IncomingMessage, chat: Chat) -> str:
        knowledge, question = self._knowledge, message.content
        if knowledge is None or not self._collections:
            return "I have no documents. Whoever runs me can name an index and its collections."

        async def search() -> list[str]:
            hits = await knowledge.search(
                question, among=self._collections, owner=chat.session, limit=self._passages
            )
            return [f"[{hit.citation}] {hit.text[:QUOTED_CHARS]}" for hit in hits]

        found = "\n\n".join(await chat.once("passages", search))
        return found + await comment(self, chat, question, found) if found else NOTHING


archivist = Archivist()
