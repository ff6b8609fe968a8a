"""One case of `bench_turns`, in a process of its own: it prints turns a second.

    python -m benchmarks.turn_cases ours 64

Every case answers an echo for each of so many people side by side, each of whom speaks again when
the answer has come.
"""

import asyncio
import logging
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

WARM_UP = 5
ROUNDS = 30

Talk = Callable[[int, int], Awaitable[None]]  # person, number of the message


async def rate(talk: Talk, people: int) -> float:
    """Answers a second, people side by side."""

    async def person(number: int, rounds: int) -> None:
        for message in range(rounds):
            await talk(number, message)

    await asyncio.gather(*(person(number, WARM_UP) for number in range(people)))
    began = time.perf_counter()
    await asyncio.gather(*(person(number, ROUNDS) for number in range(people)))
    return people * ROUNDS / (time.perf_counter() - began)


class Line:
    """A platform on which each person has at most one message out."""

    def __init__(self) -> None:
        from sessionbot_kit import PluginMeta

        self.meta = PluginMeta(
            id="line", implements={"session.receive": "receive", "session.send": "send"}
        )
        self.deliver: Any = None
        self.open = asyncio.Event()
        self.answers: dict[str, asyncio.Future[None]] = {}

    async def receive(self, deliver: Any) -> None:
        self.deliver = deliver
        self.open.set()
        await asyncio.Event().wait()

    async def send(self, message: Any) -> Any:
        from sessionbot_kit.models import SendResult

        self.answers[message.channel_id].set_result(None)
        return SendResult(ok=True, ids=(message.id,))

    async def says(self, user: str, number: int) -> None:
        """One message, from its arrival until its answer is handed to the platform."""
        from sessionbot_kit import IncomingMessage

        answer = self.answers[user] = asyncio.get_running_loop().create_future()
        await self.deliver(
            IncomingMessage(
                id=f"{user}/{number}/{time.perf_counter_ns()}",
                channel_type="line",
                channel_id=user,
                sender_id=user,
                sender_name=user,
                content="!echo hello",
                timestamp=datetime.now(UTC),
            )
        )
        await answer


async def ours(people: int, folder: Path) -> float:
    """A whole bot: stored, answered, committed, sent."""
    from sessionbot_kit import Bot
    from sessionbot_kit.plugins.echo import echo

    line = Line()
    async with Bot(echo, store=folder / "bot.db", channels=[line]):
        await line.open.wait()

        async def talk(number: int, message: int) -> None:
            await line.says(f"user {number}", message)

        return await rate(talk, people)


async def latency(people: int, folder: Path) -> float:
    """Our p50 for one person, in raw SQLite commits of the same minute."""
    from sessionbot_kit import Bot
    from sessionbot_kit.plugins.echo import echo

    line = Line()
    ratios = []
    async with Bot(echo, store=folder / "bot.db", channels=[line]):
        await line.open.wait()
        for _ in range(9):
            before = raw_commit(folder / "raw.db")
            turns = []
            for number in range(150):
                began = time.perf_counter()
                await line.says("ada", number)
                turns.append(time.perf_counter() - began)
            raw = (before + raw_commit(folder / "raw.db")) / 2
            ratios.append(statistics.median(turns) / raw)
    return statistics.median(ratios)


def raw_commit(path: Path, count: int = 60) -> float:
    """The median of one small commit after another, on the disk each time."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE IF NOT EXISTS row (n INTEGER, text TEXT)")
    taken = []
    for number in range(count):
        began = time.perf_counter()
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO row VALUES (?, ?)", (number, "x" * 200))
        db.execute("COMMIT")
        taken.append(time.perf_counter() - began)
    db.close()
    return statistics.median(taken)


async def langgraph(people: int, folder: Path) -> float:
    """A graph of one node whose state is kept in SQLite, on the disk when a turn returns."""
    import operator
    from typing import Annotated, TypedDict

    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
    from langgraph.graph import END, START, StateGraph

    class State(TypedDict):
        messages: Annotated[list[str], operator.add]

    async def echo(state: State) -> dict[str, list[str]]:
        return {"messages": [state["messages"][-1]]}

    graph: Any = StateGraph(State)
    graph.add_node("echo", echo)
    graph.add_edge(START, "echo")
    graph.add_edge("echo", END)
    async with AsyncSqliteSaver.from_conn_string(str(folder / "graph.db")) as saver:
        await saver.conn.execute("PRAGMA synchronous = FULL")
        app = graph.compile(checkpointer=saver)

        async def talk(number: int, message: int) -> None:
            config = {"configurable": {"thread_id": f"user {number}"}}
            await app.ainvoke({"messages": ["hello"]}, config)

        return await rate(talk, people)


async def aiogram(people: int, folder: Path) -> float:
    """A dispatcher with one handler; nothing is stored and nothing is sent."""
    from aiogram import Bot, Dispatcher
    from aiogram.types import Chat, Message, Update, User

    bot, dispatcher = Bot("1:token"), Dispatcher()

    async def echo(message: Message) -> str | None:
        return str(message.text)

    dispatcher.message.register(echo)
    updates = [
        Update(
            update_id=number,
            message=Message(
                message_id=number,
                date=datetime.now(UTC),
                chat=Chat(id=number, type="private"),
                from_user=User(id=number, is_bot=False, first_name="Ada"),
                text="hello",
            ),
        )
        for number in range(people)
    ]

    async def talk(number: int, message: int) -> None:
        await dispatcher.feed_update(bot, updates[number])

    return await rate(talk, people)


async def nonebot2(people: int, folder: Path) -> float:
    """One matcher; nothing is stored and nothing is sent."""
    import nonebot
    from nonebot.adapters import Adapter, Event, Message, MessageSegment
    from nonebot.adapters import Bot as BaseBot
    from nonebot.message import handle_event

    nonebot.init(driver="~none", log_level="ERROR")

    class Segment(MessageSegment["Text"]):  # type: ignore[misc]  # peers have no types here
        @classmethod
        def get_message_class(cls) -> type["Text"]:
            return Text

        def __str__(self) -> str:
            return str(self.data["text"])

        def is_text(self) -> bool:
            return True

    class Text(Message[Segment]):  # type: ignore[misc]  # peers have no types here
        @classmethod
        def get_segment_class(cls) -> type[Segment]:
            return Segment

        @staticmethod
        def _construct(msg: str) -> Any:
            yield Segment("text", {"text": msg})

    class Said(Event):  # type: ignore[misc]  # peers have no types here
        user: str

        def get_type(self) -> str:
            return "message"

        def get_event_name(self) -> str:
            return "message"

        def get_event_description(self) -> str:
            return "said"

        def get_user_id(self) -> str:
            return self.user

        def get_session_id(self) -> str:
            return self.user

        def get_message(self) -> Text:
            return Text("hello")

        def is_tome(self) -> bool:
            return True

    class Platform(Adapter):  # type: ignore[misc]  # peers have no types here
        @classmethod
        def get_name(cls) -> str:
            return "bench"

        async def _call_api(self, bot: Any, api: str, **data: Any) -> Any:
            return None

    class Echo(BaseBot):  # type: ignore[misc]  # peers have no types here
        async def send(self, event: Event, message: Any, **more: Any) -> Any:
            return None

    matcher = nonebot.on_message()

    @matcher.handle()  # type: ignore[untyped-decorator]  # as above
    async def echo(event: Said) -> None:
        await matcher.send(str(event.get_message()))

    bot = Echo(Platform(nonebot.get_driver()), "bench")

    async def talk(number: int, message: int) -> None:
        await handle_event(bot, Said(user=f"user {number}"))

    return await rate(talk, people)


CASES = {
    "ours": ours,
    "latency": latency,
    "langgraph": langgraph,
    "aiogram": aiogram,
    "nonebot2": nonebot2,
}


def main(case: str, people: str) -> None:
    """Measure one case in a fresh folder."""
    logging.disable(logging.WARNING)
    folder = Path(tempfile.mkdtemp(prefix="bench-turns-", dir=Path(__file__).parent))
    try:
        print(asyncio.run(CASES[case](int(people), folder)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
