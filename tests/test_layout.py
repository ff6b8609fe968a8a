"""Layout: parts in a row, read anywhere."""

import base64
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.errors import UsageError
from sessionbot_kit.layout import (
    AsBase64,
    InMemory,
    Layout,
    OnDisk,
    TextLayout,
    checked_start,
    raw_part,
)


@given(st.lists(st.binary(max_size=9), min_size=1, max_size=5), st.data())
def test_any_range_is_what_the_parts_hold_together(raws: list[bytes], data: st.DataObject) -> None:
    kinds = [data.draw(st.sampled_from(["memory", "disk", "base64", "disk64"])) for _ in raws]
    layout = Layout([_part(kind, raw) for kind, raw in zip(kinds, raws, strict=True)])
    whole = b"".join(_bytes(kind, raw) for kind, raw in zip(kinds, raws, strict=True))
    start = data.draw(st.integers(0, len(whole)))
    stop = data.draw(st.integers(start, len(whole)))
    assert layout.size == len(whole)
    assert layout.read(start, stop) == whole[start:stop]


@given(st.text(max_size=20), st.data())
def test_a_boundary_is_where_a_code_point_begins(text: str, data: st.DataObject) -> None:
    raw = text.encode("utf-8", "replace") + b"x"
    layout = TextLayout([InMemory(b"ab"), InMemory(raw), AsBase64(InMemory(b"cat"))])
    at = data.draw(st.integers(0, len(raw) + 1))
    found = layout.boundary(at)
    layout.read(0, found).decode()
    assert at - 3 <= found <= at
    assert all(byte & 0xC0 == 0x80 for byte in layout.read(found + 1, at + 1)) or found == at


def test_a_boundary_in_an_attachment_is_anywhere() -> None:
    layout = TextLayout([InMemory(b"ab"), AsBase64(InMemory(b"cat"))])
    assert [layout.boundary(at) for at in range(2, 6)] == [2, 3, 4, 5]


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20), st.data())
def test_json_text_is_escaped_for_a_json_string(text: str, data: st.DataObject) -> None:
    layout = TextLayout([InMemory(text.encode()), AsBase64(InMemory(b"cat")), InMemory(b'"}')])
    whole = layout.read(0, layout.size)
    start = layout.boundary(data.draw(st.integers(0, layout.size - 1)))
    escaped = b"".join(layout.escaped(start, layout.size)).decode()
    assert json.loads(f'"{escaped}"').encode() == whole[start:]


def test_only_quotes_and_backslashes_are_escaped() -> None:
    layout = TextLayout([InMemory(b'{"a":"\\n/'), AsBase64(InMemory(b"cat"))])
    assert layout.escaped(1, 12) == [b'\\"a\\":\\"\\\\n/', b"Y2F"]


def test_bytes_are_not_copied_before_they_are_needed() -> None:
    content = bytearray(b"cat")
    (piece,) = Layout([InMemory(content)]).pieces(1, 3)
    content[1] = ord("u")
    assert piece == b"ut"


def test_a_view_of_larger_items_is_read_as_bytes() -> None:
    part = InMemory(memoryview(b"abcdefgh").cast("I"))
    assert (part.size, part.read(2, 5)) == (8, b"cde")


def test_a_file_that_became_shorter_is_noticed() -> None:
    file = io.BytesIO(b"0123456789")
    part = OnDisk(file)
    file.truncate(4)
    with pytest.raises(UsageError) as caught:
        part.read(2, 8)
    assert str(caught.value) == (
        "an attachment of 10 bytes ended at 4; leave its file alone until the message has been sent"
    )


@pytest.mark.parametrize("content", [b"cat", bytearray(b"cat"), memoryview(b"cat")])
def test_bytes_are_a_part_in_memory(content: Any) -> None:
    part = raw_part(content)
    assert isinstance(part, InMemory)
    assert part.read(0, 3) == b"cat"


def test_a_file_is_a_part_on_disk_from_its_first_byte() -> None:
    file = io.BytesIO(b"cat")
    file.seek(2)
    part = raw_part(file)
    assert isinstance(part, OnDisk)
    assert (part.size, part.read(0, 3)) == (3, b"cat")


def test_a_file_is_read_in_the_middle() -> None:
    assert OnDisk(io.BytesIO(b"0123456789")).read(2, 5) == b"234"


def test_a_start_is_within_the_message_or_at_its_end() -> None:
    assert checked_start(0, 5, "m") == 0
    assert checked_start(5, 5, "m") == 5
    for start in (-1, 6):
        with pytest.raises(UsageError) as caught:
            checked_start(start, 5, "m")
        assert str(caught.value) == (
            f"message 'm' cannot be sent from position {start}; it goes from 0 to 5"
        )


def _part(kind: str, raw: bytes) -> Any:
    plain: Any = OnDisk(io.BytesIO(raw)) if kind.startswith("disk") else InMemory(raw)
    return AsBase64(plain) if kind.endswith("64") else plain


def _bytes(kind: str, raw: bytes) -> bytes:
    return base64.b64encode(raw) if kind.endswith("64") else raw
