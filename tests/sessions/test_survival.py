"""A process that dies in the middle of a handover leaves everything as before or as after.

The child does the work and dies at a moment that chance has chosen; the test is the judge.
"""

import asyncio
import random
import signal
import sqlite3
import sys
from asyncio.subprocess import PIPE
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sessionbot_kit.errors import TokenUnknown
from sessionbot_kit.sessions import Conversation, SessionManager, SessionPolicy
from sessionbot_kit.stores import open_store
from tests.sessions.child import Clock

ROOT = Path(__file__).parents[2]
ROUNDS = [
    *range(2),
    *(pytest.param(round, marks=pytest.mark.long) for round in range(2, 100)),
]


async def died(verb: str, path: Path, round: int) -> list[list[str]]:
    """What a child said before it died in the middle of its work."""
    seconds = random.Random(round).uniform(0.001, 0.25)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.sessions.child", verb, str(path), str(seconds)),
        cwd=ROOT,
        stdout=PIPE,
    )
    try:
        async with asyncio.timeout(40):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == -signal.SIGALRM, "the child was to die by a signal"
    return [line.split(" ") for line in said.decode().splitlines()]


def heard(said: list[list[str]], word: str) -> list[list[str]]:
    return [rest for first, *rest in said if first == word]


def rows(path: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchall()


def assert_no_orphans(path: Path) -> None:
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    for table in ("messages", "summaries", "session_state", "tokens"):
        lost = f"SELECT count(*) FROM {table} WHERE session_id NOT IN (SELECT id FROM sessions)"
        assert rows(path, lost) == [(0,)], table


async def lines(sessions: SessionManager, ref: str) -> list[str]:
    history = await sessions.history(ref)
    assert [row["seq"] for row in history] == list(range(1, len(history) + 1))
    return [row["content"] for row in history]


async def known(sessions: SessionManager, ref: str) -> Conversation:
    session = await sessions.get_session(ref)
    assert session is not None
    return session


@pytest.mark.parametrize("round", ROUNDS)
async def test_a_merge_has_happened_or_not(tmp_path: Path, round: int) -> None:
    path = tmp_path / "memory.db"
    said = await died("merge", path, round)
    ((ada,),) = heard(said, "ada")
    merged = {guest for (guest,) in heard(said, "merged")}
    assert_no_orphans(path)
    async with open_store(path) as store:
        sessions = SessionManager(store, SessionPolicy(clock=Clock()))
        own = await known(sessions, ada)
        told = await lines(sessions, ada)
        for number, (guest, token) in enumerate(heard(said, "token")):
            happened = (await known(sessions, guest)).id == ada
            assert happened or guest not in merged
            assert (f"web/home/guest-{number}" in told) == happened
            assert (f"guest-{number}" in own.variables) == happened
            assert (f"seen-{number}" in await sessions.recall(user="ada")) == happened
            assert (await opens(sessions, token)) != happened
        assert len(told) == len(set(told)) == own.message_count


async def opens(sessions: SessionManager, token: str) -> bool:
    try:
        await sessions.check_token(token)
    except TokenUnknown:
        return False
    return True


@pytest.mark.parametrize("round", ROUNDS)
async def test_a_transfer_has_happened_or_not(tmp_path: Path, round: int) -> None:
    path = tmp_path / "memory.db"
    said = await died("transfer", path, round)
    ((ada,),) = heard(said, "ada")
    moves = heard(said, "moved")
    assert_no_orphans(path)
    async with open_store(path) as store:
        sessions = SessionManager(store, SessionPolicy(clock=Clock()))
        own = await known(sessions, ada)
        told = await lines(sessions, ada)
        # The place tells how far it came; the lines and the token must tell the same.
        there = int(own.key.chat[1:]) + 1 if own.key.interface == "email" else 0
        assert len(moves) <= there <= len(moves) + 1
        assert told == ["web/home/ada"] + [f"email/a{number}/ada" for number in range(there)]
        newest = [*heard(said, "token")[-1:], *moves][-1][-1]
        assert await opens(sessions, newest) == (there == len(moves))
        for number in range(30):
            found = await sessions.session_for(
                own.key._replace(interface="email", chat=f"a{number}")
            )
            assert (found.id == ada) == (number < there)


@pytest.mark.parametrize("round", ROUNDS)
async def test_a_cleanup_has_happened_or_not_and_loses_nothing_that_was_said(
    tmp_path: Path, round: int
) -> None:
    path = tmp_path / "memory.db"
    said = await died("cleanup", path, round)
    assert_no_orphans(path)
    states = dict(rows(path, "SELECT id, state FROM sessions"))
    ends = dict(rows(path, "SELECT id, metadata ->> 'ended_at' FROM sessions"))
    for session_id, state in states.items():
        assert (state == "expired") == (ends[session_id] is not None)
    living = "SELECT user_id FROM sessions WHERE state <> 'expired'"
    assert len(rows(path, living)) == len(set(rows(path, living)))
    for number, (session_id, _, round_said) in enumerate(heard(said, "said")):
        if number >= len(heard(said, "said")) - 2:  # not a month after it ended
            kept = f"SELECT count(*) FROM messages WHERE session_id = '{session_id}' "
            assert rows(path, f"{kept} AND content = 'again {round_said}'") == [(1,)]


def test_the_clock_of_the_child_goes_on() -> None:
    clock = Clock()
    assert clock() < clock()
