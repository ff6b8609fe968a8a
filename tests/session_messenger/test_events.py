"""What an opened record means, and who may say what."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.channels.session_messenger import compose
from sessionbot_kit.channels.session_messenger.content import (
    AttachmentPointer,
    Content,
    DataMessage,
    Profile,
    Quote,
    Reaction,
    Receipt,
    RequestResponse,
    Typing,
    Unsend,
)
from sessionbot_kit.channels.session_messenger.envelope import Opened, unpack
from sessionbot_kit.channels.session_messenger.events import (
    DAY_MS,
    Approved,
    Expiry,
    MessageId,
    Passed,
    ReadSeen,
    Said,
    TypingSeen,
    Unsent,
    understand,
)
from sessionbot_kit.channels.session_messenger.events import Reacted as ReactedTo
from sessionbot_kit.channels.session_messenger.identity import Identity
from sessionbot_kit.errors import MessageError, RecordError

from .vectors import KEYS, recorded

NOW = 1767225600000
ADA, BOB, EVE = (keys["session_id"] for keys in KEYS[:3])


def from_ada(content: Content, *, now: int = NOW) -> Any:
    opened = Opened(sender=ADA, content=content, envelope_time=NOW, fingerprint=b"")
    return understand(opened, me=BOB, now=now)


def data(**fields: Any) -> Content:
    return Content(data=DataMessage(**{"timestamp": NOW, **fields}))


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("text_ascii", Said(MessageId(ADA, NOW), "(0548...2c69)", "Hello, Bob")),
        ("typing_start", TypingSeen(ADA, started=True)),
        ("typing_stop", TypingSeen(ADA, started=False)),
        ("read_receipt", ReadSeen(ADA, (MessageId(BOB, NOW + 1), MessageId(BOB, NOW + 2)))),
        (
            "reaction_remove",
            ReactedTo(MessageId(ADA, NOW + 86), MessageId(BOB, NOW + 1), "😂", removed=True),
        ),
        ("accept_request", Approved(ADA, "(0548...2c69)", yes=True)),
        ("unsend", Unsent(MessageId(ADA, NOW + 171))),
        ("screenshot", Passed(ADA, "nothing in it that a bot understands")),
    ],
)
def test_a_recorded_message_means_what_its_sender_meant(
    name: str, event: object, bob: Identity
) -> None:
    assert understand(unpack(recorded(name), bob), me=BOB, now=NOW) == event


def test_a_recorded_quote_names_the_message_that_it_answers(bob: Identity) -> None:
    event = understand(unpack(recorded("reply_quote"), bob), me=BOB, now=NOW)
    assert isinstance(event, Said)
    assert event.quote == MessageId(BOB, NOW)


def test_a_recorded_attachment_comes_with_its_message(bob: Identity) -> None:
    event = understand(unpack(recorded("voice"), bob), me=BOB, now=NOW)
    assert isinstance(event, Said)
    assert (event.text, event.attachments[0].content_type) == ("", "audio/ogg")


def test_a_copy_for_our_own_devices_is_passed_over(ada: Identity) -> None:
    event = understand(unpack(recorded("text_ascii-own-copy"), ada), me=ADA, now=NOW)
    assert event == Passed(ADA, "it is our own")


def test_a_bot_does_not_answer_itself() -> None:
    opened = Opened(sender=BOB, content=data(body="echo"), envelope_time=NOW, fingerprint=b"")
    assert isinstance(understand(opened, me=BOB, now=NOW), Passed)


@pytest.mark.parametrize("target", [BOB, EVE, ""])
def test_a_sync_target_from_a_stranger_is_refused(target: str) -> None:
    with pytest.raises(RecordError, match="said to have written"):
        from_ada(data(body="I never wrote this", sync_target=target))


@pytest.mark.parametrize("author", [BOB, EVE, "", None, "x" * 66])
def test_an_unsend_by_somebody_who_is_not_the_author_is_refused(author: str | None) -> None:
    with pytest.raises(RecordError, match="only the author may"):
        from_ada(Content(unsend=Unsend(timestamp=NOW, author=author)))


def test_an_unsend_of_no_message_is_refused() -> None:
    with pytest.raises(RecordError, match="only the author may"):
        from_ada(Content(unsend=Unsend(author=ADA)))


@pytest.mark.parametrize("content", [data(body="x"), Content(sig_timestamp=NOW)])
def test_a_record_older_than_any_swarm_keeps_it_is_a_replay(content: Content) -> None:
    assert from_ada(content, now=NOW + 15 * DAY_MS)
    with pytest.raises(RecordError, match="plays it back"):
        from_ada(content, now=NOW + 15 * DAY_MS + 1)


def test_a_record_from_the_day_after_tomorrow_is_refused() -> None:
    assert from_ada(data(body="x"), now=NOW - DAY_MS)
    with pytest.raises(RecordError, match="clock is wrong"):
        from_ada(data(body="x"), now=NOW - DAY_MS - 1)


def test_a_message_is_named_by_its_signed_time_and_not_by_the_envelope() -> None:
    said = data(body="x", timestamp=NOW - 5)
    opened = Opened(sender=ADA, content=said, envelope_time=NOW + 99, fingerprint=b"")
    event = understand(opened, me=BOB, now=NOW)
    assert isinstance(event, Said)
    assert event.id == MessageId(ADA, NOW - 5)


def test_the_signature_time_stands_in_for_a_missing_message_time() -> None:
    content = Content(data=DataMessage(body="x"), sig_timestamp=NOW - 1)
    assert from_ada(content).id == MessageId(ADA, NOW - 1)


def test_a_message_without_any_signed_time_is_refused() -> None:
    with pytest.raises(RecordError, match="without a signed time"):
        from_ada(Content(data=DataMessage(body="x")))


def test_an_old_typing_sign_is_passed_over() -> None:
    content = Content(typing=Typing(timestamp=NOW, action=0))
    assert from_ada(content, now=NOW + 60_001) == Passed(ADA, "a typing sign that is over")


@pytest.mark.parametrize(
    "reaction",
    [
        Reaction(id=NOW, author=EVE, emoji="x"),
        Reaction(author=BOB, emoji="x"),
        Reaction(id=NOW, author=BOB, emoji=" "),
        Reaction(id=NOW, author=BOB, emoji="x" * 33),
        Reaction(id=NOW, author=BOB),
    ],
)
def test_a_reaction_that_names_nothing_is_passed_over(reaction: Reaction) -> None:
    assert isinstance(from_ada(data(reaction=reaction)), Passed)


def test_a_quote_of_a_third_person_is_left_away() -> None:
    assert from_ada(data(body="x", quote=Quote(id=NOW, author=EVE))).quote is None


@pytest.mark.parametrize("content", [data(), Content(receipt=Receipt(type=0)), Content()])
def test_what_says_nothing_is_passed_over(content: Content) -> None:
    assert isinstance(from_ada(content), Passed)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Ada", "Ada"),
        (" A\n\tda ", "A da"),
        ("A\u202eda\u200b\x00", "A da"),
        ("x" * 500, "x" * 100),
        ("\n", "(0548...2c69)"),
        ("", "(0548...2c69)"),
        (None, "(0548...2c69)"),
    ],
)
def test_a_name_is_one_plain_line(name: str | None, shown: str) -> None:
    assert from_ada(data(body="x", profile=Profile(display_name=name))).name == shown
    response = RequestResponse(is_approved=True, profile=Profile(display_name=name))
    assert from_ada(Content(request_response=response)) == Approved(ADA, shown, yes=True)


def test_a_message_that_disappears_says_when() -> None:
    content = Content(data=DataMessage(body="x", timestamp=NOW), expiration_type=2)
    assert from_ada(content).expiry is None
    content = compose.say("x", timestamp=NOW, expiry=Expiry(2, 60))
    assert from_ada(content).expiry == Expiry(2, 60)
    assert from_ada(data(body="x", expire_timer=30)).expiry == Expiry(1, 30)


def test_no_more_than_32_files_come_with_a_message() -> None:
    pointers = tuple(AttachmentPointer(id=n) for n in range(40))
    assert len(from_ada(data(attachments=pointers)).attachments) == 32


def test_a_message_id_is_written_and_read() -> None:
    assert MessageId.parse(str(MessageId(ADA, NOW))) == MessageId(ADA, NOW)


@given(st.text())
def test_any_text_is_a_message_id_or_is_refused(text: str) -> None:
    with suppress(MessageError):
        assert str(MessageId.parse(text)) == text


@pytest.mark.parametrize("text", [f"{ADA}:0", f"{ADA}", f"{ADA}:1x", f"{ADA}:\u0661"])
def test_what_names_no_message_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(MessageError, match="names no message"):
        MessageId.parse(text)
