"""What a bot does for its sessions by itself: it refuses floods, summarizes, unloads and cleans."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from sessionbot_kit.bot import Bot
from sessionbot_kit.errors import MessageError, SettingsError
from sessionbot_kit.extension import plugin
from sessionbot_kit.models import IncomingMessage, Media, Session, SessionKey
from sessionbot_kit.sessions import Clocks, SessionLimits, SessionPolicy
from sessionbot_kit.settings import Settings
from sessionbot_kit.testing import FakeClock

LONG = "word " * 92  # 115 tokens


@plugin
async def count(message: Any, chat: Any) -> str:
    chat.vars["turns"] = chat.vars.get("turns", 0) + 1
    return f"turn {chat.vars['turns']}"


@plugin
async def nod(message: Any) -> str:
    return "ok"


def limited(**limits: Any) -> SessionPolicy:
    return SessionPolicy(limits=SessionLimits(uncounted=(), **limits))


async def session_of(bot: Bot, user: str = "ada") -> Session:
    session = await bot.gateway.store.session(SessionKey(bot.name, "loopback", user, user))
    assert session is not None
    return session


async def lines(bot: Bot, user: str = "ada") -> list[str]:
    return [line["content"] for line in await bot.sessions.history((await session_of(bot)).id)]


async def test_who_writes_too_fast_is_told_once_and_every_line_is_kept(tmp_path: Path) -> None:
    async with Bot(count, store=tmp_path / "bot.db", policy=limited(per_minute=2)) as bot:
        heard = [await bot.hear(text, user="ada") for text in ("a", "b", "c", "d")]
        kept = await lines(bot)
    assert heard[:2] == [["turn 1"], ["turn 2"]]
    assert "I have kept what you wrote" in heard[2][0]
    assert heard[3] == []
    assert [line for line in kept if len(line) == 1] == ["a", "b", "c", "d"]


async def test_a_flood_of_one_person_slows_nobody_else(tmp_path: Path) -> None:
    async with Bot(count, store=tmp_path / "bot.db", policy=limited(per_minute=1)) as bot:
        await asyncio.gather(*(bot.hear(str(n), user="ada") for n in range(5)))
        assert await bot.hear("hello", user="bob") == ["turn 1"]


async def test_a_message_that_comes_too_fast_does_not_answer_a_question(tmp_path: Path) -> None:
    @plugin("!order")
    async def order(chat: Any) -> str:
        return f"One {await chat.ask('Size?')} pizza."

    async with Bot(order, store=tmp_path / "bot.db", policy=limited(per_minute=1)) as bot:
        assert await bot.hear("!order", user="ada") == ["Size?"]
        assert "I have kept" in (await bot.hear("large", user="ada"))[0]
        bot.sessions.rate.forget((await session_of(bot)).id)
        assert await bot.hear("small", user="ada") == ["One small pizza."]


async def test_the_developer_is_not_counted(tmp_path: Path) -> None:
    policy = SessionPolicy(limits=SessionLimits(per_minute=1))
    async with Bot(count, store=tmp_path / "bot.db", policy=policy) as bot:
        assert [await bot.hear("x") for _ in range(2)] == [["turn 1"], ["turn 2"]]


async def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    async with Bot(nod, store=tmp_path / "bot.db", policy=limited(media_bytes=3)) as bot:
        message = IncomingMessage(
            id="1",
            channel_type="loopback",
            channel_id="ada",
            sender_id="ada",
            sender_name="ada",
            content="look",
            timestamp=FakeClock().now(),
            media=(Media.from_bytes(b"1234", name="a.txt"),),
        )
        with pytest.raises(MessageError, match=r"a\.txt has 4 bytes; a file may have 3"):
            await bot.gateway.deliver(message)


async def test_a_long_conversation_is_summarized_after_its_turns(tmp_path: Path) -> None:
    async with Bot(nod, store=tmp_path / "bot.db") as bot:
        for _ in range(30):
            await bot.hear(LONG, user="ada")
        await bot.settle()
        session = await bot.sessions.get_session((await session_of(bot)).id)
        context = await bot.sessions.build_context((await session_of(bot)).id)
    assert session is not None
    assert len(session.summaries) == 1
    assert context.has_summaries
    assert context.messages[0]["content"].startswith("Previous conversation summary (")


async def test_an_answer_does_not_wait_for_a_summary(tmp_path: Path) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(messages: list[dict[str, str]]) -> str:
        begun.set()
        await go_on.wait()
        return "They said much."

    async with Bot(nod, store=tmp_path / "bot.db", policy=SessionPolicy(summarize=slow)) as bot:
        while not begun.is_set():
            assert await bot.hear(LONG, user="ada") == ["ok"]
        assert await bot.hear(LONG, user="ada") == ["ok"]
        go_on.set()
        await bot.settle()
        session = await bot.sessions.get_session((await session_of(bot)).id)
    assert session is not None
    assert [summary.text for summary in session.summaries] == ["They said much."]


async def test_a_summary_that_a_stop_has_interrupted_is_written_after_the_next_turn(
    tmp_path: Path,
) -> None:
    begun = asyncio.Event()

    async def never(messages: list[dict[str, str]]) -> str:
        begun.set()
        await asyncio.Event().wait()
        return ""

    async with Bot(nod, store=tmp_path / "bot.db", policy=SessionPolicy(summarize=never)) as bot:
        while not begun.is_set():
            await bot.hear(LONG, user="ada")
        said = len(await lines(bot))
    async with Bot(nod, store=tmp_path / "bot.db") as bot:
        session = await bot.sessions.get_session((await session_of(bot)).id)
        assert session is not None
        assert session.summaries == ()
        await bot.hear("Still there?", user="ada")
        await bot.settle()
        session = await bot.sessions.get_session((await session_of(bot)).id)
        assert session is not None
        assert len(session.summaries) == 1
        assert len(await lines(bot)) == said + 2


async def test_more_people_than_may_be_in_memory_are_unloaded_and_not_refused(
    tmp_path: Path,
) -> None:
    async with Bot(count, store=tmp_path / "bot.db", policy=limited(loaded=2)) as bot:
        for user in ("ada", "bob", "cyd", "dan"):
            await bot.hear("hello", user=user)
        assert len(bot.sessions.in_memory()) == 2
        assert await bot.hear("again", user="ada") == ["turn 2"]


async def test_a_running_bot_cleans_up_what_has_expired(tmp_path: Path) -> None:
    clock = FakeClock()
    async with Bot(nod, store=tmp_path / "bot.db", clock=clock) as bot:
        await bot.hear("hello", user="ada")
        id = (await session_of(bot)).id
    clock.turn(days=8)
    async with Bot(nod, store=tmp_path / "bot.db", clock=clock) as bot:
        while (await bot.gateway.store.stats()).active:
            pass  # each look goes to the file
        await bot.hear("Good morning", user="ada")
        assert (await session_of(bot)).id != id


async def test_the_settings_say_how_sessions_are_kept(tmp_path: Path) -> None:
    settings = Settings(
        home=tmp_path,
        sessions={
            "profile": "mybot",
            "channels": {"email": "cobot"},
            "idle_after_s": "never",
            "removed_after_s": 60,
            "per_minute": 5,
            "token_limit": 8000,
            "sweep_at": "03:30",
        },
    )
    async with Bot.from_settings(settings, nod) as bot:
        policy = bot.sessions.policy
    assert policy.bot == bot.name
    assert policy.clocks == Clocks(None, 86_400, 86_400, None, 60)
    assert policy.channel_clocks["email"].anonymous_expires_after_s is None
    assert (policy.limits.per_minute, policy.limits.loaded) == (5, 1_000)
    assert policy.rules.token_limit == 8_000
    assert str(policy.sweep_at) == "03:30:00"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"profile": "mibot"}, "sessions.profile"),
        ({"idle_after_s": "soon"}, "sessions.idle_after_s"),
        ({"threshold": 70}, "sessions.threshold"),
        ({"per_minut": 5}, "per_minute"),
    ],
)
def test_a_wrong_setting_of_sessions_is_named(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        Settings(sessions=wrong)


def test_the_settings_as_they_come_are_the_policy_as_it_comes() -> None:
    assert SessionPolicy.of(Settings().sessions.given()) == SessionPolicy()


async def test_a_line_is_counted_by_the_tokenizer_of_its_session(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, sessions={"tokenizer": "rs-bpe"})
    text = "internationalization " * 5
    async with Bot.from_settings(settings, nod) as bot:
        await bot.hear(text, user="ada")
        by_name = (await session_of(bot)).totals.tokens
    async with Bot(nod, store=settings.store_url) as bot:
        await bot.hear(text, user="ada")
        assert (await session_of(bot)).totals.tokens == 2 * by_name
