"""People are taken out of a recording, and what they were told stays the same."""

import re
from dataclasses import replace
from typing import Any

from sessionbot_kit import Chat, plugin
from sessionbot_kit.renaming import pseudonyms, renamed, timeless, told_back
from sessionbot_kit.replaying import difference, replay_with
from tests.drafts import COUNTER, PIZZA, made_of, recorded


async def test_nobody_is_named_and_the_talk_is_the_same() -> None:
    recording = await recorded(made_of(COUNTER), "!count", "!count", user="Ada Lovelace")
    names = pseudonyms([recording])
    other = renamed(recording, names)
    replay = await replay_with(made_of(COUNTER), other)
    assert "Ada" not in replace(other, takes=replay.played).text()
    assert [take.result.replies[0].content for take in replay.played] == [
        "person-1 #1",
        "person-1 #2",
    ]
    for before, after in zip(recording.takes, replay.played, strict=True):
        assert difference(before, told_back(after, names)) == ""


async def test_a_dialog_keeps_its_thread() -> None:
    recording = await recorded(made_of(PIZZA), "!pizza", "green", "large")
    names = pseudonyms([recording])
    replay = await replay_with(made_of(PIZZA), renamed(recording, names))
    assert all(
        not difference(before, told_back(after, names))
        for before, after in zip(recording.takes, replay.played, strict=True)
    )
    assert {take.offer.journal[0].turn for take in replay.played[1:]} == {"turn-1"}


async def test_two_recordings_of_one_talk_are_the_same_file() -> None:
    async def file() -> str:
        recording = await recorded(made_of(PIZZA), "!pizza", "large")
        names = pseudonyms([recording])
        replay = await replay_with(made_of(PIZZA), renamed(recording, names))
        lines = [timeless(take) for take in replay.played]
        return "".join(str(line.result) for line in lines)

    first, second = await file(), await file()
    assert strip_times(first) == strip_times(second)


def strip_times(text: str) -> str:
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.+]+|'seed': \d+", "", text)


async def test_what_people_write_stays_as_it_is() -> None:
    recording = await recorded(made_of(PIZZA), "!pizza", "you", user="you")
    other = renamed(recording, pseudonyms([recording]))
    assert [take.offer.message.content for take in other.takes] == ["", "you"]
    assert {take.offer.message.sender_id for take in other.takes} == {"person-1"}


async def test_who_answers_by_who_people_are_is_noticed() -> None:
    @plugin("!door")
    async def door(message: Any, chat: Chat) -> str:
        return "Come in." if message.sender_id == "ada" else "Who are you?"

    recording = await recorded(door, "!door")
    names = pseudonyms([recording])
    replay = await replay_with(door, renamed(recording, names))
    assert difference(recording.takes[0], told_back(replay.played[0], names)) != ""
