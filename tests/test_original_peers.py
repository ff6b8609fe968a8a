"""The original broker and manager: what they really sent is read, and they can read us."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.chunker import FragmentError
from sessionbot_kit.errors import MessageError
from sessionbot_kit.original_peers import (
    READ_LIMITS,
    WRITE_LIMITS,
    original_chunker,
    original_reassembler,
)
from tests.bad_frames import text_fragment
from tests.chunked_messages import HELLO, Message, with_files

DATA = Path(__file__).parent / "data" / "session_bot_frames"
MESSAGES = {each["name"]: each for each in json.loads((DATA / "messages.json").read_text("utf-8"))}
RECORDED = sorted(DATA.glob("*.jsonl"))


def lines(path: Path) -> list[str]:
    # Not splitlines(): the frames hold line separators that are none of the file.
    return path.read_text("utf-8").removesuffix("\n").split("\n")


def read(*frames: str | bytes, raw: bool = False) -> Any:
    reassembler = original_reassembler(raw=raw)
    return [reassembler.feed(frame, 0.0) for frame in frames][-1]


def read_one(document: Any, **options: bool) -> Any:
    return read(text_fragment("m1", 0, 1, json.dumps(document)), **options)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_what_they_sent_is_read(path: Path) -> None:
    kind, _, name = path.stem.partition("__")
    sent: Message = MESSAGES[name]["message"]
    if kind == "py_notify":  # an answer: `from` is whom it is for, and there is no `to`
        sent = {**sent, "from": sent["to"], "to": ""}
    assert read(*lines(path)) == sent


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_the_same_id_may_come_again(path: Path) -> None:
    reassembler = original_reassembler()
    frames = lines(path)
    found = [reassembler.feed(frame, 0.0) for frame in frames * 3]
    assert len([each for each in found if each is not None]) == 3


@pytest.mark.parametrize("name", MESSAGES)
def test_what_we_send_is_what_they_read(name: str) -> None:
    message = MESSAGES[name]["message"]
    frames = [json.loads(frame) for frame in original_chunker().split(message, "m1")]
    assert json.loads("".join(frame["data"] for frame in frames)) == message
    assert all(list(frame) == ["messageId", "index", "total", "data"] for frame in frames)


@given(st.text(max_size=30), st.integers(1, 9), st.data())
def test_a_sender_of_utf16_is_read_wherever_it_cuts(
    text: str, size: int, data: st.DataObject
) -> None:
    encoded = json.dumps({**HELLO, "text": text}, ensure_ascii=data.draw(st.booleans()))
    units = encoded.encode("utf-16-le", "surrogatepass")
    slices = [units[at : at + 2 * size] for at in range(0, len(units), 2 * size)]
    frames = [
        text_fragment("1", index, len(slices), each.decode("utf-16-le", "surrogatepass"))
        for index, each in enumerate(slices)
    ]
    wanted = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if "\\u" in encoded or wanted == text:
        assert read(*frames) == {**HELLO, "text": wanted}


@pytest.mark.parametrize("char", ["x", '"', "\U0001f600", "\u0301"])
def test_our_frames_are_within_what_the_manager_reads(char: str) -> None:
    message = {**HELLO, "text": char * 400_000}
    frames = list(original_chunker().split(message, "m1"))
    slices = [json.loads(frame)["data"] for frame in frames]
    assert len(frames) > 1
    assert max(map(len, frames)) < 1_048_576
    assert max(map(len, slices)) <= 262_144
    assert json.loads("".join(slices)) == message


def test_a_slice_of_a_million_escapes_is_read() -> None:
    text = json.dumps(json.dumps({**HELLO, "text": '"' * 240_000}))
    assert len(text) < 1_000_000
    frame = text_fragment("1", 0, 1, text)
    assert len(frame) > 1_048_576
    assert read(frame)["text"] == '"' * 240_000


def test_limits_are_theirs() -> None:
    assert (READ_LIMITS.frame_bytes, READ_LIMITS.fragment_chars) == (4_194_304, 1_000_000)
    assert READ_LIMITS.remembered == 0
    assert WRITE_LIMITS.fragments == 1000
    chunker = original_chunker()
    assert (chunker.fragment_bytes, chunker.codec, chunker.limits) == (
        262_144,
        "text",
        WRITE_LIMITS,
    )
    assert original_reassembler().limits == READ_LIMITS


def test_more_slices_than_the_manager_reads_are_not_sent() -> None:
    assert WRITE_LIMITS.message_bytes < 1000 * 262_144


def test_half_a_pair_in_a_persons_text_does_not_cost_the_message() -> None:
    for document in ({**HELLO, "text": "a\ud83d"}, json.dumps({**HELLO, "text": "a\ud83d"})):
        assert read_one(document) == {**HELLO, "text": "a\ufffd"}


def test_halves_are_mended_wherever_they_are() -> None:
    document = {**HELLO, "to": "\ud83d", "x\ude00": [{"y": "\ud83d"}, 5, None]}
    assert read_one(document)["to"] == "\ufffd"


def test_an_answer_needs_neither_to_nor_attachments() -> None:
    answer = {"from": "b", "text": "hi", "frombobot": True}
    assert read_one(answer) == {**HELLO, "to": ""}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"text": None}, "text: is not a text; the original peers send to, from and text"),
        ({"from": 5}, "from: is not a text; the original peers send to, from and text"),
        ({"to": 5}, "to: is not a text; the original peers send to, from and text"),
        ({"attachments": "x"}, "attachments is not a list of objects"),
        ({"attachments": [{"name": "a"}]}, ": an attachment has no content; send base64 text"),
        ({"attachments": [{"content": "a"}]}, "is not base64"),
    ],
)
def test_a_message_that_makes_no_sense_is_refused(changes: Message, sentence: str) -> None:
    with pytest.raises(FragmentError) as caught:
        read_one({**HELLO, **changes})
    assert caught.value.code == "bad_message"
    assert sentence in str(caught.value)


@pytest.mark.parametrize("missing", ["text", "from"])
def test_text_and_from_are_needed(missing: str) -> None:
    with pytest.raises(FragmentError, match=f"{missing}: is not a text"):
        read_one({key: value for key, value in HELLO.items() if key != missing})


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("cat.png", "cat.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\cat.png", "cat.png"),
        ("gpj.\u202eexe", "gpj.exe"),
        ("x" * 300, "x" * 255),
        ("NUL", ""),
        ("..", ""),
        ("", ""),
        (5, ""),
        (None, ""),
    ],
)
def test_a_strange_name_does_not_cost_the_file(name: Any, label: str) -> None:
    file = {"name": name, "type": "text/plain;charset=utf-8", "content": "Y2F0"}
    (found,) = read_one({**HELLO, "attachments": [file]}, raw=True)["attachments"]
    assert found == {"name": label, "type": "text/plain;charset=utf-8", "content": b"cat"}


@pytest.mark.parametrize("mime", ["", "text", "a/b\n", "a/" + "b" * 254, None, 5])
def test_a_strange_type_does_not_cost_the_file(mime: Any) -> None:
    file = {"name": "a", "type": mime, "content": "Y2F0"}
    (found,) = read_one({**HELLO, "attachments": [file]})["attachments"]
    assert found == {"name": "a", "type": "application/octet-stream", "content": "Y2F0"}


def test_a_type_of_255_characters_is_kept() -> None:
    file = {"name": "a", "type": "a/" + "b" * 253, "content": ""}
    (found,) = read_one({**HELLO, "attachments": [file]})["attachments"]
    assert found == file


def test_what_is_sent_to_them_is_made_plain_too() -> None:
    message = with_files(b"cat")
    message["attachments"][0]["name"] = "a/b"
    (frame,) = original_chunker().split(message, "m1")
    assert read(frame, raw=True)["attachments"][0]["name"] == "b"
    with pytest.raises(MessageError, match="text: is not a text"):
        original_chunker().encode({**HELLO, "text": None}, "m1")


@pytest.mark.parametrize(
    "data",
    ["{", "NaN", '"{"', '"\\ud83d', "[" * 5000 + '"\\ud83d"' + "]" * 5000, '"[\\"\\\\ud83d\\"]"'],
)
def test_what_is_no_message_is_refused(data: str) -> None:
    with pytest.raises(FragmentError, match="is whole and wrong"):
        read(text_fragment("m1", 0, 1, data))


def test_a_deeply_nested_message_says_so() -> None:
    data = "[" * 5000 + '"\\ud83d"' + "]" * 5000
    with pytest.raises(FragmentError, match=r"wrong: its JSON is nested too deeply$"):
        read(text_fragment("m1", 0, 1, data))


def test_nan_is_no_json_for_us() -> None:
    with pytest.raises(FragmentError, match="is whole and wrong"):
        read(text_fragment("m1", 0, 1, json.dumps({**HELLO, "x": float("nan")})))


def test_attachments_stay_text_unless_raw_is_asked_for() -> None:
    (frame,) = original_chunker().split(with_files(b"cat"), "m1")
    assert original_reassembler().feed(frame, 0.0) == with_files("Y2F0")


def test_a_file_name_with_half_a_pair_is_mended() -> None:
    message = with_files("Y2F0")
    message["attachments"][0]["name"] = "a\ud83d"
    assert read_one(message)["attachments"][0]["name"] == "a\ufffd"


def test_json_is_decoded_twice_and_not_three_times() -> None:
    assert read_one(json.dumps(HELLO)) == HELLO
    with pytest.raises(FragmentError):
        read_one(json.dumps(json.dumps(HELLO)))


def test_too_many_values_are_refused_here_too() -> None:
    text = '{"text":"\\ud83d","x":[' + "0," * 1_500_000 + "0]}"
    frames = [
        text_fragment("m1", index, 4, text[at : at + 1_000_000])
        for index, at in enumerate(range(0, len(text), 1_000_000))
    ]
    with pytest.raises(FragmentError, match="more than 1,000,000 values"):
        read(*frames)
