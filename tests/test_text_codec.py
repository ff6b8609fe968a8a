"""The text codec: cuts on code points, slices in any order, pairs joined again."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.errors import FragmentError, UsageError
from sessionbot_kit.fragments import Fragment
from sessionbot_kit.full_message import ANY_DOCUMENT
from sessionbot_kit.limits import LEAST_COST, Limits
from sessionbot_kit.text_codec import SMALL_CONTENT, TextAssembly, TextPayload
from tests.chunked_messages import HELLO, documents, with_files

LIMITS = Limits(fragments=10**6)


def assembly(total: int, limits: Limits = LIMITS) -> TextAssembly:
    return TextAssembly(Fragment("m1", 0, total, b""), limits, ANY_DOCUMENT)


def slice_of(index: int, data: bytes | str, total: int = 9) -> Fragment:
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    return Fragment("m1", index, total, raw)


def data_of(payload: TextPayload) -> list[bytes]:
    return [json.loads(frame)["data"].encode() for frame in payload.fragments()]


@given(documents(), st.integers(4, 40))
def test_every_cut_is_at_a_code_point_and_at_most_so_long(message: Any, size: int) -> None:
    payload = TextPayload(message, "m1", size)
    slices = data_of(payload)
    assert all(size - 3 <= len(each) <= size for each in slices[:-1])
    assert 0 < len(slices[-1]) <= size
    assert payload.size == sum(map(len, slices))
    assert payload.count == payload.end == len(slices)


@given(documents(), st.integers(4, 40))
def test_the_joined_text_is_the_message_in_json(message: Any, size: int) -> None:
    found = json.loads(b"".join(data_of(TextPayload(message, "m1", size))))
    for sent, got in zip(message.get("attachments", []), found.get("attachments", []), strict=True):
        assert got.get("content", "") == _base64(sent.get("content", b""))
        got.pop("content", None)
        sent = {key: value for key, value in sent.items() if key != "content"}
        assert got == sent
    assert {**found, "attachments": 0} == {**message, "attachments": 0} | {"attachments": 0}


def test_frames_number_themselves() -> None:
    frames = [json.loads(frame) for frame in TextPayload(HELLO, 'm"1', 20).fragments()]
    assert [(f["messageId"], f["index"], f["total"]) for f in frames] == [
        ('m"1', 0, 3),
        ('m"1', 1, 3),
        ('m"1', 2, 3),
    ]


def test_frames_go_on_from_an_index() -> None:
    payload = TextPayload(HELLO, "m1", 20)
    assert payload.message_id == "m1"
    assert list(payload.fragments(1)) == list(payload.fragments())[1:]
    with pytest.raises(
        UsageError, match="message 'm1' cannot be sent from position 4; it goes from 0 to 3"
    ):
        payload.fragments(4)


def test_a_message_that_fills_its_fragments_has_no_empty_one() -> None:
    assert TextPayload(HELLO, "m1", 50).count == 1
    assert TextPayload(HELLO, "m1", 25).count == 2
    assert TextPayload(HELLO, "m1", 49).count == 2


def test_attachments_keep_their_other_keys() -> None:
    message = {"attachments": [{"content": b"cat", "x": 1}, {"content": b""}, {"y": 2}], "z": 3}
    (text,) = data_of(TextPayload(message, "m1", 999))
    assert text == (b'{"z":3,"attachments":[{"x":1,"content":"Y2F0"},{"content":""},{"y":2}]}')


@pytest.mark.parametrize("length", [0, 1, SMALL_CONTENT, SMALL_CONTENT + 1, 5000])
def test_contents_of_any_length_stand_in_their_place(length: int) -> None:
    message = with_files(bytes(range(256)) * 20, b"x" * length, b"end")
    text = b"".join(data_of(TextPayload(message, "m1", 1000)))
    assert json.loads(text)["attachments"][1]["content"] == _base64(b"x" * length)
    assert text.endswith(b'"content":"ZW5k"}]}')


def test_attachments_alone_are_a_message_too() -> None:
    (text,) = data_of(TextPayload({"attachments": [{"content": b"cat"}]}, "m1", 999))
    assert text == b'{"attachments":[{"content":"Y2F0"}]}'


def test_base64_that_is_given_is_sent_as_it_is() -> None:
    (text,) = data_of(TextPayload(with_files("Y2F0", b"dog"), "m1", 999))
    assert json.loads(text) == with_files("Y2F0", "ZG9n")


def test_slices_are_put_together_in_order() -> None:
    text = assembly(3)
    assert text.add(slice_of(2, "}")) is False
    assert (text.progress, text.held) == (0, LEAST_COST)
    assert text.add(slice_of(0, '{"a":')) is False
    assert (text.progress, text.held) == (1, 2 * LEAST_COST)
    assert text.add(slice_of(1, "1")) is True
    assert text.progress == 3
    assert text.finish() == {"a": 1}


def test_what_is_held_is_what_came() -> None:
    text = assembly(3)
    text.add(slice_of(1, bytes(1000)))
    text.add(slice_of(0, bytes(700)))
    assert text.held == 1700


def test_a_slice_is_known_again() -> None:
    text = assembly(3)
    assert text.has(slice_of(1, "x")) is False
    text.add(slice_of(1, "x"))
    assert text.has(slice_of(1, "x")) is True
    assert text.has(slice_of(0, "x")) is False
    assert text.has(slice_of(2, "x")) is False


def test_a_slice_that_changed_is_refused() -> None:
    text = assembly(3)
    text.add(slice_of(1, "x"))
    with pytest.raises(FragmentError) as caught:
        text.has(slice_of(1, "y"))
    assert (caught.value.code, caught.value.message_id) == ("conflict", "m1")
    assert str(caught.value) == (
        "fragment 1 of message 'm1' came twice with different data; send a changed message under "
        "a new id"
    )


def test_a_text_longer_than_a_message_is_refused() -> None:
    text = assembly(3, Limits(message_bytes=10, fragments=3))
    text.add(slice_of(0, bytes(6)))
    text.add(slice_of(1, bytes(4)))
    with pytest.raises(FragmentError) as caught:
        text.add(slice_of(2, bytes(1)))
    assert (caught.value.code, caught.value.message_id) == ("message_too_long", "m1")
    assert str(caught.value) == ("message 'm1' has more than 10 bytes; send less, or a link to it")


@given(st.text(max_size=20), st.data())
def test_pairs_that_were_cut_are_joined(text: str, data: st.DataObject) -> None:
    units = json.dumps({"a": text}, ensure_ascii=False)
    units = units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    raw = units.encode("utf-16-le", "surrogatepass")
    size = data.draw(st.integers(1, 5))
    slices = [
        raw[at : at + 2 * size].decode("utf-16-le", "surrogatepass")
        for at in range(0, len(raw), 2 * size)
    ]
    whole = assembly(len(slices))
    for index in data.draw(st.permutations(range(len(slices)))):
        whole.add(slice_of(index, slices[index]))
    try:
        text.encode()
    except UnicodeEncodeError:
        with pytest.raises(ValueError):
            whole.finish()
    else:
        assert whole.finish() == {"a": text}


def test_a_pair_may_come_one_half_a_slice() -> None:
    text = assembly(4)
    for index, data in enumerate(('{"a":"', "\ud83d", "\ude00", '"}')):
        text.add(slice_of(index, data))
    assert text.finish() == {"a": "\U0001f600"}


@pytest.mark.parametrize("halves", [("\ude00", "\ud83d"), ("\ud83d", "x"), ("x", "\ude00")])
def test_halves_that_are_no_pair_are_refused(halves: tuple[str, str]) -> None:
    text = assembly(4)
    for index, data in enumerate(('{"a":"', *halves, '"}')):
        text.add(slice_of(index, data))
    with pytest.raises(ValueError, match="unicode"):
        text.finish()


def test_nothing_is_kept_after_the_end() -> None:
    text = assembly(2)
    text.add(slice_of(0, "{}"))
    text.close()
    assert text.has(slice_of(0, "{}")) is False


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
