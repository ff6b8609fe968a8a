"""The channel of the chat page: what a browser says goes in, what the bot does is shown.

    web = WebChannel()
    receipt = await web.hear(chat="visitor-1", user="visitor-1", id="m1", content="Hello!")
    await web.page("visitor-1").newer()        # its row, and soon that of the answer

All `session.*` points are there, for the platform is ours. Who looks at a chat joins as a viewer
and is shown every row as it is written; a viewer must take a frame without waiting.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final, Protocol

from sessionbot_kit.channel import Deliver, Receipt
from sessionbot_kit.channels.web.files import MAX_FILE_BYTES, Files
from sessionbot_kit.channels.web.pages import KEPT_ROWS, Page, Row
from sessionbot_kit.errors import ChannelError, MessageError, UsageError
from sessionbot_kit.extension import Plugin, PluginMeta
from sessionbot_kit.ids import new_id
from sessionbot_kit.models import IncomingMessage, Media, OutgoingMessage, SendResult
from sessionbot_kit.store import Store

log = logging.getLogger(__name__)

PAGES_IN_MEMORY: Final = 2_000
MAX_EMOJI_CHARS: Final = 32
SWEEP_EVERY_S: Final = 3_600.0

Frame = dict[str, Any]


class Viewer(Protocol):
    """Somebody who looks at a chat."""

    def show(self, frame: Frame) -> None:
        """Take a frame; never wait, never raise."""
        ...


class WebChannel(Plugin):
    """Chat pages, kept in the store of the gateway; files lie in a folder beside it."""

    meta = PluginMeta(
        id="web",
        version="1",
        implements={
            "session.receive": "receive",
            "session.send": "send",
            "session.typing": "typing",
            "session.presence": "presence",
            "session.edit": "edit",
            "session.delete": "delete",
            "session.react": "react",
            "session.media": "send",
        },
    )

    def __init__(
        self,
        files: str | Path | None = None,
        *,
        max_file_bytes: int = MAX_FILE_BYTES,
        kept_rows: int = KEPT_ROWS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._folder = Path(files) if files is not None else None
        self._max_file_bytes = max_file_bytes
        self._kept_rows = kept_rows
        self._now = now
        self._store: Store | None = None
        self._files: Files | None = None
        self._pages: OrderedDict[str, Page] = OrderedDict()
        self._viewers: dict[str, set[Viewer]] = {}
        self._deliver: Deliver | None = None
        self._open = asyncio.Event()

    # How it is joined to the house

    def keep_in(self, store: Store) -> None:
        """Keep the pages there. The gateway calls this before it starts its channels."""
        self._store = store
        self._pages.clear()
        folder = self._folder or Path(mkdtemp(prefix="sessionbot-files-"))
        self._files = Files(folder, store, max_bytes=self._max_file_bytes)

    async def start(self) -> None:
        self._open = asyncio.Event()  # of this loop

    async def receive(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._open.set()
        try:
            while True:  # messages come by `hear`, until we are canceled
                await self.files.sweep()
                await asyncio.sleep(SWEEP_EVERY_S)
        finally:
            self._open.clear()
            self._deliver = None

    @property
    def is_open(self) -> bool:
        return self._deliver is not None

    @property
    def files(self) -> Files:
        if self._files is None:
            raise UsageError("this page belongs to no gateway yet; start the bot first")
        return self._files

    def page(self, chat: str) -> Page:
        """The page of a chat; those that were not looked at for long are let go of."""
        if (page := self._pages.get(chat)) is None:
            if self._store is None:
                raise UsageError("this page belongs to no gateway yet; start the bot first")
            page = self._pages[chat] = Page(self._store, chat, kept=self._kept_rows)
            self._let_go()
        self._pages.move_to_end(chat)
        return page

    def _let_go(self) -> None:
        surplus = len(self._pages) - PAGES_IN_MEMORY
        if surplus > 0:
            idle = [
                chat
                for chat, page in self._pages.items()
                if not page.busy and chat not in self._viewers
            ]
            for chat in idle[:surplus]:
                del self._pages[chat]

    # Who looks

    def join(self, chat: str, viewer: Viewer) -> None:
        self._viewers.setdefault(chat, set()).add(viewer)

    def leave(self, chat: str, viewer: Viewer) -> None:
        viewers = self._viewers.get(chat, set())
        viewers.discard(viewer)
        if not viewers:
            self._viewers.pop(chat, None)

    @property
    def viewers(self) -> int:
        """How many browsers look."""
        return sum(map(len, self._viewers.values()))

    def _show(self, chat: str, frame: Frame) -> None:
        for viewer in tuple(self._viewers.get(chat, ())):
            viewer.show(frame)

    # What people say

    async def hear(
        self,
        *,
        chat: str,
        user: str,
        content: str,
        id: str | None = None,
        name: str = "",
        files: Iterable[str] = (),
        reply_to: str | None = None,
    ) -> Receipt:
        """A message of a person; returns when it is stored, and stands on the page."""
        message_id = id or new_id()
        notes, media = [], []
        for file in files:
            note, one = await self.files.note(chat, file), await self.files.media(chat, file)
            if note is None or one is None:
                raise MessageError(f"there is no file {file[:50]} in this chat; upload it first")
            notes.append(note.shown())
            media.append(one)
        if not content.strip() and not media:
            raise MessageError("the message is empty; write something, or add a file")
        now = self._now()
        message = IncomingMessage(
            id=message_id,
            channel_type=self.meta.id,
            channel_id=chat,
            sender_id=user,
            sender_name=name or user,
            content=content,
            timestamp=now,
            reply_to=reply_to,
            media=tuple(media),
        )
        if self._deliver is None:
            raise ChannelError("the bot is not running; try again in a moment")
        receipt = await self._deliver(message)
        row: Row = {"id": message_id, "who": "user", "content": content, "at": now.isoformat()}
        if notes:
            row["media"] = notes
        if reply_to:
            row["reply_to"] = reply_to
        if receipt.duplicate and (place := await self.page(chat).place_of(message_id)):
            row["born"] = place
        await self._write(chat, row)
        return receipt

    # What the bot does

    async def send(self, message: OutgoingMessage) -> SendResult:
        """Put a message on the page; the same message twice is there once."""
        id = message.id or new_id()
        row: Row = {
            "id": id,
            "who": "bot",
            "content": message.content,
            "at": self._now().isoformat(),
        }
        if message.reply_to:
            row["reply_to"] = message.reply_to
        if choices := message.metadata.get("choices"):
            row["choices"] = choices
        fallback = None
        if message.media:
            row["media"], fallback = await self._media(message.channel_id, message.media)
        await self._write(message.channel_id, row)
        return SendResult(ok=True, ids=(id,), fallback=fallback)

    async def typing(self, channel_id: str) -> None:
        """Show that an answer is on its way; it is forgotten after a few seconds."""
        self._show(channel_id, {"type": "typing"})

    async def presence(self, status: str) -> None:
        """Show everybody whether the bot is there: online, away or offline."""
        for chat in tuple(self._viewers):
            self._show(chat, {"type": "status", "state": status})

    async def stream(self, channel_id: str, id: str, content: str) -> None:
        """Show how far an answer has come; only the whole one is kept, by `send`."""
        row = {"id": id, "who": "bot", "content": content, "at": self._now().isoformat()}
        self._show(channel_id, {"type": "message", **row, "is_complete": False})

    async def edit(self, channel_id: str, message_id: str, content: str) -> SendResult:
        """Say something else where a message stands."""
        return await self._change(
            channel_id, message_id, lambda row: {**row, "content": content, "edited": True}
        )

    async def delete(self, channel_id: str, message_id: str) -> SendResult:
        """Take a message back: its place stays, its words and files go."""
        row = await self.page(channel_id).row(message_id)
        for note in (row or {}).get("media", ()):
            if note.get("id") and (path := self.files.path(channel_id, note["id"])):
                await asyncio.to_thread(path.unlink, missing_ok=True)
        return await self._change(channel_id, message_id, _emptied)

    async def react(
        self, channel_id: str, message_id: str, emoji: str, remove: bool = False
    ) -> SendResult:
        """Put an emoji to a message, or take it away."""
        if not emoji or len(emoji) > MAX_EMOJI_CHARS:
            return SendResult(ok=False, permanent=True, error="a reaction is one emoji")
        return await self._change(channel_id, message_id, lambda row: _reacted(row, emoji, remove))

    async def _media(
        self, chat: str, media: Iterable[Media]
    ) -> tuple[list[dict[str, Any]], str | None]:
        shown: list[dict[str, Any]] = []
        fallback = None
        for one in media:
            if one.data is not None or one.path is not None:
                note = await self.files.keep(chat, one)
                shown.append({**note.shown(), "caption": one.caption})
            elif one.url is not None:
                shown.append({"name": one.name or one.url, "url": one.url, "caption": one.caption})
                fallback = "media: a link"
            else:
                shown.append({"name": one.name or "file", "caption": one.caption})
                fallback = "media: its name alone"
        return shown, fallback

    async def _change(self, chat: str, id: str, change: Callable[[Row], Row]) -> SendResult:
        row = await self.page(chat).change(id, change)
        if row is None:
            error = "there is no such message on the page any more"
            return SendResult(ok=False, permanent=True, error=error)
        self._show(chat, as_frame(row))
        return SendResult(ok=True, ids=(id,))

    async def _write(self, chat: str, row: Row) -> None:
        self._show(chat, as_frame(await self.page(chat).put(row)))


def as_frame(row: Row) -> Frame:
    """A row as a browser is told about it."""
    return {"type": "message", **row, "is_complete": True}


def _emptied(row: Row) -> Row:
    kept = {name: value for name, value in row.items() if name in ("who", "at", "reply_to")}
    return {**kept, "content": "", "deleted": True}


def _reacted(row: Row, emoji: str, remove: bool) -> Row:
    reactions = {key: who for key, who in row.get("reactions", {}).items() if key != emoji}
    return {**row, "reactions": reactions if remove else {**reactions, emoji: ["bot"]}}
