"""What the world does to a database file, and the one sentence that people are told."""

import asyncio
import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sessionbot_kit.errors import (
    StoreBusy,
    StoreConflict,
    StoreError,
    StoreFull,
    StoreTooNew,
    UsageError,
)
from sessionbot_kit.models import Session
from sessionbot_kit.stores import open_store
from sessionbot_kit.stores.sqlite import SqliteStore, engine
from sessionbot_kit.stores.sqlite.checkpoints import MAX_PAGES
from sessionbot_kit.stores.sqlite.engine import Connections
from sessionbot_kit.stores.sqlite.schema import VERSION
from tests.store_people import answer, heard, inbox, key, line, lines

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bot.db"


def content(path: Path) -> bytes:
    return path.read_bytes()


def overwrite(path: Path, start: int) -> None:
    """Write nonsense over a file, from here to its end."""
    with path.open("r+b") as file:
        file.seek(start)
        file.write(b"\xff" * (path.stat().st_size - start))


def edit(path: Path, sql: str, id_: str) -> None:
    """Do with the file what the store would not do."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(sql, (id_,))


async def fill(store: SqliteStore, session: Session) -> None:
    """Append until there is no room."""
    for _ in range(1_000):
        await store.append(session.id, [line("x" * 2_000)])


async def opened(path: Path) -> None:
    async with SqliteStore(path, busy_timeout_s=0.05):
        pass


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"the folder .*file/data cannot be made: Not a directory"):
        await opened(tmp_path / "file" / "data" / "bot.db")


@contextmanager
def without_rights() -> Iterator[None]:
    """Be nobody for a while: root passes every door."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


async def test_a_folder_that_may_not_be_written_is_named() -> None:
    with TemporaryDirectory() as folder:
        os.chmod(folder, 0o555)
        await asyncio.to_thread(int)  # nobody may not even import what this needs
        with without_rights(), pytest.raises(StoreError, match="cannot be opened; check that its"):
            await opened(Path(folder) / "bot.db")
        os.chmod(folder, 0o700)


async def test_a_file_that_may_not_be_written_is_named() -> None:
    with TemporaryDirectory() as folder:
        await opened(Path(folder) / "bot.db")
        os.chmod(folder, 0o777)
        os.chmod(f"{folder}/bot.db", 0o444)
        await asyncio.to_thread(int)
        with without_rights(), pytest.raises(StoreError, match="may not be written; change the"):
            await opened(Path(folder) / "bot.db")


@pytest.fixture
def diary(path: Path) -> Path:
    path.write_text("Dear diary, " * 1_000)
    return path


async def test_a_file_that_is_no_database_is_left_alone(diary: Path) -> None:
    before = content(diary)
    with pytest.raises(StoreError, match=r"bot\.db is not a SQLite database; choose another file"):
        await opened(diary)
    assert content(diary) == before


async def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        await opened(tmp_path)


async def test_a_database_of_another_program_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE recipes (name)")
    with pytest.raises(StoreError, match="is a database of another program"):
        await opened(path)


async def test_a_database_of_a_newer_version_is_refused_with_both_numbers(path: Path) -> None:
    await opened(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreTooNew, match=f"has version 99 .* knows up to {VERSION}; upgrade"):
        await opened(path)


async def test_a_damaged_database_says_how_to_rescue_it(path: Path) -> None:
    async with SqliteStore(path) as store:
        session = await store.session_for(key())
        await store.append(session.id, lines(500))
    overwrite(path, 4096)
    with pytest.raises(StoreError, match=r"is damaged .*sqlite3 .*bot\.db \.recover"):
        async with SqliteStore(path) as store:
            await store.messages(session.id)


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
        with pytest.raises(StoreError, match=r"second cannot serve .*bot\.db: .*first"):
            await store.acquire("second")
        with pytest.raises(UsageError, match="has one partition"):
            await store.acquire("third", partition=1)


async def test_a_store_that_is_not_open_says_so(path: Path) -> None:
    store = SqliteStore(path)
    for verb in (store.stats, store.waiting, lambda: store.session_for(key())):
        with pytest.raises(StoreError, match=r"bot\.db is closed; use it inside `async with`"):
            await verb()
    async with store:
        with pytest.raises(UsageError, match="is open already"):
            await store.__aenter__()


async def test_what_waits_is_written_before_a_store_closes(path: Path) -> None:
    async with SqliteStore(path) as store:
        session = await store.session_for(key())
        tasks = [asyncio.ensure_future(store.append(session.id, [line("x")])) for _ in range(700)]
        await asyncio.sleep(0)
    assert len(await asyncio.gather(*tasks)) == 700
    async with SqliteStore(path) as store:
        assert len(await store.tail(session.id, 1_000)) == 700


async def test_a_store_without_a_place_is_removed_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with SqliteStore() as store:
        await store.session_for(key())
        assert store.path.exists()
    assert not store.path.parent.exists()
    assert [record.message for record in caplog.records] == ["temporary store"]


@pytest.mark.parametrize("place", ["redis://x", "sqlite://", "sqlite:///", "sqlite://bot.db"])
def test_a_place_that_is_no_store_is_refused(place: str) -> None:
    with pytest.raises(UsageError, match=r"names no store; write sqlite:///bot\.db"):
        open_store(place)


@pytest.mark.parametrize("place", ["{}/bot.db", "sqlite:///{}/bot.db"])
async def test_a_place_is_a_path_or_an_address(tmp_path: Path, place: str) -> None:
    async with open_store(place.format(tmp_path)) as store:
        await store.session_for(key())
    assert (tmp_path / "bot.db").exists()


def test_a_durability_that_does_not_exist_is_refused(path: Path) -> None:
    with pytest.raises(UsageError, match='"power" or "process", not \'none\''):
        SqliteStore(path, durability="none")  # type: ignore[arg-type]  # wrong on purpose


async def test_a_store_of_less_durability_is_the_same_store(path: Path) -> None:
    async with SqliteStore(path, durability="process") as store:
        session = await store.session_for(key())
        await store.append(session.id, lines(3))
    async with SqliteStore(path) as store:
        assert len(await store.tail(session.id, 9)) == 3


async def test_many_may_open_a_new_file_at_once(path: Path) -> None:
    await asyncio.gather(*(opened_patiently(path) for _ in range(20)))


async def opened_patiently(path: Path) -> None:
    async with SqliteStore(path) as store:
        await store.session_for(key())


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


def test_nobody_is_left_running_when_a_program_forgets_to_close(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from sessionbot_kit.stores.sqlite import SqliteStore, engine
asyncio.run(SqliteStore(sys.argv[1]).__aenter__())
"""
    command = (sys.executable, "-c", program, str(tmp_path / "bot.db"))
    assert subprocess.run(command, timeout=30, check=False, env=os.environ).returncode == 0


async def test_the_log_is_moved_into_the_file_while_others_write(path: Path) -> None:
    async with SqliteStore(path, durability="process") as store:
        session = await store.session_for(key())
        for _ in range(60):
            await asyncio.gather(*(store.append(session.id, lines(3)) for _ in range(100)))
        assert session.id in store.loaded()  # its own checkpoints are not another process
        log_pages = os.stat(f"{path}-wal").st_size / 4_120
        assert log_pages < 2 * MAX_PAGES
        assert os.stat(path).st_size > 1_000_000


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
