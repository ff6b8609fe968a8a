"""One channel as seen by whoever has something to say."""

from typing import Any

import pytest

from sessionbot_kit.extension import PluginMeta
from sessionbot_kit.models import Act, Media, OutgoingMessage, SendResult
from sessionbot_kit.outlet import Outlet

NO = SendResult(ok=False, error="not now")
CAT = Media.from_bytes(b"meow", name="cat.png")


class Pigeon:
    """Carries what fits on a small piece of paper."""

    max_chars = 10

    def __init__(self, *verbs: str) -> None:
        self.flights: list[tuple[Any, ...]] = []
        self.answers: list[Any] = []
        points = {f"session.{verb}": verb for verb in ("send", *verbs)}
        self.meta = PluginMeta(id="pigeon", implements=points)

    async def send(self, message: OutgoingMessage) -> Any:
        self.flights.append(("send", message.id, message.content))
        return self._answer()

    async def edit(self, chat: str, id: str, content: str) -> Any:
        self.flights.append(("edit", id, content))
        return self._answer()

    async def delete(self, chat: str, id: str) -> Any:
        self.flights.append(("delete", id))
        return self._answer()

    def _answer(self) -> Any:
        if self.answers:
            return self.answers.pop(0)
        return SendResult(ok=True, ids=(f"p{len(self.flights)}",))


def say(content: str, **more: Any) -> OutgoingMessage:
    message = {"channel_type": "pigeon", "channel_id": "ada", "id": "t/0", **more}
    return OutgoingMessage(content=content, **message)


def edit(content: str) -> OutgoingMessage:
    return say(content, act=Act(verb="edit", target="t/9"))


DELETE = say("", act=Act(verb="delete", target="t/9"))


async def test_a_long_text_goes_in_parts_that_have_names_of_their_own() -> None:
    pigeon = Pigeon()
    result = await Outlet(pigeon).send(say("eighteen letters ab"))
    assert pigeon.flights == [("send", "t/0.0", "eighteen "), ("send", "t/0.1", "letters ab")]
    assert result.ids == ("p1", "p2")
    assert result.fallback == "send: the text went in 2 parts"


async def test_a_part_that_was_sent_is_not_sent_again() -> None:
    pigeon = Pigeon()
    outlet = Outlet(pigeon)
    pigeon.answers = [SendResult(ok=True, ids=("p1",)), NO]
    assert await outlet.send(say("eighteen letters ab")) == NO
    result = await outlet.send(say("eighteen letters ab"))
    assert [flight[1] for flight in pigeon.flights] == ["t/0.0", "t/0.1", "t/0.1"]
    assert result.ids == ("p1", "p3")


async def test_files_that_cannot_be_sent_are_named_below_the_words() -> None:
    pigeon = Pigeon()
    pigeon.max_chars = 100
    result = await Outlet(pigeon).send(say("Look", media=(CAT,)))
    assert pigeon.flights == [("send", "t/0", "Look\n[cat.png, 4 bytes]")]
    assert result.fallback == "media: the files are named in the text"


async def test_an_edit_that_is_longer_than_a_message_goes_on_in_a_new_one() -> None:
    pigeon = Pigeon("edit")
    result = await Outlet(pigeon).send(edit("eighteen letters ab"), ("p7",))
    assert pigeon.flights == [("edit", "p7", "eighteen "), ("send", "t/0", "letters ab")]
    assert result.ids == ("p1", "p2")


async def test_an_edit_of_a_message_in_parts_leaves_one() -> None:
    pigeon = Pigeon("edit", "delete")
    assert await Outlet(pigeon).send(edit("short"), ("p7", "p8"))
    assert pigeon.flights == [("edit", "p7", "short"), ("delete", "p8")]


async def test_what_was_never_named_cannot_be_edited_and_is_said_again() -> None:
    pigeon = Pigeon("edit")
    result = await Outlet(pigeon).send(edit("b"), ())
    assert pigeon.flights == [("send", "t/0", "(edited) b")]
    assert result.fallback == "edit: said again, as a new message"


async def test_what_cannot_be_deleted_is_blanked_and_the_result_says_so() -> None:
    pigeon = Pigeon("edit")
    result = await Outlet(pigeon).send(DELETE, ("p7",))
    assert pigeon.flights == [("edit", "p7", "(deleted)")]
    assert result.fallback == "delete: the text is (deleted) now"


async def test_an_act_that_fails_is_a_failure() -> None:
    pigeon = Pigeon("edit", "delete")
    pigeon.answers = [NO, SendResult(ok=True), NO]
    assert await Outlet(pigeon).send(edit("b"), ("p7",)) == NO
    assert await Outlet(pigeon).send(DELETE, ("p7", "p8")) == NO


async def test_a_channel_that_returns_nothing_is_not_asked_again() -> None:
    pigeon = Pigeon()
    pigeon.answers = [None]
    result = await Outlet(pigeon).send(say("hello"))
    assert result.permanent
    assert result.error == "pigeon returned NoneType; return a SendResult or a bool"


@pytest.mark.parametrize("answer", [True, False])
async def test_a_truth_value_is_an_answer(answer: bool) -> None:
    pigeon = Pigeon()
    pigeon.answers = [answer]
    assert (await Outlet(pigeon).send(say("hello"))).ok is answer


async def test_who_cannot_send_says_so() -> None:
    class Mute:
        meta = PluginMeta(id="mute")

    result = await Outlet(Mute()).send(say("hello"))
    assert (result.permanent, result.error) == (True, "mute cannot send; implement session.send")


async def test_what_was_given_up_in_parts_is_forgotten_in_the_end() -> None:
    pigeon = Pigeon()
    outlet = Outlet(pigeon)
    for number in range(1_010):
        pigeon.answers = [SendResult(ok=True), NO]
        await outlet.send(say("eighteen letters ab", id=f"t{number}/0"))
    assert len(outlet._done) == 1_000
