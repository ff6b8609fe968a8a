"""A bot in a process of its own, to be killed: its platform is a socket that survives it.

    python -m tests.turn_child bot.db PORT [step:before:2]

With a third argument it kills itself at that commit: before it is submitted, or after it is on
the disk and before anybody hears of it.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sessionbot_kit import Bot, Chat, IncomingMessage, OutgoingMessage, PluginMeta, plugin
from sessionbot_kit.channel import Deliver
from sessionbot_kit.models import SendResult, StoredMessage
from sessionbot_kit.store import InboxRow, Timer, Turn
from sessionbot_kit.stores.sqlite import SqliteStore


class Mortal(SqliteStore):
    """A store that dies at a named commit."""

    def __init__(self, path: Path, point: str) -> None:
        super().__init__(path)
        self._name, self._when, left = (point or "none:never:0").split(":")
        self._left = int(left)

    async def accept(self, row: InboxRow) -> bool:
        self._reach("accept", "before")
        accepted = await super().accept(row)
        self._reach("accept", "after")
        return accepted

    async def attempt(self, inbox_id: str) -> int:
        self._reach("attempt", "before")
        attempts = await super().attempt(inbox_id)
        self._reach("attempt", "after")
        return attempts

    async def commit(self, turn: Turn) -> tuple[StoredMessage, ...]:
        name = "step"
        if turn.done:
            name = "ask" if turn.journal is not None else "end"
        self._reach(name, "before")
        stored = await super().commit(turn)
        self._reach(name, "after")
        return stored

    def sent_soon(
        self, outbox_id: str, ids: Sequence[str], noted: Callable[[BaseException | None], None]
    ) -> None:
        self._reach("sent", "before")
        super().sent_soon(outbox_id, ids, noted)
        self._reach("sent", "after")

    async def fire(self, timer: Timer, row: InboxRow) -> bool:
        self._reach("fire", "before")
        fired = await super().fire(timer, row)
        self._reach("fire", "after")
        return fired

    def _reach(self, name: str, when: str) -> None:
        if (name, when) == (self._name, self._when):
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


class Socket:
    """A channel that speaks lines of JSON with whoever started us."""

    meta = PluginMeta(
        id="socket", implements={"session.receive": "receive", "session.send": "send"}
    )

    def __init__(self, port: int) -> None:
        self._port = port
        self._writer: asyncio.StreamWriter | None = None
        self._open = asyncio.Event()
        self._taken: dict[str, asyncio.Future[None]] = {}

    async def receive(self, deliver: Deliver) -> None:
        reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._open.set()
        async with asyncio.TaskGroup() as group:
            async for line in reader:
                said = json.loads(line)
                if "took" in said:
                    if (taken := self._taken.pop(said["took"], None)) is not None:
                        taken.set_result(None)
                else:
                    group.create_task(self._hear(deliver, said))
        os._exit(0)  # the platform has gone

    async def send(self, message: OutgoingMessage) -> SendResult:
        await self._open.wait()
        assert message.id is not None
        taken = self._taken[message.id] = asyncio.get_running_loop().create_future()
        self._tell(
            say=message.id,
            to=message.channel_id,
            text=message.content,
            reply_to=message.reply_to,
        )
        await taken
        return SendResult(ok=True, ids=(message.id,))

    async def _hear(self, deliver: Deliver, said: dict[str, str]) -> None:
        await deliver(
            IncomingMessage(
                id=said["id"],
                channel_type="socket",
                channel_id=said["user"],
                sender_id=said["user"],
                sender_name=said["user"],
                content=said["text"],
                timestamp=datetime.now(UTC),
            )
        )
        self._tell(ack=said["id"])

    def _tell(self, **words: Any) -> None:
        assert self._writer is not None
        with contextlib.suppress(ConnectionError):
            self._writer.write(json.dumps(words).encode() + b"\n")


@plugin("!count")
async def count(message: IncomingMessage, chat: Chat) -> str:
    chat.vars["n"] = int(str(chat.vars.get("n", 0))) + 1
    return f"{message.content} is {chat.vars['n']}"


@plugin("!trip")
async def trip(message: IncomingMessage, chat: Chat) -> str:
    chat.vars["n"] = int(str(chat.vars.get("n", 0))) + 1
    where = await chat.ask("Where?")
    chat.vars["n"] = int(str(chat.vars["n"])) + 1
    await chat.say(f"To {where}.")
    chat.vars["n"] = int(str(chat.vars["n"])) + 1
    number = await chat.once("number", lambda: len(where))
    when = await chat.ask("When?")
    return f"{message.content}: {where} {when} {number}, {chat.vars['n']}"


@plugin("!tea")
async def tea(chat: Chat) -> str:
    await chat.later(0.1, "Tea is ready.")
    return "I tell you."


@plugin("!die")
async def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def main(path: str, port: str, point: str = "") -> None:
    async with Bot(
        count, trip, tea, die, store=Mortal(Path(path), point), channels=[Socket(int(port))]
    ):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
