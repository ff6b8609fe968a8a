"""The peer of the web bench: FastAPI, SQLAlchemy and SQLite, as one would write them first.

python benchmarks/web_peer.py FOLDER       # prints its port; a message is on the disk when it
                                           # is answered, as it is with ours
"""

import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import Column, Integer, MetaData, String, Table, event, func, insert, select
from sqlalchemy.ext.asyncio import create_async_engine

metadata = MetaData()
messages = Table(
    "messages",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("session_id", Integer, index=True),
    Column("role", String),
    Column("content", String),
    Column("tokens", Integer),
)


class Action(BaseModel):
    action: str
    sessionId: int
    data: dict[str, Any] = {}


def application(folder: str) -> FastAPI:
    engine = create_async_engine(f"sqlite+aiosqlite:///{folder}/peer.db")

    def durable(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA busy_timeout=10000")
        cursor.close()

    event.listen(engine.sync_engine, "connect", durable)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)

    async def act(action: Action) -> dict[str, Any]:
        if action.action == "addMessage":
            content = str(action.data["content"])
            async with engine.begin() as connection:
                await connection.execute(
                    insert(messages).values(
                        session_id=action.sessionId,
                        role=action.data["role"],
                        content=content,
                        tokens=-(-len(content) // 4),
                    )
                )
                count = await connection.scalar(
                    select(func.count()).where(messages.c.session_id == action.sessionId)
                )
            return {"success": True, "data": {"id": action.sessionId, "message_count": count}}
        async with engine.connect() as connection:
            rows = await connection.execute(
                select(messages.c.role, messages.c.content, messages.c.tokens)
                .where(messages.c.session_id == action.sessionId)
                .order_by(messages.c.id.desc())
                .limit(20)
            )
            found = list(rows)[::-1]
        return {
            "success": True,
            "data": {
                "messages": [{"role": row.role, "content": row.content} for row in found],
                "totalTokens": sum(row.tokens for row in found),
            },
        }

    app.post("/api/sessions")(act)
    return app


if __name__ == "__main__":
    listening = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    uvicorn.Server(uvicorn.Config(application(sys.argv[1]), log_level="error")).run(
        sockets=[listening]
    )
