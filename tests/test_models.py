from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.errors import MessageError
from sessionbot_kit.models import (
    IncomingMessage,
    Media,
    OutgoingMessage,
    SendResult,
    StoredMessage,
    mend_text,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def incoming(**changes: Any) -> IncomingMessage:
    fields: dict[str, Any] = {
        "id": "1",
        "channel_type": "loopback",
        "channel_id": "room",
        "sender_id": "ada",
        "sender_name": "Ada",
        "content": "hello",
        "timestamp": NOON,
    }
    return IncomingMessage(**fields | changes)


def refusal(**changes: Any) -> str:
    with pytest.raises(MessageError) as refused:
        incoming(**changes)
    return str(refused.value)


def test_a_naive_timestamp_is_refused_with_what_to_write() -> None:
    assert refusal(timestamp=datetime(2026, 1, 1)) == (
        "IncomingMessage cannot be made: timestamp: 2026-01-01T00:00:00 has no time zone; "
        "write datetime.now(UTC) or .astimezone(UTC)"
    )


def test_a_timestamp_from_elsewhere_becomes_utc() -> None:
    tokyo = timezone(timedelta(hours=9))
    message = incoming(timestamp=datetime(2026, 1, 1, 21, tzinfo=tokyo))
    assert message.timestamp == NOON
    assert message.timestamp.tzinfo == UTC


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("", "is empty; give the id that the platform uses"),
        ("   ", "is empty; give the id that the platform uses"),
        ("a\nb", "'a\\nb' has control characters; an id is printable text"),
        ("x" * 513, "has 513 characters; an id has at most 512"),
    ],
)
def test_a_bad_channel_id_is_refused_with_the_reason(bad: str, why: str) -> None:
    assert refusal(channel_id=bad) == f"IncomingMessage cannot be made: channel_id: {why}"


def test_a_number_is_taken_for_an_id_and_a_truth_value_is_not() -> None:
    assert incoming(channel_id=42).channel_id == "42"
    assert "channel_id" in refusal(channel_id=True)


def test_every_wrong_field_is_named_at_once() -> None:
    said = refusal(channel_id="", timestamp=datetime(2026, 1, 1), color="red")
    assert "channel_id: " in said
    assert "timestamp: " in said
    assert "color: " in said


def test_empty_content_and_a_megabyte_are_messages_too() -> None:
    assert incoming(content="").content == ""
    assert len(incoming(content="x" * 1_000_000).content) == 1_000_000


def test_a_surrogate_pair_that_was_cut_is_joined() -> None:
    assert incoming(content="\ud83d\ude00").content == "\N{GRINNING FACE}"


def test_a_lone_surrogate_becomes_the_replacement_character() -> None:
    assert incoming(content="a\ud83db").content == "a\N{REPLACEMENT CHARACTER}b"


@given(st.text(alphabet=st.characters(), max_size=200))
def test_mended_text_can_always_be_written(text: str) -> None:
    mended = mend_text(text)
    assert mended.encode().decode() == mended


@given(st.text(max_size=200))
def test_text_without_a_fault_is_left_as_it_is(text: str) -> None:
    assert mend_text(text) == text


def test_none_is_taken_for_no_media_and_no_metadata() -> None:
    message = incoming(media=None, metadata=None)
    assert (message.media, message.metadata) == ((), {})


def test_a_message_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        incoming().content = "changed"  # type: ignore[misc]  # the point of the test


def test_a_message_survives_json() -> None:
    message = incoming(media=(Media.from_bytes(b"\xff\x00", name="a.png"),), metadata={"n": [1]})
    assert IncomingMessage.model_validate_json(message.model_dump_json()) == message


def test_a_reply_goes_back_to_where_the_message_came_from() -> None:
    reply = incoming(account="second").reply("hi")
    assert (reply.channel_type, reply.account, reply.channel_id) == ("loopback", "second", "room")
    assert (reply.content, reply.reply_to) == ("hi", "1")


def test_a_reply_may_quote_nobody() -> None:
    assert incoming().reply("hi", reply_to=None).reply_to is None


def test_the_bytes_of_a_file_are_not_in_its_repr() -> None:
    assert "secret" not in repr(Media.from_bytes(b"secret", name="a.txt"))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.png", "image"), ("a.mp3", "audio"), ("a.mp4", "video"), ("a.pdf", "file"), ("a", "file")],
)
def test_a_file_knows_its_kind_by_its_name(name: str, kind: str) -> None:
    assert Media.from_bytes(b"", name=name).kind == kind


def test_a_file_is_read_from_disk(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_bytes(b"hello")
    media = Media.from_path(path, caption="a note")
    assert (media.name, media.size, media.read(), media.caption) == (
        "note.txt", 5, b"hello", "a note",
    )  # fmt: skip
    assert Media(path=path).read() == b"hello"


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.truncate(10_000_001)
    with pytest.raises(MessageError, match=r"large\.bin has 10,000,001 bytes; a file may have"):
        Media.from_path(path)


@given(st.binary(max_size=200))
def test_base64_goes_there_and_back(data: bytes) -> None:
    text = Media.from_bytes(data, name="a").to_base64()
    assert Media.from_base64(text, name="a").read() == data


def test_what_is_not_base64_is_refused_by_name() -> None:
    with pytest.raises(MessageError, match=r"a\.png is not base64"):
        Media.from_base64("???", name="a.png")


def test_media_without_content_is_refused() -> None:
    with pytest.raises(MessageError, match="media has no content; give data, path, url or sha256"):
        Media(name="a.png")


def test_media_that_lies_about_its_size_is_refused() -> None:
    with pytest.raises(MessageError, match="size says 3 bytes and data has 2"):
        Media(data=b"ab", size=3)


def test_media_elsewhere_has_no_bytes_here() -> None:
    with pytest.raises(MessageError, match=r"the bytes of a\.png are not here; fetch them first"):
        Media(url="https://example.org/a.png", name="a.png").read()


def test_a_result_is_true_when_it_was_sent() -> None:
    assert SendResult(ok=True)
    assert not SendResult(ok=False, error="away")


def test_the_fields_of_messages_have_the_names_and_order_that_people_know() -> None:
    assert list(IncomingMessage.model_fields) == [
        "id", "channel_type", "channel_id", "sender_id", "sender_name", "content", "timestamp",
        "reply_to", "media", "metadata", "account", "raw_content",
    ]  # fmt: skip
    assert list(OutgoingMessage.model_fields)[:6] == [
        "channel_type", "channel_id", "content", "reply_to", "media", "metadata",
    ]  # fmt: skip


def test_a_stored_message_knows_four_roles() -> None:
    with pytest.raises(MessageError, match="role"):
        StoredMessage(session_id="s", seq=1, role="robot", content="", timestamp=NOON)
