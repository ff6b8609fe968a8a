"""The doctor looks, touches nothing, and says what to do."""

import asyncio
import os
import sqlite3
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sessionbot_kit import SessionManager, doctor
from sessionbot_kit.bot import Bot
from sessionbot_kit.cli import main
from sessionbot_kit.doctor import Finding, examine
from sessionbot_kit.plugins import echo
from sessionbot_kit.settings import Settings


@pytest.fixture(autouse=True)
def quiet_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty folder."""
    monkeypatch.chdir(tmp_path)


def findings(**given: object) -> dict[str, Finding]:
    async def look() -> dict[str, Finding]:
        return {finding.what: finding async for finding in examine(Settings(**given))}

    return asyncio.run(look())


@pytest.fixture
def a_store() -> str:
    """A store with one conversation in it."""

    async def talk() -> None:
        async with Bot(echo, store="sqlite:///bot.db") as bot:
            await bot.hear("!echo hello")

    asyncio.run(talk())
    return "sqlite:///bot.db"


def test_a_new_place_is_fine_and_stays_untouched(tmp_path: Path) -> None:
    found = findings()
    assert all(finding.fine for finding in found.values())
    assert found["store"].says == "none yet, made when it is needed"
    assert list(tmp_path.iterdir()) == []


def test_a_store_is_counted(a_store: str) -> None:
    found = findings(store_url=a_store)
    assert found["store"] == Finding("store", True, "conversations: 1, messages: 2")


def test_a_store_that_cannot_be_opened_is_a_sentence() -> None:
    Path("bot.db").write_bytes(b"this is no database" * 100)
    found = findings(store_url="sqlite:///bot.db")
    assert not found["store"].fine
    assert "bot.db" in found["store"].says


def test_replies_that_were_given_up_are_named(a_store: str) -> None:
    with sqlite3.connect("bot.db") as connection:
        connection.execute("UPDATE outbox SET state = 'dead'")
    connection.close()
    found = findings(store_url=a_store)
    assert not found["store"].fine
    assert "replies given up: 1" in found["store"].says


def test_a_home_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    found = findings(home="data/inside")
    assert not found["home"].fine
    assert "is a file" in found["home"].says


def test_a_home_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    assert "cannot be written" in findings()["home"].says


def test_a_missing_extra_is_no_fault_but_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jupyterlab", None)
    finding = findings()["jupyterlab"]
    assert not finding.fine
    assert not finding.needed
    assert 'pip install "sessionbot-kit[notebook]"' in finding.says


def test_the_command_ends_in_1_when_something_needed_is_wrong(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["doctor"]) == 0
    assert "ok settings   no file; the defaults serve" in capsys.readouterr().out
    (tmp_path / "data").write_text("")
    assert main(["doctor"]) == 1
    assert "no home" in capsys.readouterr().out


def test_the_machine_is_looked_at_too() -> None:
    found = findings()
    assert {"disk", "memory", "timeouts"} <= set(found)
    assert found["timeouts"].says == (
        "idle after 0.5 h, visitors expire after 168 h, users expire: never"
    )


def test_a_clock_that_is_behind_what_is_stored_is_named(a_store: str) -> None:
    later = f"{datetime.now(UTC) + timedelta(hours=3):%Y-%m-%dT%H:%M:%S.%f}"
    with sqlite3.connect("bot.db") as db:
        db.execute("UPDATE sessions SET last_activity = ?", (later,))
    db.close()
    clock = findings(store_url=a_store)["clock"]
    assert not clock.fine
    assert "timedatectl" in clock.says


def test_the_cache_is_looked_at(a_store: str) -> None:
    assert findings(store_url=a_store)["cache"].says == "holds what is read"


def test_a_disk_without_room_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LEAST_DISK_BYTES", 10**18)
    assert "make room" in findings()["disk"].says


def test_a_machine_without_memory_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LEAST_MEMORY_BYTES", 10**18)
    assert not findings()["memory"].fine


def test_a_token_is_told_what_it_opens_or_why_it_does_not(a_store: str) -> None:
    async def look(token: str) -> Finding:
        settings = Settings(store_url=a_store)
        return {found.what: found async for found in examine(settings, token)}["token"]

    async def issue() -> str:
        async with SessionManager.open(a_store) as sessions:
            return await sessions.issue_token(1)

    good = asyncio.run(look(asyncio.run(issue())))
    bad = asyncio.run(look("nonsense"))
    assert good.says.startswith("opens session 1, active, until")
    assert (bad.fine, bad.says) == (False, "this token is not known; ask for a new session")
