"""Strangers ask for a code, and somebody who runs the bot decides."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sessionbot_kit import Bot
from sessionbot_kit.cli import main
from sessionbot_kit.errors import UsageError
from sessionbot_kit.pairing import Pairing
from sessionbot_kit.plugins import echo
from sessionbot_kit.stores.sqlite import SqliteStore
from sessionbot_kit.testing import FakeClock, Person
from tests.table import message

Talking = Callable[..., Person]
Printed = pytest.CaptureFixture[str]


def code_in(text: str) -> str:
    found = re.search(r"[A-Z2-9]{4}-[A-Z2-9]{4}", text)
    assert found is not None
    return found[0]


@pytest.fixture
def stranger(talk: Talking) -> Person:
    return talk(echo, pairing=["loopback"])


async def pairing_of(person: Person) -> Pairing:
    return (await person.bot()).gateway.pairing


async def test_a_stranger_is_given_a_code_and_answered_when_it_is_approved(
    stranger: Person,
) -> None:
    (hello,) = await stranger.says("!echo hello")
    pair = await (await pairing_of(stranger)).approve(code_in(hello).lower())
    assert (pair.channel, pair.user, pair.state) == ("loopback", "ada", "approved")
    assert await stranger.says("!echo hello") == ["hello"]
    stranger.restart()
    assert await stranger.says("!echo again") == ["again"]


async def test_a_stranger_who_insists_is_told_once_an_hour(stranger: Person) -> None:
    (hello,) = await stranger.says("hello?")
    assert await stranger.says("hello??") == []
    await stranger.waits(hours=2)
    assert await stranger.says("hello???") == [hello]


async def test_a_code_is_good_for_a_day(stranger: Person) -> None:
    (hello,) = await stranger.says("hello?")
    await stranger.waits(days=2)
    (other,) = await stranger.says("hello??")
    assert code_in(hello) != code_in(other)
    with pytest.raises(UsageError, match="nobody has the code"):
        await (await pairing_of(stranger)).approve(code_in(hello))


async def test_who_was_rejected_is_not_answered_and_not_told(stranger: Person) -> None:
    (hello,) = await stranger.says("hello?")
    await (await pairing_of(stranger)).reject(code_in(hello))
    await stranger.waits(days=3)
    assert await stranger.says("!echo hello") == []


async def test_who_is_revoked_is_a_stranger_again(stranger: Person) -> None:
    (hello,) = await stranger.says("hello?")
    pairing = await pairing_of(stranger)
    await pairing.approve(code_in(hello))
    await pairing.revoke("loopback/ada")
    assert await pairing.list() == []
    (again,) = await stranger.says("!echo hello")
    assert code_in(again) != code_in(hello)


async def test_where_it_is_not_wanted_nobody_is_a_stranger() -> None:
    assert await Bot(echo, pairing=["telegram"]).hear("!echo hello") == ["hello"]


async def test_strangers_cannot_fill_the_disk(tmp_path: Path) -> None:
    clock = FakeClock()
    async with SqliteStore(tmp_path / "bot.db") as store:
        pairing = Pairing(store, "bot", channels=["*"], now=clock.now)
        pairing._most = 3
        people = [message("?").model_copy(update={"sender_id": f"p{n}"}) for n in range(5)]
        told = [bool(await pairing.refusal(person)) for person in people]
        assert told == [True, True, True, False, False]
        clock.turn(days=2)
        assert await pairing.refusal(people[4])
        assert [pair.user for pair in await pairing.list()] == ["p4"]


def test_the_commands_list_and_decide(tmp_path: Path, capsys: Printed) -> None:
    store = f"sqlite:///{tmp_path / 'bot.db'}"
    bot = Bot(echo, store=store, pairing=["*"])
    code = code_in(asyncio.run(bot.hear("hello?", user="ada"))[0])
    assert main(["pairing", "list", "--store", store]) == 0
    assert f"{code}  waiting  loopback/ada" in capsys.readouterr().out
    for verb, said in (
        ("approve", "may talk to the bot now"),
        ("reject", "is not answered any more"),
        ("revoke", "is a stranger again"),
    ):
        assert main(["pairing", verb, code, "--store", store]) == 0
        assert capsys.readouterr().out == f"ada (loopback/ada) {said}.\n"
    assert main(["pairing", "approve", code, "--store", store]) == 2
    assert "see sessionbot pairing list" in capsys.readouterr().err


async def test_a_person_who_is_erased_is_a_stranger_again_and_in_no_list(stranger: Person) -> None:
    (hello,) = await stranger.says("hello?")
    pairing = await pairing_of(stranger)
    await pairing.approve(code_in(hello))
    await (await stranger.bot()).gateway.store.erase("ada")
    assert await pairing.list() == []
    (again,) = await stranger.says("!echo hello")
    assert code_in(again) != code_in(hello)
