"""A recording holds each turn whole, and only those that may be kept."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from sessionbot_kit import Bot, Media
from sessionbot_kit.errors import UsageError
from sessionbot_kit.handover import Handed
from sessionbot_kit.models import IncomingMessage
from sessionbot_kit.plugins import echo
from sessionbot_kit.recording import Recorder, Recording, What, line_of, take_of
from tests.drafts import COUNTER, PIZZA, greet, made_of, recorded
from tests.versions import idle


async def test_a_turn_is_recorded_with_its_message_its_journal_and_what_came_of_it() -> None:
    recording = await recorded(made_of(PIZZA), "!pizza", "large")
    asked, answered = recording.takes
    assert asked.result.asks
    assert [entry.kind for entry in answered.offer.journal] == ["begin", "ask"]
    assert answered.steps[0].entries[-1].value == 1
    assert answered.result.replies[0].content == "Large pizza 1 is in oven 1."
    assert answered.offer.seed != asked.offer.seed


async def test_a_recording_is_lines_of_json_that_come_back_as_they_were(tmp_path: Path) -> None:
    recording = await recorded(made_of(PIZZA), "!pizza", "large", "!pizza")
    recording.save(tmp_path / "pizza.jsonl")
    assert Recording.load(tmp_path / "pizza.jsonl") == recording
    assert len((tmp_path / "pizza.jsonl").read_text().splitlines()) == 4
    assert repr(recording) == f"recording of pizza {recording.version[:12]}: 3 turns"


@pytest.mark.parametrize(
    "text", ["", "no json", "[]", "{}", '{"recording": 2}', '{"recording": 1}', '{"recording": []}']
)
def test_what_is_no_recording_is_refused_with_its_name(text: str) -> None:
    with pytest.raises(UsageError, match=r"talk.jsonl is not a recording: .*; record it anew"):
        Recording.read(text, "talk.jsonl")


async def test_a_line_that_was_tampered_with_is_refused_with_its_place() -> None:
    text = (await recorded(greet, "!greet")).text().replace('"turn":"', '"turn":7,"x":"')
    with pytest.raises(UsageError, match=r"not a recording: offer.turn: .*valid string"):
        Recording.read(text)


async def test_each_version_has_a_recording_that_begins_with_the_state_it_was_handed() -> None:
    async with Bot(made_of(COUNTER)) as bot:
        await bot.hear("!count")
        await bot.hear("!count")
        await bot.add(made_of(COUNTER.replace("STEP = 1", "STEP = 10")))
        await bot.hear("!count")
        old, new = bot.recordings("counter")
    assert (old.handed, len(old.takes)) == (None, 2)
    assert (new.handed, len(new.takes)) == (Handed({"n": 2}, "0"), 1)
    assert new.takes[0].result.replies[0].content == "you #12"


async def test_a_version_that_is_replaced_is_held_by_nobody() -> None:
    async with Bot(made_of(COUNTER)) as bot:
        for _ in range(12):
            await bot.add(made_of(COUNTER))
        await idle(bot)
        assert len(bot.recordings("counter")) == 10
        held = [one.plugin for one in bot.kernel.recorder._generations["counter"]]
        assert [one is None for one in held] == [True] * 9 + [False]


async def test_by_default_only_drafts_are_recorded() -> None:
    async with Bot(echo, made_of(PIZZA)) as bot:
        await bot.hear("!echo hello")
        await bot.hear("!pizza")
        assert bot.recordings("echo") == ()
        assert len(bot.recordings("pizza")[0].takes) == 1


@pytest.mark.parametrize(("what", "kept"), [("own", 1), ("all", 2), ("nothing", 0)])
async def test_chats_of_real_people_are_recorded_only_when_that_is_asked_for(
    what: What, kept: int
) -> None:
    recorder = Recorder(what)
    recorder.begin(greet)
    (take,) = (await recorded(greet, "!greet")).takes
    message: IncomingMessage = take.offer.message
    for channel in ("loopback", "telegram"):
        offer = replace(take.offer, message=message.model_copy(update={"channel_type": channel}))
        recorder.note(greet, offer, take.steps, take.result)
    assert sum(len(one.takes) for one in recorder.recordings("greet")) == kept


def test_a_misspelled_wish_is_refused() -> None:
    with pytest.raises(UsageError, match="record='everything'; write drafts, own, all or nothing"):
        Recorder("everything")  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize("limits", [{"max_turns": 2}, {"max_bytes": 1_000}])
async def test_a_full_recording_keeps_its_beginning_and_says_so_once(
    limits: dict[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder("own", **limits)
    recorder.begin(greet)
    (take,) = (await recorded(greet, "!greet")).takes
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            recorder.note(greet, take.offer, take.steps, take.result)
    assert len(recorder.recordings("greet")[0].takes) <= 2
    assert [line.msg for line in caplog.records].count(
        "recording is full, later turns are not recorded"
    ) == 1


async def test_somebody_who_is_forgotten_is_in_no_recording() -> None:
    async with Bot(made_of(PIZZA)) as bot:
        await bot.hear("!pizza", user="ada")
        await bot.hear("!pizza", user="bob")
        await bot.sessions.erase("ada")
        (recording,) = bot.recordings("pizza")
    assert recording.people == ("bob",)
    assert '"ada"' not in recording.text()


async def test_a_recording_knows_its_people_and_the_channels_that_are_not_its_owners() -> None:
    recording = await recorded(greet, "!greet", "!greet", user="ada")
    assert (recording.people, recording.strangers) == (("ada",), ())
    (take, _) = recording.takes
    far = take.offer.message.model_copy(update={"channel_type": "telegram"})
    other = replace(recording, takes=(replace(take, offer=replace(take.offer, message=far)),))
    assert other.strangers == ("telegram",)


async def test_media_come_back_byte_for_byte() -> None:
    (take,) = (await recorded(greet, "!greet")).takes
    file = Media.from_bytes(bytes(range(256)), name="a.bin")
    message = take.offer.message.model_copy(update={"media": (file,)})
    take = replace(take, offer=replace(take.offer, message=message))
    assert take_of(line_of(take)) == take


async def test_an_error_with_half_a_character_ends_its_turn_as_any_other() -> None:
    odd = made_of(PIZZA.replace("    size =", "    raise ValueError('\\ud800')\n    size ="))
    async with Bot(odd) as bot:
        (answer,) = await bot.hear("!pizza")
        assert answer.startswith("Sorry")
        (take,) = bot.recordings("pizza")[0].takes
    assert str(take.result.error).startswith("ValueError: \ufffd (draft@")


async def test_what_cannot_be_written_down_harms_no_turn(caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder("own")
    recorder.begin(greet)
    (take,) = (await recorded(greet, "!greet")).takes
    recorder.note(greet, take.offer, take.steps, replace(take.result, error="\ud800"))
    assert recorder.recordings("greet")[0].takes == ()
    assert "turn not recorded" in caplog.messages
