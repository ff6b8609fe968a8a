"""The four keys, attachments, base64, names, and documents of any shape."""

import base64
import io
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.full_message import (
    ANY_DOCUMENT,
    FULL_MESSAGE,
    Attachment,
    FullMessage,
    attachments_of,
    check_content,
    check_label,
    check_values,
    decode_base64,
    parse_json,
)
from sessionbot_kit.limits import Limits
from tests.chunked_messages import HELLO, Message, with_files

LIMITS = Limits()
FOREIGN: list[Any] = [[], "x", None]
NO_LISTS: list[Any] = [{}, "x", [1], [{}, None]]


@given(st.binary(max_size=50))
def test_base64_is_decoded_as_it_was_encoded(data: bytes) -> None:
    assert decode_base64(base64.b64encode(data).decode()) == data


@given(st.text(st.sampled_from("abAB01+/=_- \n\u00e9"), max_size=9))
def test_each_bytes_have_one_base64_text(text: str) -> None:
    with suppress(ValueError):
        assert base64.b64encode(decode_base64(text)).decode() == text


@pytest.mark.parametrize("text", ["aGl=", "aH==", "QUJDaGl="])
def test_unused_bits_are_zero(text: str) -> None:
    with pytest.raises(ValueError, match=r"^is not canonical base64; the unused bits must be 0$"):
        decode_base64(text)


def test_what_is_not_base64_says_so() -> None:
    with pytest.raises(ValueError, match=r"^is not base64 \(.+\); use the standard alphabet, pad"):
        decode_base64("_-8=")
    with pytest.raises(ValueError, match=r"is not base64 \("):
        decode_base64("YWJj\n")


@pytest.mark.parametrize(
    "name", ["a", "x" * 255, "a.tar.gz", "CONSOLE", "X", "résumé 日本.pdf", ".profile"]
)
def test_a_plain_name_is_a_label(name: str) -> None:
    assert check_label(name) == name


@pytest.mark.parametrize("mark", "/\\\x00\x1f\x7f\x9f\u061c\u200e\u200f\u202a\u202e\u2066\u2069\n")
def test_a_name_with_a_dangerous_character_is_no_label(mark: str) -> None:
    with pytest.raises(ValueError, match="is not a plain file name") as caught:
        check_label(f"a{mark}b")
    assert str(caught.value).startswith(repr(f"a{mark}b"))


@pytest.mark.parametrize("name", ["", " ", ".", "..", ". .", "   "])
def test_a_name_of_dots_and_spaces_is_no_label(name: str) -> None:
    with pytest.raises(ValueError, match="is not a plain file name"):
        check_label(name)


@pytest.mark.parametrize(
    "name", ["CON", "con", "Prn.txt", "aux.tar.gz", "nul ", "COM1", "com9.x", "LPT1", "lpt9 .x"]
)
def test_a_device_is_no_label(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name!r} is the name of a device$"):
        check_label(name)


def test_a_long_name_is_no_label() -> None:
    with pytest.raises(ValueError, match=r"^has 1,000 characters; a name has at most 255$"):
        check_label("x" * 1000)


@pytest.mark.parametrize("value", ["", "Y2F0", b"cat", bytearray(), memoryview(b""), io.BytesIO()])
def test_content_is_bytes_or_a_file_or_base64(value: Any) -> None:
    assert check_content(value) is value


@pytest.mark.parametrize("value", [None, 3, True, ["a"], {"a": 1}])
def test_content_is_nothing_else(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^is neither base64 text nor bytes nor an open file$"):
        check_content(value)


def test_a_full_message_has_four_keys() -> None:
    message = with_files("Y2F0", b"dog")
    found = FULL_MESSAGE.check(message)
    assert found == message
    assert found is not message


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"text": 5}, "text: Input should be a valid string"),
        ({"to": None}, "to: Input should be a valid string"),
        ({"frombobot": True}, "frombobot: Extra inputs are not permitted"),
        ({"attachments": {}}, "attachments: Input should be a valid list"),
        ({"attachments": ["x"]}, "attachments.0: Input should be"),
        (with_files("aGl="), "attachments.0.content: is not canonical base64; the unused"),
        ({"attachments": [{"name": "a"}]}, "attachments.0.type: Field required"),
    ],
)
def test_a_wrong_full_message_says_where(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        FULL_MESSAGE.check({**HELLO, **changes})
    assert str(caught.value).startswith(sentence)


def test_the_python_name_of_from_is_no_key_of_the_wire() -> None:
    with pytest.raises(ValueError, match="from: Field required"):
        FULL_MESSAGE.check({"to": "a", "from_": "b", "text": "", "attachments": []})


def test_what_is_no_object_is_no_message() -> None:
    for shape in (FULL_MESSAGE, ANY_DOCUMENT):
        for found in FOREIGN:
            with pytest.raises(ValueError):
                shape.check(found)


def test_a_message_that_is_no_object_has_no_place_to_name() -> None:
    with pytest.raises(ValueError, match=r"^Input should be a valid dictionary"):
        FULL_MESSAGE.check([])


@pytest.mark.parametrize("name", ["/" + "x" * 99, "NUL." + "x" * 99])
def test_a_long_name_is_cut_in_the_sentence(name: str) -> None:
    with pytest.raises(ValueError, match=f"^'{name[:40]}' is "):
        check_label(name)


def test_a_long_key_is_cut_in_the_sentence() -> None:
    with pytest.raises(ValueError) as caught:
        FULL_MESSAGE.check({**HELLO, "x" * 1000: 1})
    assert str(caught.value) == "x" * 80 + ": Extra inputs are not permitted"


def test_the_model_knows_both_names_of_from() -> None:
    named = FullMessage(to="a", from_="b", text="hi", attachments=[])
    assert named == FullMessage.model_validate(HELLO)
    assert named.model_dump(by_alias=True) == HELLO


def test_content_is_not_shown() -> None:
    file = Attachment(name="a", type="a/b", content=b"secret")
    assert "secret" not in repr(file)


def test_any_document_may_have_other_keys() -> None:
    document = {"kind": "offer", "attachments": [{"sha256": "..."}, {"content": b"cat", "x": 1}]}
    assert ANY_DOCUMENT.check(document) == document
    assert ANY_DOCUMENT.check({}) == {}
    assert ANY_DOCUMENT.check({"attachments": None}) == {"attachments": None}


def test_any_document_has_content_that_can_be_sent() -> None:
    for content in (None, 3, "no base64"):
        with pytest.raises(ValueError, match=r"^attachments\.1\.content: "):
            ANY_DOCUMENT.check({"attachments": [{}, {"content": content}]})


def test_attachments_are_a_list_of_objects() -> None:
    assert attachments_of({}) == []
    assert attachments_of({"attachments": [{}]}) == [{}]
    for wrong in NO_LISTS:
        with pytest.raises(ValueError, match=r"^attachments is not a list of objects; send "):
            attachments_of({"attachments": wrong})
    with pytest.raises(ValueError, match=r"^a message is a JSON object, not list$"):
        attachments_of([])


def test_there_are_only_so_many_attachments() -> None:
    three: Message = {"attachments": [{}, {}, {}]}
    assert len(attachments_of(three, Limits(attachments=3))) == 3
    with pytest.raises(ValueError, match=r"^3 attachments; at most 2 may come$"):
        attachments_of(three, Limits(attachments=2))


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"NaN", b'{"a":Infinity}', b"\xef\xbb\xbf{}", b"{} {}", b'"\xff"', b'"\\ud83d"'],
)
def test_what_is_not_json_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        parse_json(text, LIMITS)


def test_json_is_parsed() -> None:
    document = {"a": [1, 2.5, "é", None, True], "b": {}}
    assert parse_json(json.dumps(document).encode(), LIMITS) == document


@pytest.mark.parametrize("text", [b"[[],[],[],[]]", b"[{},{},{},{}]", b"[1,2,3,4,5,6,7,8]"])
def test_small_text_that_unfolds_into_many_values_is_refused(text: bytes) -> None:
    marks = sum(text.count(mark) for mark in (b",", b"[", b"{"))
    padded = text + b" " * 100
    assert parse_json(padded, Limits(values=marks))
    with pytest.raises(ValueError, match=f"^its JSON has more than {marks - 1:,} values$"):
        parse_json(padded, Limits(values=marks - 1))


def test_many_values_are_counted_to_the_last() -> None:
    for count in (9_998, 9_999, 10_000, 10_001, 30_000):
        text = b"[" + b"1," * (count - 1) + b"1]" + b" " * 99_999
        check_values(text, Limits(values=count))
        with pytest.raises(ValueError):
            check_values(text, Limits(values=count - 1))


def test_text_too_short_for_too_many_values_is_not_counted() -> None:
    check_values(b"[],[],", Limits(values=2))
    with pytest.raises(ValueError):
        check_values(b"[],[],[", Limits(values=2))
