"""The original chunker's algorithm, written from its behavior: the peer that ours is measured by.

The sender serializes with `json`, slices the text by characters, and puts every slice into one
more JSON object; the reader keeps a list of slices a message, joins them when it has counted as
many as there are, parses the text and validates it with pydantic. Attachments are base64 in the
message on both sides. Its default slice is 1,000,000 characters, which its own reader refuses, so
it is given the largest that it reads.
"""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import BaseModel, Field

SLICE_CHARS = 256 * 1024
MAX_CHUNKS = 1000
MAX_PENDING = 100


class ChunkPayload(BaseModel):
    """One slice."""

    messageId: str
    index: int
    total: int
    data: str


class Attachment(BaseModel):
    """A file, as base64 text."""

    name: str
    type: str
    content: str


class FullMessagePayload(BaseModel):
    """The whole message."""

    to: str
    from_: str = Field(alias="from")
    text: str
    attachments: list[Attachment]


async def send(message: dict[str, Any], write: Callable[[str], Awaitable[None]]) -> None:
    """Slice a message and write each slice as one frame."""
    text = json.dumps(message)
    slices = [text[at : at + SLICE_CHARS] for at in range(0, len(text), SLICE_CHARS)]
    message_id = str(id(message))
    for index, data in enumerate(slices):
        chunk = ChunkPayload(messageId=message_id, index=index, total=len(slices), data=data)
        await write(json.dumps(chunk.model_dump()))


async def receive(read: Callable[[], Awaitable[str]]) -> dict[str, Any] | None:
    """Read frames until one message is whole; None when something is wrong with it."""
    pending: dict[str, dict[str, Any]] = {}
    while True:
        chunk = json.loads(await read())
        message_id, index, total = chunk["messageId"], chunk["index"], chunk["total"]
        data = chunk["data"]
        if not isinstance(total, int) or not 0 < total <= MAX_CHUNKS:
            return None
        if not isinstance(data, str) or len(data) > SLICE_CHARS:
            continue
        if message_id not in pending:
            if len(pending) >= MAX_PENDING:
                return None
            pending[message_id] = {"received": 0, "chunks": [None] * total}
        entry = pending[message_id]
        entry["chunks"][index] = data
        entry["received"] += 1
        if entry["received"] == total:
            found: dict[str, Any] = json.loads("".join(entry["chunks"]))
            del pending[message_id]
            return found


async def there_and_back(message: dict[str, Any]) -> list[bytes]:
    """Send a message with raw attachments, receive it, validate it, and get them raw again."""
    attachments = [
        {**each, "content": base64.b64encode(each["content"]).decode("ascii")}
        for each in message["attachments"]
    ]
    frames: asyncio.Queue[str] = asyncio.Queue()
    await send({**message, "attachments": attachments}, frames.put)
    whole = FullMessagePayload.model_validate(await receive(frames.get))
    return [base64.b64decode(each.content) for each in whole.attachments]
