"""The original broker in TypeScript, as it speaks and reads; its faults are kept.

It cuts text by UTF-16 units, through surrogate pairs; counts a fragment that comes twice as two;
never forgets what is half here; and gives all messages to whoever connected last.
"""

import asyncio
import json
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

CHUNK_UNITS = 256 * 1024


class OriginalBroker:
    def __init__(self, chunk_units: int = CHUNK_UNITS) -> None:
        self.chunk_units = chunk_units
        self.replies: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.connected = asyncio.Event()
        self.port = 0
        self.socket: ServerConnection | None = None
        self._partial: dict[str, dict[str, Any]] = {}
        self._clock = 1_700_000_000_000

    async def __aenter__(self) -> "OriginalBroker":
        self._server = await serve(self._accept, "127.0.0.1", self.port, max_size=None)
        self.port = next(iter(self._server.sockets)).getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def _accept(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.connected.set()
        async for frame in socket:
            await self._hear(json.loads(frame))
        if self.socket is socket:
            self.socket = None
            self.connected.clear()

    async def _hear(self, chunk: dict[str, Any]) -> None:
        assert sorted(chunk) == ["data", "index", "messageId", "total"]
        entry = self._partial.setdefault(chunk["messageId"], {"received": 0, "chunks": {}})
        entry["chunks"][chunk["index"]] = chunk["data"]
        entry["received"] += 1
        if entry["received"] == chunk["total"]:
            del self._partial[chunk["messageId"]]
            text = "".join(entry["chunks"].get(i, "undefined") for i in range(chunk["total"]))
            found = json.loads(text)
            message = json.loads(found) if isinstance(found, str) else found
            if isinstance(message["attachments"], list):
                await self.replies.put(message)

    async def tell(self, person: str, text: str, attachments: Any = ()) -> None:
        """A person has written to the bot; it is lost when nobody is connected."""
        message = {"to": person, "from": "05bot", "text": text, "attachments": list(attachments)}
        whole = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
        units = whole.encode("utf-16-le", "surrogatepass")
        step = 2 * self.chunk_units
        slices = [units[at : at + step] for at in range(0, len(units), step)]
        self._clock += 1
        for index, data in enumerate(slices):
            chunk = {
                "messageId": str(self._clock),
                "index": index,
                "total": len(slices),
                "data": data.decode("utf-16-le", "surrogatepass"),
            }
            if self.socket is not None:
                await self.socket.send(json.dumps(chunk))
