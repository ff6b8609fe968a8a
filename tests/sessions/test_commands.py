"""The commands of `sessionbot sessions`."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sessionbot_kit.errors import KitError, SessionUnknown, UsageError
from sessionbot_kit.models import SessionKey
from sessionbot_kit.sessions import SessionManager
from sessionbot_kit.sessions.commands import app
from sessionbot_kit.sessions.conversation import reference, spelled

Run = Callable[..., str]


async def fill(url: str) -> None:
    async with SessionManager.open(url) as sessions:
        for user in ("ada", "guest-7"):
            session = await sessions.get_or_create_session(
                interface_type="web", external_user_id=user, external_chat_id="c1"
            )
            await sessions.add_message(session.id, "user", f"I am {user}")


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/memory.db"
    asyncio.run(fill(url))
    return url


@pytest.fixture
def run(url: str) -> Run:
    """Run a command on a store of two sessions, and give back what it prints."""

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(
            app, [*arguments, "--store", url], env={"COLUMNS": "120"}, catch_exceptions=True
        )
        if isinstance(result.exception, KitError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output

    return run


def test_conversations_are_listed(run: Run) -> None:
    lines = run("list").splitlines()
    assert lines[0] == "Sessions"
    assert [line.split()[:3] for line in lines[3:]] == [
        ["2", "web/c1/guest-7", "active"],
        ["1", "web/c1/ada", "active"],
    ]
    assert "guest-7" not in run("list", "--user", "ada")
    assert json.loads(run("list", "--json"))[0]["seq"] == 2


def test_one_conversation_is_shown(run: Run) -> None:
    text = run("show", "web/c1/ada")
    assert "Session 1\n" in text
    assert "I am ada" in text
    assert run("show", "1") == text


def test_a_session_that_does_not_exist_is_named(run: Run) -> None:
    with pytest.raises(SessionUnknown, match="there is no session 99; see sessionbot sessions"):
        run("show", "99")


def test_a_conversation_is_exported_and_brought_back(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "talk.jsonl"
    assert run("export", "1", "--form", "jsonl", "--out", str(file)).startswith(str(file))
    assert run("import", str(file), "--key", "web/c1/copy") == "session 3: 1 messages\n"
    assert "User: I am ada\n" in run("export", "web/c1/copy")


def test_a_file_is_never_written_over(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "talk.txt"
    file.write_text("mine")
    with pytest.raises(UsageError, match="exists already; choose another name"):
        run("export", "1", "--out", str(file))


def test_a_key_that_is_none_is_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'copy' is no key; write interface/chat/user"):
        run("import", str(tmp_path / "x"), "--key", "copy")


def test_two_conversations_are_merged(run: Run) -> None:
    text = run("merge", "2", "1")
    assert text.splitlines()[0] == "Session 2 is part of session 1"
    assert "I am guest-7" in run("show", "1")


def test_a_sweep_says_what_it_did(run: Run) -> None:
    assert run("cleanup") == "0 idle, 0 expired, 0 removed, 0 old messages gone\n"


def test_statistics_are_a_card_or_json(run: Run) -> None:
    assert "active sessions         2" in run("stats")
    assert json.loads(run("stats", "--json"))["sessions_by_interface"] == {"web": 2}


@pytest.mark.parametrize(
    "words", [["list"], ["show", "1"], ["export", "1"], ["merge", "2", "1"], ["cleanup"], ["stats"]]
)
def test_who_only_looks_makes_no_store(words: list[str], tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/nowhere/memory.db"
    result = CliRunner().invoke(app, [*words, "--store", url])
    assert isinstance(result.exception, UsageError)
    assert f"there is no store at {url}; start a bot" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_follows_the_settings(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sessionbot.yml").write_text("sessions: {anonymous_expires_after_s: 0.000001}\n")
    monkeypatch.chdir(tmp_path)
    assert run("cleanup").startswith("0 idle, 2 expired")


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("7", 7),
        ("0198-ab", "0198-ab"),
        ("web/c1/u1", SessionKey("default", "web", "c1", "u1")),
        ("shop:web/c/d/u1", SessionKey("shop", "web", "c/d", "u1")),
        ("web/room:1/u1", SessionKey("default", "web", "room:1", "u1")),
    ],
)
def test_a_session_is_named_by_number_id_or_key(text: str, ref: object) -> None:
    assert reference(text) == ref
    if isinstance(ref, SessionKey):
        assert spelled(ref) == text
