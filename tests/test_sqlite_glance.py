"""Short reads in the loop: made there while they are short, and left to the thread otherwise."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from sessionbot_kit.stores.sqlite import SqliteStore
from sessionbot_kit.stores.sqlite.glance import NOT_NOW, REST, SLOW_S, Glance
from sessionbot_kit.testing.store_people import key, lines


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(":memory:")
    yield db
    db.close()


def one(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT 1").fetchone()[0])


def test_a_short_read_is_made_at_once(db: sqlite3.Connection) -> None:
    glance = Glance(db)
    assert [glance.at(one) for _ in range(2)] == [1, 1]


def test_after_a_slow_read_the_next_ones_are_for_the_thread(db: sqlite3.Connection) -> None:
    times = iter([0.0, 2 * SLOW_S, 1.0, 1.0])
    glance = Glance(db, clock=lambda: next(times))
    assert glance.at(one) == 1
    assert [glance.at(one) for _ in range(REST)] == [NOT_NOW] * REST
    assert glance.at(one) == 1


def test_what_cannot_be_read_now_is_for_the_thread(db: sqlite3.Connection) -> None:
    assert Glance(db).at(lambda db: db.execute("SELECT * FROM nowhere")) is NOT_NOW


async def test_a_session_is_the_same_whoever_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with SqliteStore(tmp_path / "bot.db", cached_lines=5) as store:
        session = await store.session_for(key())
        await store.append(session.id, lines(20))
        store.unload()
        glanced = await store.load(session.id)
        store.unload()
        monkeypatch.setattr(Glance, "at", lambda self, query: NOT_NOW)
        assert await store.load(session.id) == glanced
        assert await store.tail(session.id, 5) == glanced.tail if glanced else False


async def test_it_is_counted_how_often_a_session_was_in_memory(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "bot.db") as store:
        session = await store.session_for(key())
        for _ in range(3):
            await store.load(session.id)
        store.unload()
        await store.load(session.id)
        stats = await store.stats()
    assert (stats.hits, stats.misses) == (3, 1)
