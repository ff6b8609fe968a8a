"""What survives kill -9, and what two processes do to each other, with real processes.

A child is the writer and says on its stdout what was acknowledged; the test is the judge.
"""

import asyncio
import os
import random
import re
import signal
import sqlite3
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sessionbot_kit.errors import StoreHeld
from sessionbot_kit.stores.sqlite import SqliteStore
from sessionbot_kit.testing.store_people import becomes_true, key, line

ROOT = Path(__file__).parent.parent
ROUNDS = [pytest.param(4, id="few"), pytest.param(100, id="many", marks=pytest.mark.long)]


@asynccontextmanager
async def child(
    verb: str, path: Path, name: str = "a", wrapper: tuple[str, ...] = ()
) -> AsyncIterator[Process]:
    """A process that uses the store; it is gone when the block ends."""
    command = (*wrapper, sys.executable, "-m", "tests.store_child", verb, str(path), name)
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=PIPE, stdout=PIPE)
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()  # what it has forked ends with this
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def told(process: Process) -> str:
    """The next line that the child says."""
    assert process.stdout is not None
    async with asyncio.timeout(30):
        said = await process.stdout.readline()
    assert said, "the child has died"
    return said.decode().rstrip("\n")


async def ask(process: Process, text: str) -> str:
    assert process.stdin is not None
    process.stdin.write(f"{text}\n".encode())
    return await told(process)


async def killed(verb: str, path: Path, name: str, after: int) -> list[str]:
    """Run a child, kill it after so many acknowledgements; return all it has said."""
    async with child(verb, path, name) as process:
        said = [await told(process) for _ in range(after)]
        process.send_signal(signal.SIGKILL)
        rest, _ = await process.communicate()
        return said + rest.decode().splitlines()


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(path) as db:
        found = db.execute(sql).fetchall()
    db.close()
    return found


def assert_whole(path: Path) -> None:
    """No page is damaged, no number is missing, and the totals are those of the rows."""
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    gaps = """
    SELECT session_id FROM messages GROUP BY session_id
    HAVING max(seq) <> count(*) OR min(seq) <> 1
    """
    assert rows(path, gaps) == []
    sums = "SELECT count(*), sum(m.tokens), max(cum_tokens) FROM messages m GROUP BY session_id"
    assert all(count == tokens == cum for count, tokens, cum in rows(path, sums))
    counted = rows(path, "SELECT total(sessions), total(messages), total(tokens) FROM counters")
    actual = """
    SELECT (SELECT count(*) FROM sessions), count(*), ifnull(sum(tokens), 0) FROM messages
    """
    assert counted == rows(path, actual)


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.timeout(600)
async def test_no_acknowledged_line_is_lost_when_the_writer_is_killed(
    tmp_path: Path, rounds: int
) -> None:
    path, acknowledged = tmp_path / "bot.db", []
    for number in range(rounds):
        acknowledged += await killed("append", path, f"{number}", random.randint(1, 400))
    kept = {
        (id_, seq): text
        for id_, seq, text in rows(path, "SELECT session_id, seq, content FROM messages")
    }
    for session_id, seq, text in (entry.split() for entry in acknowledged):
        assert kept[session_id, int(seq)] == text
        assert kept[session_id, int(seq) + 1] == f"{text}+"
    assert_whole(path)


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.timeout(600)
async def test_a_turn_is_committed_or_waits_when_the_gateway_is_killed(
    tmp_path: Path, rounds: int
) -> None:
    path, said = tmp_path / "bot.db", []
    for number in range(rounds):
        said += await killed("turns", path, f"{number}", random.randint(1, 200))
    state = dict(rows(path, "SELECT id, state FROM inbox"))
    replies = dict(rows(path, "SELECT inbox_id, count(*) FROM outbox GROUP BY inbox_id"))
    for what, id_ in (entry.split() for entry in said):
        assert state[id_] == "done" or what == "accepted"
    assert replies == {id_: 1 for id_, now in state.items() if now == "done"}
    counters = """
    SELECT count(*), json_extract(variables, '$.n') FROM messages
    JOIN session_state USING (session_id) GROUP BY session_id
    """
    assert all(lines == n for lines, n in rows(path, counters))
    assert_whole(path)


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.timeout(600)
async def test_a_merge_happens_whole_or_not_at_all_when_it_is_killed(
    tmp_path: Path, rounds: int
) -> None:
    path = tmp_path / "bot.db"
    for number in range(rounds):
        await killed("merge", path, f"{number}", random.randint(1, 60))
        assert_whole(path)
    ((lines, aliases),) = rows(
        path,
        "SELECT count(*), (SELECT count(*) FROM aliases) FROM messages "
        "WHERE session_id = (SELECT id FROM sessions WHERE user_id = 'user')",
    )
    assert lines == 3 * int(str(aliases))


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.timeout(600)
async def test_a_file_has_all_its_tables_or_none_when_its_making_is_killed(
    tmp_path: Path, rounds: int
) -> None:
    for number in range(rounds):
        folder = tmp_path / f"{number}"
        said = await killed("births", folder, "-", random.randint(1, 9))
        path = folder / f"{said[-1].split()[1]}.db"
        tables = rows(path, "SELECT count(*) FROM sqlite_master") if "made" in said[-1] else [(0,)]
        async with SqliteStore(path) as store:
            session = await store.session_for(key())
            await store.append(session.id, [line("it works")])
        assert tables == [(0,)] or tables == rows(path, "SELECT count(*) FROM sqlite_master")
        assert_whole(path)


async def test_a_session_is_made_once_by_two_processes(tmp_path: Path) -> None:
    path = tmp_path / "bot.db"
    async with child("meet", path, "a") as one, child("meet", path, "b") as other:
        assert [await told(one), await told(other)] == ["ready", "ready"]
        ids = await asyncio.gather(ask(one, "go"), ask(other, "go"))
    assert ids[0] == ids[1]
    assert rows(path, "SELECT id FROM sessions") == [(ids[0],)]
    assert rows(path, "SELECT content, count(*) FROM messages GROUP BY content") == [
        ("a", 200),
        ("b", 200),
    ]
    assert_whole(path)


async def test_a_process_that_comes_and_goes_leaves_the_log_of_the_others_alone(
    tmp_path: Path,
) -> None:
    path = tmp_path / "bot.db"
    async with SqliteStore(path) as store, SqliteStore(path):
        session = await store.session_for(key())
        async with child("follow", path) as guest:
            await told(guest)
            assert guest.stdin is not None
            guest.stdin.close()
            assert await guest.wait() == 0
        await store.append(session.id, [line("still here")])
        async with SqliteStore(path) as witness:
            assert len(await witness.tail(session.id, 9)) == 1


async def test_what_another_process_appends_is_seen_within_200_ms(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "bot.db") as store, child("follow", store.path) as other:
        await told(other)
        session = await store.session_for(key())
        for number in range(1, 20):
            assert await ask(other, f"{number}") == "ack"

            async def seen(wanted: str = f"{number}") -> bool:
                tail = await store.tail(session.id, 1)
                return bool(tail) and tail[0].content == wanted

            assert await becomes_true(seen, within_s=0.2)
            await store.append(session.id, [line("mine")])
    assert_whole(store.path)


async def test_a_killed_gateway_is_succeeded_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bot.db"
    async with SqliteStore(path) as store, child("hold", path, "gateway of yesterday") as other:
        _, pid = (await told(other)).split()
        with pytest.raises(StoreHeld, match=rf"gateway of yesterday \(process {pid} on .*since"):
            await store.acquire("gateway of today")
        other.kill()
        await other.wait()
        lease = await store.acquire("gateway of today")
    assert lease.epoch == 2


async def test_a_gateway_that_merely_sleeps_keeps_its_place(tmp_path: Path) -> None:
    path = tmp_path / "bot.db"
    async with SqliteStore(path) as store, child("hold", path, "sleeper") as other:
        await told(other)
        other.send_signal(signal.SIGSTOP)
        with pytest.raises(StoreHeld, match="sleeper"):
            await store.acquire("heir")
        other.send_signal(signal.SIGCONT)


async def test_a_process_that_a_killed_gateway_had_forked_does_not_hold_its_place(
    tmp_path: Path,
) -> None:
    path = tmp_path / "bot.db"
    async with SqliteStore(path) as store, child("hold", path, "with child") as other:
        _, pid = (await told(other)).split()
        os.kill(int(pid), signal.SIGKILL)
        await other.wait()
        assert (await store.acquire("heir")).epoch == 2


@pytest.mark.needs("strace")
async def test_each_acknowledged_append_was_synced_before(tmp_path: Path) -> None:
    log = tmp_path / "calls"
    strace = ("strace", "-f", "-o", str(log), "-e", "trace=fsync,fdatasync,write")
    async with child("follow", tmp_path / "bot.db", wrapper=strace) as process:
        await told(process)
        for number in range(20):
            await ask(process, f"{number}")
    calls = re.findall(
        r'(sync)(?:\(\d+\)|.*resumed>\))\s*= 0|write\(1, "(ack|ready)', log.read_text()
    )
    story = "".join("s" if sync else "a" for sync, _ in calls)
    acknowledged = story.split("a")[1:-1]
    assert len(acknowledged) == 20
    assert all(syncs for syncs in acknowledged)
