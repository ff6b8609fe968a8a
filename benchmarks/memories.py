"""Conversations kept by us and by others, behind one face, for `bench_store`.

Each is used as its documentation shows it, with one object a conversation where it has such.
"""

import sqlite3
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from sessionbot_kit.models import SessionKey
from sessionbot_kit.store import NewMessage
from sessionbot_kit.stores.sqlite import SqliteStore


class Memory(Protocol):
    """What is measured. A session is whatever the library calls a conversation."""

    async def session(self, name: str) -> Any: ...
    async def append(self, session: Any, text: str) -> None: ...
    async def fill(self, session: Any, count: int) -> None: ...
    async def context(self, session: Any, count: int) -> Any: ...
    def forget(self, session: Any) -> None: ...
    async def close(self) -> None: ...


class Kit:
    """Ours."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    async def session(self, name: str) -> str:
        return (await self._store.session_for(SessionKey("bot", "bench", name, name))).id

    async def append(self, session: str, text: str) -> None:
        await self._store.append(session, [NewMessage("user", text, datetime.now(UTC), 34)])

    async def fill(self, session: str, count: int) -> None:
        line = NewMessage("user", "before " * 20, datetime.now(UTC), 35)
        await self._store.append(session, [line] * count)

    async def context(self, session: str, count: int) -> Any:
        return await self._store.tail(session, count)

    def forget(self, session: str) -> None:
        self._store.unload(session)

    async def close(self) -> None:
        await self._store.__aexit__(None, None, None)


class Agents:
    """openai-agents, SQLiteSession."""

    def __init__(self, path: Path) -> None:
        from agents import SQLiteSession

        self._path = path
        self._class = SQLiteSession
        self._sessions: list[Any] = []

    async def session(self, name: str) -> Any:
        self._sessions.append(self._class(name, self._path))
        return self._sessions[-1]

    async def append(self, session: Any, text: str) -> None:
        await session.add_items([{"role": "user", "content": text}])

    async def fill(self, session: Any, count: int) -> None:
        await session.add_items([{"role": "user", "content": "before " * 20}] * count)

    async def context(self, session: Any, count: int) -> Any:
        return await session.get_items(limit=count)

    def forget(self, session: Any) -> None:
        """It keeps nothing in memory."""

    async def close(self) -> None:
        for session in self._sessions:
            session.close()


class Raw:
    """sqlite3 alone, in the loop: what no library can beat, while the bot stands still."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("CREATE TABLE m (id INTEGER PRIMARY KEY, s TEXT, role TEXT, content TEXT)")
        self._db.execute("CREATE INDEX by_session ON m (s, id)")

    async def session(self, name: str) -> str:
        return name

    async def append(self, session: str, text: str) -> None:
        self._db.execute("INSERT INTO m (s, role, content) VALUES (?, 'user', ?)", (session, text))

    async def fill(self, session: str, count: int) -> None:
        self._db.execute("BEGIN")
        rows = [(session, "before " * 20)] * count
        self._db.executemany("INSERT INTO m (s, role, content) VALUES (?, 'user', ?)", rows)
        self._db.execute("COMMIT")

    async def context(self, session: str, count: int) -> Any:
        sql = "SELECT role, content FROM m WHERE s = ? ORDER BY id DESC LIMIT ?"
        return self._db.execute(sql, (session, count)).fetchall()[::-1]

    def forget(self, session: str) -> None:
        """It keeps nothing in memory."""

    async def close(self) -> None:
        self._db.close()


class Adk:
    """google-adk, SqliteSessionService."""

    def __init__(self, path: Path) -> None:
        from google.adk.events import Event
        from google.adk.sessions.base_session_service import GetSessionConfig
        from google.adk.sessions.sqlite_session_service import SqliteSessionService
        from google.genai import types

        self._service = SqliteSessionService(str(path))
        self._event = Event
        self._types = types
        self._config = GetSessionConfig

    async def session(self, name: str) -> Any:
        return await self._service.create_session(app_name="bench", user_id="u", session_id=name)

    async def append(self, session: Any, text: str) -> None:
        content = self._types.Content(role="user", parts=[self._types.Part(text=text)])
        await self._service.append_event(session, self._event(author="user", content=content))

    async def fill(self, session: Any, count: int) -> None:
        for _ in range(count):
            await self.append(session, "before " * 20)

    async def context(self, session: Any, count: int) -> Any:
        found = await self._service.get_session(
            app_name="bench",
            user_id="u",
            session_id=session.id,
            config=self._config(num_recent_events=count),
        )
        assert found is not None
        return found.events

    def forget(self, session: Any) -> None:
        """It keeps nothing in memory."""

    async def close(self) -> None:
        """Each call opens and closes its own connection."""


class LangGraph:
    """langgraph, AsyncSqliteSaver under a graph of one node."""

    def __init__(self, saver: Any) -> None:
        from langgraph.graph import START, MessagesState, StateGraph

        graph = StateGraph(MessagesState)
        graph.add_node("listen", lambda state: {"messages": []})
        graph.add_edge(START, "listen")
        self._saver = saver
        self._graph = graph.compile(checkpointer=saver)

    @classmethod
    async def at(cls, path: Path) -> "LangGraph":
        import aiosqlite
        from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

        saver = AsyncSqliteSaver(await aiosqlite.connect(path))
        await saver.setup()
        return cls(saver)

    async def session(self, name: str) -> Any:
        return {"configurable": {"thread_id": name}}

    async def append(self, session: Any, text: str) -> None:
        await self._graph.aupdate_state(session, {"messages": [("user", text)]}, as_node="listen")

    async def fill(self, session: Any, count: int) -> None:
        messages = [("user", "before " * 20)] * count
        await self._graph.aupdate_state(session, {"messages": messages}, as_node="listen")

    async def context(self, session: Any, count: int) -> Any:
        state = await self._graph.aget_state(session)
        return state.values["messages"][-count:]

    def forget(self, session: Any) -> None:
        """It keeps nothing in memory."""

    async def close(self) -> None:
        await self._saver.conn.close()


class LangChain:
    """langchain, SQLChatMessageHistory."""

    def __init__(self, path: Path) -> None:
        from langchain_community.chat_message_histories import SQLChatMessageHistory
        from langchain_core.messages import HumanMessage
        from sqlalchemy.ext.asyncio import create_async_engine

        self._class = SQLChatMessageHistory
        self._message = HumanMessage
        self._engine = create_async_engine(f"sqlite+aiosqlite:///{path}")

    async def session(self, name: str) -> Any:
        return self._class(session_id=name, connection=self._engine, async_mode=True)

    async def append(self, session: Any, text: str) -> None:
        await session.aadd_message(self._message(content=text))

    async def fill(self, session: Any, count: int) -> None:
        await session.aadd_messages([self._message(content="before " * 20)] * count)

    async def context(self, session: Any, count: int) -> Any:
        return (await session.aget_messages())[-count:]

    def forget(self, session: Any) -> None:
        """It keeps nothing in memory."""

    async def close(self) -> None:
        await self._engine.dispose()


async def opened(name: str, folder: Path) -> Memory:
    """One of them, with a file of its own; only its own library is imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of their own making
        match name:
            case "sessionbot_kit":
                store = SqliteStore(folder / "kit.db", cached_sessions=2_000)
                return Kit(await store.__aenter__())
            case "openai-agents":
                return Agents(folder / "agents.db")
            case "raw sqlite3, FULL":
                return Raw(folder / "raw.db")
            case "google-adk":
                return Adk(folder / "adk.db")
            case "langgraph":
                return await LangGraph.at(folder / "graph.db")
            case "langchain":
                return LangChain(folder / "chain.db")
    raise ValueError(f"nobody is called {name}")
