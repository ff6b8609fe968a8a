"""What we say, and how long texts are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.channels.session_messenger import compose
from sessionbot_kit.channels.session_messenger.content import AttachmentPointer, Content
from sessionbot_kit.channels.session_messenger.envelope import Opened, pack
from sessionbot_kit.channels.session_messenger.events import (
    Approved,
    Event,
    MessageId,
    Reacted,
    ReadSeen,
    Said,
    TypingSeen,
    Unsent,
    understand,
)
from sessionbot_kit.channels.session_messenger.identity import Identity
from sessionbot_kit.errors import UsageError

from .vectors import KEYS

NOW = 1767225600000
ADA, BOB = (keys["session_id"] for keys in KEYS[:2])
HERS, HIS = MessageId(ADA, 5), MessageId(BOB, 6)

SAYINGS: list[tuple[Content, Event]] = [
    (compose.say("Hi", timestamp=NOW, name="Ada"), Said(MessageId(ADA, NOW), "Ada", "Hi")),
    (
        compose.say("Hi", timestamp=NOW, quote=HIS, attachments=[AttachmentPointer(id=1)]),
        Said(MessageId(ADA, NOW), "(0548...2c69)", "Hi", HIS, (AttachmentPointer(id=1),)),
    ),
    (
        compose.react(HIS, "👍", timestamp=NOW),
        Reacted(MessageId(ADA, NOW), HIS, "👍", removed=False),
    ),
    (
        compose.react(HIS, "👍", timestamp=NOW, remove=True),
        Reacted(MessageId(ADA, NOW), HIS, "👍", removed=True),
    ),
    (compose.typing(True, timestamp=NOW), TypingSeen(ADA, started=True)),
    (compose.typing(False, timestamp=NOW), TypingSeen(ADA, started=False)),
    (compose.have_read([HIS], timestamp=NOW), ReadSeen(ADA, (HIS,))),
    (compose.unsend(HERS, timestamp=NOW), Unsent(HERS)),
    (compose.approve(timestamp=NOW, name="Ada"), Approved(ADA, "Ada", yes=True)),
]


@pytest.mark.parametrize(("content", "event"), SAYINGS)
def test_what_we_say_is_understood_as_we_meant_it(content: Content, event: Event) -> None:
    opened = Opened(sender=ADA, content=content, envelope_time=0, fingerprint=b"")
    assert understand(opened, me=BOB, now=NOW) == event


@pytest.mark.parametrize(("content", "event"), SAYINGS)
def test_everything_we_say_carries_its_time_inside_the_signature(
    content: Content, event: Event
) -> None:
    assert content.sig_timestamp == NOW


@given(st.text(max_size=300), st.integers(4, 60))
def test_the_parts_of_a_text_make_up_the_text_and_fit(text: str, limit: int) -> None:
    parts = compose.split_bytes(text, limit)
    assert "".join(parts) == text
    assert all(len(part.encode("utf-8", "replace")) <= limit for part in parts)
    assert all(parts) or parts == [""]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("one two three\n\nfour five", "one two three\n\n"),
        ("one two three\nfour five six", "one two three\n"),
        ("one two three four five six", "one two three four "),
        ("onetwothreefourfivesixseven", "onetwothreefourfives"),
        ("a bcdefghijklmnopqrstuvwxyz", "a bcdefghijklmnopqrs"),
    ],
)
def test_a_text_is_cut_at_a_good_place(text: str, first: str) -> None:
    assert compose.split_bytes(text, 20)[0] == first


def test_a_text_is_not_cut_into_nothing() -> None:
    with pytest.raises(UsageError, match="leave room"):
        compose.split_bytes("text", 3)


def test_a_character_is_never_cut_in_two() -> None:
    assert compose.split_bytes("😀😀😀", 7) == ["😀", "😀", "😀"]


@given(st.integers(76_300, 76_600), st.sampled_from(["x", "é", "😀"]), st.text(max_size=60))
def test_every_part_of_a_long_text_fits_a_record(size: int, letter: str, name: str) -> None:
    ada = Identity(bytes(16))
    frame = compose.say("", timestamp=NOW, name=name, quote=HIS)
    for part in compose.split(letter * (size // len(letter.encode())), frame):
        content = compose.say(part, timestamp=NOW, name=name, quote=HIS)
        assert pack(content, sender=ada, recipient=BOB, timestamp=NOW)
