"""One case of `bench_turns`, in a process of its own: it prints turns a second.

    python -m benchmarks.turn_cases ours 64

Every case answers an echo for each of so many people side by side, each of whom speaks again when
the answer has come.
"""

import asyncio
import logging
import shutil
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


async def ours(people: int, folder: Path) -> float:
    """A whole bot: stored, answered, committed, sent."""
    from sessionbot_kit import Bot
    from sessionbot_kit.plugins.echo import echo

    async with Bot(echo, store=folder / "bot.db") as bot:

        async def talk(number: int, message: int) -> None:
            receipt = await bot.loopback.hear("!echo hello", user=f"user {number}")
            await bot.gateway.settle(receipt)

        return await rate(talk, people)


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
        return message.text

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

    class Segment(MessageSegment["Text"]):
        @classmethod
        def get_message_class(cls) -> type["Text"]:
            return Text

        def __str__(self) -> str:
            return str(self.data["text"])

        def is_text(self) -> bool:
            return True

    class Text(Message[Segment]):
        @classmethod
        def get_segment_class(cls) -> type[Segment]:
            return Segment

        @staticmethod
        def _construct(msg: str) -> Any:
            yield Segment("text", {"text": msg})

    class Said(Event):
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

    class Platform(Adapter):
        @classmethod
        def get_name(cls) -> str:
            return "bench"

        async def _call_api(self, bot: Any, api: str, **data: Any) -> Any:
            return None

    class Echo(BaseBot):
        async def send(self, event: Event, message: Any, **more: Any) -> Any:
            return None

    matcher = nonebot.on_message()

    @matcher.handle()
    async def echo(event: Said) -> None:
        await matcher.send(str(event.get_message()))

    bot = Echo(Platform(nonebot.get_driver()), "bench")

    async def talk(number: int, message: int) -> None:
        await handle_event(bot, Said(user=f"user {number}"))

    return await rate(talk, people)


CASES = {"ours": ours, "langgraph": langgraph, "aiogram": aiogram, "nonebot2": nonebot2}


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
