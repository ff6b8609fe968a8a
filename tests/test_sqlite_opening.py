"""What may stand where a database file is looked for, and what people are told then."""

import asyncio
import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sessionbot_kit.errors import (
    StoreError,
    StoreTooNew,
    UsageError,
)
from sessionbot_kit.stores import open_store
from sessionbot_kit.stores.sqlite import SqliteStore
from sessionbot_kit.stores.sqlite.schema import VERSION
from sessionbot_kit.testing.store_people import key, lines

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


async def test_a_store_that_is_not_open_says_so(path: Path) -> None:
    store = SqliteStore(path)
    for verb in (store.stats, store.waiting, lambda: store.session_for(key())):
        with pytest.raises(StoreError, match=r"bot\.db is closed; use it inside `async with`"):
            await verb()
    async with store:
        with pytest.raises(UsageError, match="is open already"):
            await store.__aenter__()


async def test_a_store_without_a_place_is_removed_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with SqliteStore() as store:
        await store.session_for(key())
        assert store.path.exists()
    assert not store.path.parent.exists()
    (record,) = caplog.records
    assert "give store='sqlite:///bot.db' to keep it" in record.message


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


def test_nobody_is_left_running_when_a_program_forgets_to_close(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from sessionbot_kit.stores.sqlite import SqliteStore, engine
asyncio.run(SqliteStore(sys.argv[1]).__aenter__())
"""
    command = (sys.executable, "-c", program, str(tmp_path / "bot.db"))
    assert subprocess.run(command, timeout=30, check=False, env=os.environ).returncode == 0
