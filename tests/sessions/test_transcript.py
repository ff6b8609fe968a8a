"""A conversation as a text file."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.context import Summary
from sessionbot_kit.errors import UsageError
from sessionbot_kit.models import Media, Role, Session, SessionKey, StoredMessage
from sessionbot_kit.sessions.transcript import Transcript, read_transcript, written

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def line(seq: int, role: Role, content: str, **more: Any) -> StoredMessage:
    return StoredMessage(
        session_id="s1",
        seq=seq,
        role=role,
        content=content,
        timestamp=NOW + timedelta(minutes=seq),
        **more,
    )


TALK = Transcript(
    Session(
        id="s1",
        seq=7,
        key=SessionKey("pizza", "web", "c1", "ada"),
        variables={"size": "large"},
        created_at=NOW,
        last_activity=NOW,
    ),
    (
        line(1, "user", "!pizza\nlarge", tokens=3),
        line(2, "assistant", "Here **it** is.", media=(Media(data=b"\x89", name="pizza.png"),)),
        line(3, "tool", "oven: 300"),
    ),
    (Summary(1, 1, "They met.", 3, 1, 1, NOW),),
)


def test_a_text_is_for_people() -> None:
    assert written(TALK, "txt") == (
        "Conversation 7 of ada with pizza on web\n\n"
        "[2026-01-02 03:05:05 UTC] User: !pizza\n    large\n"
        "[2026-01-02 03:06:05 UTC] Bot: Here **it** is. [file: pizza.png]\n"
        "[2026-01-02 03:07:05 UTC] Tool: oven: 300\n"
    )


def test_markdown_quotes_what_was_said() -> None:
    assert written(TALK, "md").startswith(
        "# Conversation 7 of ada with pizza on web\n\n"
        "**User** · 2026-01-02 03:05:05 UTC\n\n> !pizza\n> large\n\n"
        "**Bot** · 2026-01-02 03:06:05 UTC [file: pizza.png]\n\n> Here **it** is.\n"
    )


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_json_comes_back_whole(form: Any) -> None:
    assert read_transcript(written(TALK, form)) == TALK


def test_json_lines_have_the_session_first_and_then_a_message_a_line() -> None:
    head, *lines = [json.loads(line) for line in written(TALK, "jsonl").splitlines()]
    assert (head["format"], head["version"]) == ("sessionbot-transcript", 1)
    assert head["session"]["key"] == {
        "bot": "pizza",
        "interface": "web",
        "chat": "c1",
        "user": "ada",
    }
    assert [line["seq"] for line in lines] == [1, 2, 3]


@given(
    st.lists(st.tuples(st.sampled_from(get_args(Role)), st.text()), max_size=5),
    st.sampled_from(["json", "jsonl"]),
)
def test_any_conversation_comes_back_whole(said: list[tuple[Role, str]], form: Any) -> None:
    lines = tuple(line(n, role, text) for n, (role, text) in enumerate(said, 1))
    talk = Transcript(TALK.session, lines)
    assert read_transcript(written(talk, form)) == talk


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is not a transcript"),
        ("hello", "is damaged"),
        ("[1]", "is damaged"),
        ('{"format": "other"}', "is not a transcript; export a session as json or jsonl"),
        ('{"format": "sessionbot-transcript", "version": 2}', "has version 2, and this"),
        ('{"format": "sessionbot-transcript", "version": 1}', "is damaged"),
        ('{"format": "sessionbot-transcript", "version": 1, "session": {}}', "is damaged"),
    ],
)
def test_what_is_no_transcript_is_refused_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=f"this (transcript )?{sentence}"):
        read_transcript(text)


def test_a_line_may_hold_any_separator() -> None:
    talk = Transcript(TALK.session, (line(1, "user", "a\u2028b\x85c\r\nd"),))
    assert read_transcript(written(talk, "jsonl")) == talk


@given(st.data())
def test_a_transcript_that_was_cut_off_is_never_half_believed(data: st.DataObject) -> None:
    text = written(TALK, data.draw(st.sampled_from(["json", "jsonl"])))
    cut = data.draw(st.integers(0, len(text) - 3))
    with pytest.raises(UsageError):
        read_transcript(text[:cut])
