import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sessionbot_kit import Bot, Chat, IncomingMessage, KitError, OutgoingMessage, plugin
from sessionbot_kit.events import Failed, Offered, Received, Said, Sent
from sessionbot_kit.plugins import echo, help


@plugin("!count")
async def count(chat: Chat) -> str:
    """Count the messages of this conversation."""
    chat.vars["n"] = int(str(chat.vars.get("n", 0))) + 1
    return f"number {chat.vars['n']}"


@plugin("!boom")
async def boom(chat: Chat) -> str:
    chat.vars["n"] = 99
    raise ValueError("on purpose")


async def test_the_shortest_bot_answers() -> None:
    assert await Bot(echo).hear("!echo hello") == ["hello"]


async def test_a_message_leaves_a_row_in_every_room_it_went_through(tmp_path: Path) -> None:
    async with Bot(echo, store=f"sqlite:///{tmp_path}/bot.db") as bot:
        await bot.hear("!echo hello", user="alice")
    with sqlite3.connect(tmp_path / "bot.db") as db:
        inbox = db.execute("SELECT channel_type, channel_id, state FROM inbox").fetchall()
        outbox = db.execute("SELECT channel_type, channel_id, state FROM outbox").fetchall()
        lines = db.execute("SELECT seq, role, content FROM messages ORDER BY seq").fetchall()
    db.close()
    assert inbox == [("loopback", "alice", "done")]
    assert outbox == [("loopback", "alice", "sent")]
    assert lines == [(1, "user", "!echo hello"), (2, "assistant", "hello")]


async def test_a_bot_remembers_across_a_restart(tmp_path: Path) -> None:
    store = tmp_path / "bot.db"
    async with Bot(count, store=store) as bot:
        await bot.hear("!count")
    async with Bot(count, store=store) as bot:
        assert await bot.hear("!count") == ["number 2"]


async def test_a_bot_that_is_not_running_remembers_from_one_message_to_the_next() -> None:
    bot = Bot(count)
    assert [await bot.hear("!count") for _ in range(3)] == [
        ["number 1"],
        ["number 2"],
        ["number 3"],
    ]
    assert not bot.running


async def test_every_person_has_a_conversation_of_their_own() -> None:
    async with Bot(count) as bot:
        await bot.hear("!count", user="alice")
        assert await bot.hear("!count", user="bob") == ["number 1"]
        assert await bot.hear("!count", user="alice") == ["number 2"]


async def test_a_hundred_messages_at_once_are_each_counted_once() -> None:
    async with Bot(count) as bot:
        answers = await asyncio.gather(*(bot.hear("!count") for _ in range(100)))
    assert sorted(answers) == sorted([f"number {n}"] for n in range(1, 101))


async def test_people_talk_side_by_side() -> None:
    together = asyncio.Barrier(10)

    @plugin
    async def meet(message: IncomingMessage) -> str:
        await together.wait()  # ends only when ten turns run at once
        return f"hello {message.sender_name}"

    async with Bot(meet) as bot:
        people = [f"user{n}" for n in range(10)]
        answers = await asyncio.gather(*(bot.hear("hi", user=person) for person in people))
    assert answers == [[f"hello {person}"] for person in people]


async def test_a_plugin_that_fails_apologizes_and_changes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Bot(count, boom) as bot:
        await bot.hear("!count")
        assert await bot.hear("!boom") == ["Sorry, something went wrong here. It has been noted."]
        assert await bot.hear("!count") == ["number 2"]
    (record,) = [record for record in caplog.records if record.message == "turn failed"]
    noted: Any = record
    assert (noted.plugin, noted.levelname) == ("boom", "ERROR")
    assert noted.error.startswith("ValueError: on purpose (")


async def test_nobody_answers_what_nobody_wants_and_it_is_remembered_all_the_same() -> None:
    @plugin("!past")
    async def past(chat: Chat) -> list[str]:
        return [line.content for line in await chat.history()]

    async with Bot(past) as bot:
        assert await bot.hear("only a remark") == []
        assert await bot.hear("!past") == ["only a remark"]


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        ("!echo \ud83d\ude00", ["\N{GRINNING FACE}"]),
        ("!echo a\ud83db", ["a\N{REPLACEMENT CHARACTER}b"]),
        ("!echo nul\0inside", ["nul\0inside"]),
        ("!echo " + "x" * 1_000_000, ["x" * 1_000_000]),
        ("!echo", []),
        ("", []),
    ],
    ids=["cut pair", "lone surrogate", "nul", "a megabyte", "prefix only", "empty"],
)
async def test_awkward_text_has_a_right_answer(content: str, answer: list[str]) -> None:
    assert await Bot(echo).hear(content) == answer


async def test_a_bad_chat_is_refused_with_a_sentence() -> None:
    with pytest.raises(KitError, match="channel_id: is empty; give the id that the platform uses"):
        await Bot(echo).hear("!echo hello", user=" ")


async def test_help_lists_what_the_plugins_say_of_themselves() -> None:
    assert await Bot(echo, count, help).hear("/help") == [
        "!count - Count the messages of this conversation.\n"
        "!echo - Say it again.\n"
        "/help or !help - Show what I can do.\n"
        "/cancel - End a dialog in the middle."
    ]


async def test_a_plugin_can_join_a_running_bot() -> None:
    async with Bot(echo) as bot:
        assert await bot.hear("!count") == []
        await bot.add(count)
        assert await bot.hear("!count") == ["number 1"]


async def test_starting_twice_and_stopping_twice_is_harmless() -> None:
    bot = Bot(echo)
    await bot.start()
    assert await bot.start() is bot
    assert await bot.hear("!echo hi") == ["hi"]
    await bot.stop()
    await bot.stop()
    assert not bot.running


async def test_the_gateway_of_a_bot_that_is_not_running_says_what_to_do() -> None:
    with pytest.raises(KitError, match=r"bot is not running; await bot\.start\(\) first"):
        _ = Bot(echo).gateway


async def test_watching_shows_the_way_through_the_house() -> None:
    async with Bot(echo) as bot:
        watch = bot.feed.open()
        await bot.hear("!echo hello", user="alice")
        events = [await watch.next() for _ in range(4)]
    assert [type(event) for event in events] == [Received, Offered, Said, Sent]
    assert len({event.turn for event in events}) == 1
    assert [event.at for event in events] == sorted(event.at for event in events)


async def test_watching_shows_a_failure() -> None:
    async with Bot(boom) as bot:
        watch = bot.feed.open()
        await bot.hear("!boom")
        events = [await watch.next() for _ in range(5)]
    assert [type(event) for event in events] == [Received, Offered, Failed, Said, Sent]


async def test_a_temporary_store_goes_with_its_bot() -> None:
    bot = Bot(echo)
    await bot.hear("!echo hello")
    folder = Path(str(bot._store)).parent
    assert folder.exists()
    del bot
    assert not folder.exists()


async def test_a_second_bot_on_one_store_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    async with Bot(echo, store=tmp_path / "bot.db"):
        with pytest.raises(KitError, match="process"):
            await Bot(echo, store=tmp_path / "bot.db").start()


async def test_after_a_start_that_failed_the_bot_can_start(tmp_path: Path) -> None:
    bot = Bot(echo, store=tmp_path / "bot.db")
    async with Bot(echo, store=tmp_path / "bot.db"):
        with pytest.raises(KitError):
            await bot.start()
    assert await bot.hear("!echo hello") == ["hello"]


async def test_a_store_that_is_no_store_is_refused_with_what_to_write() -> None:
    with pytest.raises(KitError, match=r"names no store; write sqlite:///bot\.db"):
        await Bot(echo, store="mysql://somewhere").start()


async def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(KitError) as refused:
        await Bot(echo, store=tmp_path / "file" / "bot.db").start()
    assert str(tmp_path / "file") in str(refused.value)
    assert "\n" not in str(refused.value)


async def test_the_data_is_not_for_everybody_to_read(tmp_path: Path) -> None:
    async with Bot(echo, store=tmp_path / "bot.db"):
        mode = stat.S_IMODE((tmp_path / "bot.db").stat().st_mode)
    assert mode & 0o077 == 0


async def test_an_answer_to_a_channel_that_is_not_there_becomes_a_dead_letter() -> None:
    @plugin("!fax")
    async def fax() -> OutgoingMessage:
        return OutgoingMessage(channel_type="fax", channel_id="1", content="beep")

    async with Bot(fax) as bot:
        await bot.hear("!fax")
        await bot.settle()
        (dead,) = await bot.gateway.store.dead_letters()
    assert dead.message.content == "beep"
    assert dead.error == "no channel fax that can send; add it to channels=[...]"


async def test_a_bot_says_what_it_is() -> None:
    bot = Bot(echo, help, name="parrot")
    assert repr(bot) == "parrot: not running, plugins: echo, help"
    async with bot:
        assert repr(bot) == "parrot: running, plugins: echo, help"


def test_a_bot_may_be_used_from_one_event_loop_after_another() -> None:
    bot = Bot(count)
    assert [asyncio.run(bot.hear("!count")) for _ in range(2)] == [["number 1"], ["number 2"]]


def test_a_program_that_decided_nothing_about_logs_learns_what_failed() -> None:
    script = (
        "import asyncio\n"
        "from sessionbot_kit import Bot, plugin\n"
        "@plugin\n"
        "async def boom():\n"
        "    return 1 / 0\n"
        "print(asyncio.run(Bot(boom).hear('hi')))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )  # fmt: skip
    assert ran.stdout == "['Sorry, something went wrong here. It has been noted.']\n"
    assert "turn failed" in ran.stderr
    assert "plugin=boom" in ran.stderr
    assert "ZeroDivisionError: division by zero" in ran.stderr


async def test_a_port_that_is_taken_leaves_no_bot_behind(tmp_path: Path) -> None:
    async with Bot(echo) as other:
        await other.start(listen=0)
        bot = Bot(echo, store=tmp_path / "bot.db")
        with pytest.raises(KitError, match="cannot be opened"):
            await bot.start(listen=other.gateway.reception.port)
        assert not bot.running
        async with Bot(echo, store=tmp_path / "bot.db"):
            pass


async def test_a_second_bot_in_one_process_is_told_so(tmp_path: Path) -> None:
    async with Bot(echo, store=tmp_path / "bot.db"):
        with pytest.raises(
            KitError,
            match=r"is open in this process already, for .*: another Bot or Gateway; await its",
        ):
            await Bot(echo, store=tmp_path / "bot.db").start()


def test_a_list_of_plugins_is_told_to_come_one_by_one() -> None:
    with pytest.raises(KitError, match=r"give plugins one by one: Bot\(echo, help\)"):
        Bot([echo, help])  # type: ignore[arg-type]  # the mistake under test


def test_a_class_is_no_function_to_decorate() -> None:
    with pytest.raises(KitError, match="Tarot is a class; @plugin is for functions"):

        @plugin("!tarot")
        class Tarot: ...


async def test_a_plugin_that_talks_to_its_own_person_is_told_that_it_would_wait_for_itself() -> (
    None
):
    told: list[str] = []

    @plugin("!again")
    async def again(message: IncomingMessage) -> str:
        try:
            await bot.hear("!echo hello", user="ada")
        except KitError as error:
            told.append(str(error))
        return ", ".join(await bot.hear("!echo hello", user="eve"))

    async with Bot(again, echo) as bot:
        assert await bot.hear("!again", user="ada") == ["hello"]
        assert await bot.hear("!echo fine", user="ada") == ["fine"]
    (sentence,) = told
    assert sentence.startswith("again calls bot.hear for ada while it answers ada, and would wait")


async def test_of_two_default_plugins_it_is_said_which_one_answers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def never() -> str:
        return "never"

    async with Bot(plugin(id="b")(never), plugin(id="a")(lambda: "a")) as bot:
        assert await bot.hear("hello") == ["a"]
    (record,) = [one for one in caplog.records if one.message == "several default plugins"]
    assert (vars(record)["answers"], vars(record)["never_asked"]) == ("a", "b")
