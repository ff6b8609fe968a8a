"""What the world does to a database file, and the one sentence that people are told."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from sessionbot_kit.errors import (
    StoreBusy,
    StoreConflict,
    StoreError,
    StoreFull,
    UsageError,
)
from sessionbot_kit.models import Session
from sessionbot_kit.stores.sqlite import SqliteStore, engine
from sessionbot_kit.stores.sqlite.engine import Connections
from sessionbot_kit.testing.store_people import answer, heard, inbox, key, line

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bot.db"


def edit(path: Path, sql: str, id_: str) -> None:
    """Do with the file what the store would not do."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(sql, (id_,))


async def fill(store: SqliteStore, session: Session) -> None:
    """Append until there is no room."""
    for _ in range(1_000):
        await store.append(session.id, [line("x" * 2_000)])


async def test_a_locked_database_is_busy_and_then_works_again(path: Path) -> None:
    async with SqliteStore(path, busy_timeout_s=0.05) as store:
        session = await store.session_for(key())
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreBusy, match=r"bot\.db is locked by another process"):
                await store.append(session.id, [line("now")])
        (stored,) = await store.append(session.id, [line("later")])
        assert (stored.seq, await store.tail(session.id, 9)) == (1, (stored,))


async def test_a_database_that_is_locked_for_a_moment_is_waited_for(path: Path) -> None:
    async with SqliteStore(path) as store:
        session = await store.session_for(key())
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            appending = asyncio.ensure_future(store.append(session.id, [line("now")]))
            await store.session(session.id)
            assert not appending.done()
        assert len(await appending) == 1


class Cramped(SqliteStore):
    """A store on a disk that has room for so many pages."""

    pages = 70

    def _connect(self) -> Connections:
        connections = super()._connect()
        connections[0].execute(f"PRAGMA max_page_count = {self.pages}")
        return connections


@pytest.fixture
async def cramped(path: Path) -> AsyncIterator[Cramped]:
    async with Cramped(path) as store:
        yield store


@pytest.fixture
async def full(cramped: Cramped) -> Session:
    """A session of a store whose disk is full."""
    session = await cramped.session_for(key())
    with pytest.raises(StoreFull, match=r"bot\.db: the disk is full; free some room"):
        await fill(cramped, session)
    return session


async def test_a_full_disk_loses_nothing_that_was_acknowledged(
    cramped: Cramped, full: Session
) -> None:
    warm = await cramped.tail(full.id, 1_000)
    cramped.unload()
    assert await cramped.tail(full.id, 1_000) == warm
    now = await cramped.session(full.id)
    assert now is not None
    assert (now.totals.messages, (await cramped.stats()).messages) == (len(warm), len(warm))


async def test_a_store_works_again_once_there_is_room(cramped: Cramped, full: Session) -> None:
    kept = await cramped.tail(full.id, 1_000)
    await cramped._write(lambda transaction: transaction.run("PRAGMA max_page_count = 100000"))
    (stored,) = await cramped.append(full.id, [line("y" * 2_000)])
    assert stored.seq == len(kept) + 1


async def test_a_row_that_cannot_be_written_takes_no_other_along(path: Path) -> None:
    async with SqliteStore(path) as store:
        session = await store.session_for(key())
        poison = line("too many tokens for a column", tokens=2**63)
        results = await asyncio.gather(
            store.append(session.id, [line("before")]),
            store.append(session.id, [line("with"), poison]),
            store.accept(inbox(session.id)),
            store.append(session.id, [line("after")]),
            return_exceptions=True,
        )
        assert isinstance(results[1], StoreError)
        assert results[2] is True
        kept = [(stored.seq, stored.content) for stored in await store.tail(session.id, 9)]
        assert kept == [(1, "before"), (2, "after")]
        assert (await store.stats()).messages == 2


async def test_a_lock_file_that_cannot_be_written_is_named(path: Path) -> None:
    os.mkdir(f"{path}.lock")
    async with SqliteStore(path) as store:
        with pytest.raises(StoreError, match=r"bot\.db\.lock cannot be written: Is a directory"):
            await store.acquire("gateway")


async def test_a_store_object_serves_one_gateway(path: Path) -> None:
    async with SqliteStore(path) as store:
        await store.acquire("first")
        with pytest.raises(StoreError, match=r"bot\.db is open in this process already, for first"):
            await store.acquire("second")
        with pytest.raises(UsageError, match="has one partition"):
            await store.acquire("third", partition=1)


async def test_what_waits_is_written_before_a_store_closes(path: Path) -> None:
    async with SqliteStore(path) as store:
        session = await store.session_for(key())
        tasks = [asyncio.ensure_future(store.append(session.id, [line("x")])) for _ in range(700)]
        await asyncio.sleep(0)
    assert len(await asyncio.gather(*tasks)) == 700
    async with SqliteStore(path) as store:
        assert len(await store.tail(session.id, 1_000)) == 700


async def test_a_conflict_does_not_spoil_the_group(path: Path) -> None:
    async with SqliteStore(path) as store:
        session = await store.session_for(key())
        results = await asyncio.gather(
            store.sent("nothing", []),
            store.append(session.id, [line("x")]),
            store.accept(inbox(session.id)),
            store.accept(inbox(session.id)),
            return_exceptions=True,
        )
        assert isinstance(results[0], StoreConflict)
        assert [results[2], results[3]] == [True, False]
        assert len(await store.tail(session.id, 9)) == 1


async def test_a_message_that_was_damaged_is_set_aside(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with SqliteStore(path) as store:
        session = await store.session_for(key())
        good, bad = inbox(session.id, heard(id="1")), inbox(session.id, heard(id="2"))
        await asyncio.gather(store.accept(good), store.accept(bad))
        edit(path, "UPDATE inbox SET message = '{}' WHERE id = ?", bad.id)
        assert await store.waiting() == [good]
        assert await store.waiting() == [good]
        assert [record.message for record in caplog.records] == ["message set aside"]


async def test_a_reply_that_was_damaged_becomes_a_dead_letter(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with SqliteStore(path) as store:
        row = inbox((await store.session_for(key())).id)
        lease = await store.acquire("gateway")
        await store.accept(row)
        await store.commit(answer(row, lease.epoch, "one", "two"))
        edit(path, "UPDATE outbox SET message = 'x' WHERE id = ?", f"{row.id}/1")
        assert [unsent.message.content for unsent in await store.unsent()] == ["two"]
        assert (await store.stats()).dead == 1
        assert [record.message for record in caplog.records] == ["reply cannot be read"]


async def test_more_jobs_than_there_is_room_for_wait_their_turn(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "MAX_WAITING", 3)
    async with SqliteStore(path) as store:
        session = await store.session_for(key())
        await asyncio.gather(*(store.append(session.id, [line("x")]) for _ in range(50)))
        assert len(await store.tail(session.id, 100)) == 50
