"""What is in the files: tables that people may read, and nothing of whom they forgot."""

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sessionbot_kit.errors import (
    StoreBusy,
)
from sessionbot_kit.stores.sqlite import SqliteStore, loading
from sessionbot_kit.stores.sqlite.checkpoints import MAX_PAGES
from sessionbot_kit.testing.store_people import key, line, lines

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bot.db"


async def test_people_may_ask_in_their_own_sql(path: Path) -> None:
    async with SqliteStore(path) as store:
        session = await store.session_for(key())
        await store.append(session.id, [line("hello")])
        await store.set_variables(session.id, {"name": "Ada"})
    with closing(sqlite3.connect(path)) as db:
        recent = (
            "SELECT id, user_id FROM sessions WHERE last_activity < datetime('now', '+9 years')"
        )
        assert db.execute(recent).fetchall() == [(session.id, "ada")]
        said = (
            "SELECT role, content, timestamp FROM messages WHERE session_id = ? ORDER BY timestamp"
        )
        assert db.execute(said, (session.id,)).fetchall() == [
            ("user", "hello", "2026-11-21 12:00:00.000000")
        ]
        name = "SELECT json_extract(variables, '$.name') FROM session_state"
        assert db.execute(name).fetchall() == [("Ada",)]


async def test_what_was_erased_is_in_no_file(path: Path) -> None:
    async with SqliteStore(path) as store:
        ids = [(await store.session_for(key(f"user {n}"))).id for n in range(6)]
        for n in range(600):
            who = n % 6
            await store.append(ids[who], [line(f"secret of {who}! " * (1 + n % 40))])
        await store.erase("user 3")
        files = b"".join(file.read_bytes() for file in path.parent.iterdir() if file.is_file())
        assert b"secret of 3!" not in files
        assert b"secret of 4!" in files
        assert len(await store.tail(ids[4], 1_000)) == 100


async def test_erasing_says_so_when_somebody_keeps_the_log(path: Path) -> None:
    async with SqliteStore(path, busy_timeout_s=0.05) as store:
        await store.session_for(key())
        with closing(sqlite3.connect(path)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM sessions").fetchone()
            with pytest.raises(StoreBusy, match="keeps what was erased; close that program"):
                await store.erase("ada")
        assert await store.erase("ada")


async def test_the_log_is_moved_into_the_file_while_others_write(path: Path) -> None:
    async with SqliteStore(path, durability="process") as store:
        session = await store.session_for(key())
        for _ in range(60):
            await asyncio.gather(*(store.append(session.id, lines(3)) for _ in range(100)))
        assert session.id in store.loaded()  # its own checkpoints are not another process
        log_pages = os.stat(f"{path}-wal").st_size / 4_120
        assert log_pages < 2 * MAX_PAGES
        assert os.stat(path).st_size > 1_000_000


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        ("SELECT * FROM sessions WHERE last_activity >= ?", "sessions_by_activity"),
        ("SELECT * FROM sessions WHERE expires_at <= ?", "sessions_due"),
        ("SELECT * FROM sessions WHERE user_id = ?", "sessions_by_user"),
        (loading.BY_KEY, "sessions_by_key"),
        (loading.TAIL, "PRIMARY KEY"),
    ],
)
async def test_what_is_asked_often_is_found_by_an_index(
    tmp_path: Path, sql: str, index: str
) -> None:
    async with SqliteStore(tmp_path / "bot.db"):
        with closing(sqlite3.connect(tmp_path / "bot.db")) as db:
            plan = db.execute(f"EXPLAIN QUERY PLAN {sql}", ["x"] * sql.count("?")).fetchall()
    steps = [step for *_, step in plan]
    assert any(index in step for step in steps)
    assert not any(step.startswith("SCAN") for step in steps)
