"""A recording is played again: the same code does the same, other code is seen to differ."""

import random
from dataclasses import replace
from typing import Any

import pytest

from sessionbot_kit import Bot, Chat, plugin
from sessionbot_kit.replaying import replay_with
from tests.drafts import COUNTER, PIZZA, greet, made_of, recorded


async def test_the_same_code_does_the_same() -> None:
    recording = await recorded(made_of(PIZZA), "!pizza", "green", "large", "!pizza", "small")
    replay = await replay_with(made_of(PIZZA), recording)
    assert replay.same
    assert "5 turns, all of them the same" in repr(replay)


async def test_what_was_done_once_is_not_done_again() -> None:
    recording = await recorded(made_of(PIZZA), "!pizza", "large")
    again = made_of(PIZZA)
    assert (await replay_with(again, recording)).same
    assert again.answer.__globals__["ovens"] == []  # type: ignore[attr-defined]  # of the cell


async def test_a_version_is_played_from_the_state_that_it_began_with() -> None:
    async with Bot(made_of(COUNTER)) as bot:
        await bot.hear("!count")
        await bot.add(made_of(COUNTER))
        await bot.hear("!count")
        recording = bot.recordings("counter")[-1]
    assert (await replay_with(made_of(COUNTER), recording)).same
    cold = await replay_with(made_of(COUNTER), replace(recording, handed=None))
    assert cold.differences == ("turn 1 (!count): said 'you #2'; now 'you #1'",)


@pytest.mark.parametrize(
    ("old", "new", "how"),
    [
        (
            "is in oven",
            "waits in oven",
            "said 'Large pizza 1 is in oven 1.'; now 'Large pizza 1 waits in oven 1.'",
        ),
        ("+ 1\n", "+ 1; chat.vars['x'] = 1\n", "variable x was not there; now 1"),
        (
            'once("order", order)',
            'once("order", order); await chat.say("Hm.")',
            "said 'Large pizza 1 is in oven 1.'; now 'Hm.' and 'Large pizza 1 is in oven 1.'",
        ),
        ('once("order", order)', 'once("order", order); await chat.history()', ""),
        (
            'once("order", order)',
            'once("place", order)',
            "took the steps once order; now once place",
        ),
        (
            "    return f",
            "    1 / 0\n    return f",
            "was fine; now failed with ZeroDivisionError: division by zero",
        ),
    ],
)
async def test_other_code_is_seen_to_differ(old: str, new: str, how: str) -> None:
    recording = await recorded(made_of(PIZZA), "!pizza", "large")
    replay = await replay_with(made_of(PIZZA.replace(old, new)), recording)
    assert replay.differences == ((f"turn 2 (large): {how}",) if how else ())


async def test_a_question_that_is_asked_no_more_is_a_difference() -> None:
    @plugin("!pizza", id="pizza")
    async def quick(chat: Chat) -> str:
        return "Small or large?"

    recording = await recorded(made_of(PIZZA), "!pizza")
    replay = await replay_with(quick, recording)
    assert not replay.same


async def test_an_error_is_the_same_wherever_its_line_stands() -> None:
    broken = PIZZA.replace("    return f", "    raise ValueError('no')\n    return f")
    recording = await recorded(made_of(broken), "!pizza", "large")
    assert (await replay_with(made_of("\n\n" + broken), recording)).same


async def test_what_failed_outside_fails_again() -> None:
    failing = PIZZA.replace("    ovens.append(1)", "    raise OSError('the oven is off')")
    recording = await recorded(made_of(failing), "!pizza", "large")
    assert "OSError" in str(recording.takes[1].result.error)
    assert (await replay_with(made_of(failing), recording)).same


async def test_chance_of_its_own_differs_and_that_of_the_chat_does_not() -> None:
    def dice(draw: Any) -> Any:
        @plugin("!roll", id="dice")
        async def dice(chat: Chat) -> str:
            return str(draw(chat).randrange(10**12))

        return dice

    own, lent = dice(lambda chat: random.SystemRandom()), dice(lambda chat: chat.random)
    assert not (await replay_with(own, await recorded(own, "!roll"))).same
    assert (await replay_with(lent, await recorded(lent, "!roll"))).same


async def test_a_replay_is_read_as_a_table() -> None:
    recording = await recorded(greet, "!greet Bob")

    @plugin("!greet", id="greet", version="1")
    async def other(message: Any) -> str:
        return f"Hi, {message.content}!"

    replay = await replay_with(other, recording)
    assert repr(replay).splitlines() == [
        "Replay of greet",
        "turn  heard       said by 0    says 1",
        "────  ──────────  ───────────  ────────",
        "   1  !greet Bob  Hello, Bob!  Hi, Bob!",
        "turn 1 (!greet Bob): said 'Hello, Bob!'; now 'Hi, Bob!'",
    ]
    assert "<caption>Replay of greet</caption>" in replay._repr_mimebundle_()["text/html"]
