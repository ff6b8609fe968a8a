"""What both roles towards the original peers share: whole messages over a socket that may go."""

import asyncio
import logging
from collections import deque
from typing import Any, Self

from websockets.asyncio.connection import Connection as Socket
from websockets.exceptions import ConnectionClosed

from sessionbot_kit.errors import FragmentError, LinkClosed
from sessionbot_kit.ids import new_id
from sessionbot_kit.link import Frame
from sessionbot_kit.models import IncomingMessage, Media, OutgoingMessage
from sessionbot_kit.original_peers import original_chunker, original_reassembler

log = logging.getLogger(__name__)

Document = dict[str, Any]

MAX_WAITING = 1_000  # messages in each direction


class OriginalLink:
    """A link whose frames become messages of four keys, and back."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._inbox: deque[Frame] = deque()
        self._arrived = asyncio.Event()
        self._ended = asyncio.Event()
        self._outgoing: asyncio.Queue[Document] = asyncio.Queue(MAX_WAITING)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def documents(self, frame: Frame) -> list[Document]:
        """What a frame is to the other side: one message, several, or nothing."""
        raise NotImplementedError

    def heard(self, document: Document) -> None:
        """A message came; `deliver` what it means."""
        raise NotImplementedError

    async def send(self, frame: Frame) -> None:
        for document in self.documents(frame):
            if not self._ended.is_set():
                await self._outgoing.put(document)
        if self._ended.is_set():
            raise self._goodbye()

    async def receive(self) -> Frame:
        if (frame := await self._next()) is None:
            raise self._goodbye()
        return frame

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Frame:
        if (frame := await self._next()) is None:
            raise StopAsyncIteration
        return frame

    async def _next(self) -> Frame | None:
        while not self._inbox:
            if self._ended.is_set():
                return None
            self._arrived.clear()
            await self._arrived.wait()
        return self._inbox.popleft()

    async def close(self) -> None:
        self.finish()

    async def wait_closed(self) -> None:
        await self._ended.wait()

    def finish(self) -> None:
        """End the link; what has arrived can still be received."""
        self._ended.set()
        self._arrived.set()
        while not self._outgoing.empty():  # whoever waits for room goes on, and is told
            self._outgoing.get_nowait()

    def _goodbye(self) -> LinkClosed:
        return LinkClosed(f"the link {self.name} is closed; join it again")

    def deliver(self, frame: Frame) -> None:
        """Put a frame where the application finds it."""
        if len(self._inbox) >= MAX_WAITING:
            log.error("message dropped, too many wait", extra={"link": self.name})
            return
        self._inbox.append(frame)
        self._arrived.set()

    def say(self, document: Document) -> None:
        """Put a message on its way, from where nothing can wait."""
        try:
            self._outgoing.put_nowait(document)
        except asyncio.QueueFull:
            log.error("message dropped, the other side is slow", extra={"link": self.name})

    async def converse(self, socket: Socket) -> None:
        """Read and write until the socket or the link closes."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(work)
                for work in (self._read(socket), self._write(socket), self._ended.wait())
            ]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
        await socket.close()

    async def _write(self, socket: Socket) -> None:
        # One message after the other: their readers forget all others when one is whole.
        chunker = original_chunker()
        try:
            while True:
                document = await self._outgoing.get()
                for data in chunker.split(document, new_id()):
                    await socket.send(data, text=True)
        except ConnectionClosed:
            return

    async def _read(self, socket: Socket) -> None:
        reassembler = original_reassembler(raw=True)
        clock = asyncio.get_running_loop().time
        async for data in socket:
            try:
                document = reassembler.feed(data, clock())
            except FragmentError as error:
                log.warning("message refused", extra={"link": self.name, "error": str(error)})
                if error.fatal:
                    return
            else:
                if document is not None:
                    self.heard(document)


def attachments_of(message: IncomingMessage | OutgoingMessage) -> list[Document]:
    """The files of a message, as attachments whose content is bytes."""
    return [
        {"name": media.name, "type": media.mime, "content": media.data}
        for media in message.media
        if media.data is not None
    ]


def media_of(document: Document) -> tuple[Media, ...]:
    return tuple(
        Media.from_bytes(each["content"], name=each["name"], mime=each["type"])
        for each in document["attachments"]
    )
