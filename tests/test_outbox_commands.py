import asyncio
import json
from pathlib import Path

import pytest

from sessionbot_kit.channels.loopback import Loopback, Refused
from sessionbot_kit.cli import main
from sessionbot_kit.courier import Patience
from sessionbot_kit.models import OutgoingMessage, SendResult
from sessionbot_kit.plugins import echo
from sessionbot_kit.stores.sqlite import SqliteStore
from tests.test_gateway import a_gateway, a_kernel

Printed = pytest.CaptureFixture[str]


@pytest.fixture
async def store(tmp_path: Path) -> str:
    """A store with a reply that no channel ever took."""
    channel = Loopback()
    path, once = tmp_path / "bot.db", Patience(tries=1)
    async with a_gateway(path, channel, patience=once) as gateway, a_kernel(gateway, echo):
        channel.troubles.append(Refused("you are blocked"))
        await gateway.settle(await channel.hear("!echo a secret"))
    return f"sqlite:///{path}"


def listed(store: str, capsys: Printed) -> list[dict[str, object]]:
    capsys.readouterr()
    assert main(["outbox", "list", "--json", "--store", store]) == 0
    rows: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return rows


def test_the_list_says_where_to_how_often_and_why_but_not_what(store: str, capsys: Printed) -> None:
    assert main(["outbox", "list", "--store", store]) == 0
    printed = capsys.readouterr().out
    assert "loopback/you" in printed
    assert "you are blocked" in printed
    assert "secret" not in printed


def test_a_dead_letter_is_tried_again_or_dropped(store: str, capsys: Printed) -> None:
    (letter,) = listed(store, capsys)
    assert main(["outbox", "retry", str(letter["id"]), "--store", store]) == 0
    (waiting,) = listed(store, capsys)
    assert (waiting["id"], waiting["state"], waiting["tries"]) == (letter["id"], "waiting", 0)


def test_all_are_dropped_at_once(store: str, capsys: Printed) -> None:
    assert main(["outbox", "drop", "--all", "--store", store]) == 0
    assert "1 reply dropped" in capsys.readouterr().out
    assert listed(store, capsys) == []


@pytest.mark.parametrize("arguments", [["retry"], ["drop", "x", "--all"]])
def test_one_or_all_must_be_named(store: str, capsys: Printed, arguments: list[str]) -> None:
    assert main(["outbox", *arguments, "--store", store]) == 2
    assert "name one reply, or all of them" in capsys.readouterr().err


def test_a_letter_that_is_not_there_is_said(store: str, capsys: Printed) -> None:
    assert main(["outbox", "drop", "nothing", "--store", store]) == 1
    assert "there is no such dead letter" in capsys.readouterr().err


async def test_a_running_bot_takes_up_what_is_to_be_tried_again(store: str) -> None:
    heard = asyncio.Event()

    class Listening(Loopback):
        async def send(self, message: OutgoingMessage) -> SendResult:
            heard.set()
            return await super().send(message)

    path, channel = Path(store.removeprefix("sqlite:///")), Listening()
    async with a_gateway(path, channel, look_every_s=0.001):
        async with SqliteStore(path) as other:
            (letter,) = await other.dead_letters()
            await other.retry(letter.id)
        await heard.wait()
    assert channel.said_to("you") == ["a secret"]
