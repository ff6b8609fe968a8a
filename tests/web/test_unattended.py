"""A bot that nobody looks at: it starts, drains, is saved, is put back, and says what is wrong."""

import asyncio
import shutil
import signal
import subprocess
import tarfile
from contextlib import closing
from pathlib import Path

import httpx
import orjson
import pytest
import yaml

from sessionbot_kit.backup import backup, restore
from sessionbot_kit.bot import Bot
from sessionbot_kit.cli import main
from sessionbot_kit.errors import UsageError
from sessionbot_kit.load import load
from sessionbot_kit.plugins.echo import echo
from sessionbot_kit.selftest import selftest
from tests.web.visitors import ROOT, running

SLOW = """
import asyncio
from sessionbot_kit import plugin

@plugin(default=True)
async def slow(message):
    await asyncio.sleep(0.4)
    return f"done: {message.content}"
"""


def visit(url: str) -> tuple[httpx.Client, dict[str, str]]:
    client = httpx.Client(base_url=url, timeout=20)
    token = client.post("/api/session").json()["token"]
    return client, {"Authorization": f"Bearer {token}"}


def test_a_bot_runs_and_tells_each_turn_in_a_line_without_a_word_of_it(tmp_path: Path) -> None:
    with running(tmp_path, SLOW) as server:
        client, headers = visit(server.url)
        with closing(client):
            said = client.post("/api/chat", json={"content": "secret words"}, headers=headers)
        assert said.json()["replies"][0]["content"] == "done: secret words"
        assert server.kill(signal.SIGTERM) == 0
    (line,) = (tmp_path / "turns.jsonl").read_text().splitlines()
    assert set(orjson.loads(line)) == {"at", "bot", "turn", "session", "plugin", "replies", "ms"}
    assert "secret" not in line


def test_a_turn_that_runs_ends_before_the_bot_does(tmp_path: Path) -> None:
    with running(tmp_path, SLOW) as server:
        client, headers = visit(server.url)
        with closing(client):
            body = {"content": "hold on", "wait_s": 0}
            client.post("/api/chat", json=body, headers=headers)
        assert server.kill(signal.SIGTERM) == 0
        server.start()
        with httpx.Client(base_url=server.url, headers=headers) as again:
            lines = again.get("/api/chat").json()["messages"]
    assert [line["content"] for line in lines] == ["hold on", "done: hold on"]


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["run", "--host", "0.0.0.0", "--dev"], 2, "--dev opens the session API to everybody"),
        (["run", "--bot", "support"], 2, "write --bot support=support.yml"),
        (["run", "--file", "missing.yml"], 2, "missing.yml cannot be read"),
        (["backup", "x.tar.gz"], 2, "there is no store at"),
        (["restore", "missing.tar.gz"], 2, "cannot be read as a backup"),
    ],
)
def test_what_is_wrong_is_a_sentence_and_a_status(
    arguments: list[str],
    status: int,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == status
    assert sentence in capsys.readouterr().err


async def test_a_backup_of_a_bot_that_runs_holds_all_that_was_acknowledged(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/bot.db"
    archive = tmp_path / "saved" / "bot.tar.gz"
    async with Bot(echo, store=url) as bot:
        before = [await bot.hear(f"!echo {number}", user="ada") for number in range(20)]
        talk = asyncio.ensure_future(bot.hear("!echo meanwhile", user="bob"))
        await asyncio.to_thread(backup, url, tmp_path / "files", archive)
        await talk
    assert archive.stat().st_mode & 0o077 == 0
    there = tmp_path / "elsewhere"
    restore(archive, f"sqlite:///{there}/bot.db", there / "files")
    async with Bot(echo, store=f"sqlite:///{there}/bot.db") as bot:
        sessions = await bot.sessions.list(user="ada")
        lines = await bot.sessions.history(sessions[0].id)
    said = [line["content"] for line in lines if line["role"] == "assistant"]
    assert said == [text for each in before for text in each]


async def test_a_restore_overwrites_nothing_and_waits_for_no_gateway(tmp_path: Path) -> None:
    url, files, archive = f"sqlite:///{tmp_path}/bot.db", tmp_path / "files", tmp_path / "b.tgz"
    async with Bot(echo, store=url) as bot:
        await bot.hear("!echo one")
        backup(url, files, archive)
        with pytest.raises(UsageError, match="is there already"):
            restore(archive, url, files)
        with pytest.raises(UsageError, match="another Bot or Gateway"):
            restore(archive, url, files, force=True)
    restore(archive, url, files, force=True)


def test_an_archive_that_leads_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    evil = tmp_path / "evil.tar.gz"
    (tmp_path / "x").write_text("x")
    for name in ("../x", "/etc/x", "files/../../x"):
        with tarfile.open(evil, "w:gz") as archive:
            archive.add(tmp_path / "x", name)
        with pytest.raises(UsageError, match="no backup of ours"):
            restore(evil, f"sqlite:///{tmp_path}/new/bot.db", tmp_path / "files")


async def test_a_selftest_sees_all_eight_signs() -> None:
    found = [finding async for finding in selftest()]
    assert len(found) == 8
    assert [finding.what for finding in found if not finding.fine] == []


async def test_a_load_is_measured(tmp_path: Path) -> None:
    figures = await load(sessions=20, messages=3, clients=8, folder=tmp_path)
    assert (figures.sessions, figures.messages) == (20, 60)
    assert 0 < figures.p50_ms <= figures.p99_ms


def test_the_compose_file_has_the_service_and_the_volumes_that_people_know() -> None:
    service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["session_bot"]
    assert {"./data:/app/data", "./plugins:/app/plugins:ro"} == set(service["volumes"])
    assert service["read_only"]
    assert service["healthcheck"]["test"][0] == "CMD"


@pytest.mark.needs("docker-compose")
def test_the_compose_file_is_one() -> None:
    command = [str(shutil.which("docker-compose")), "config", "--quiet"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
