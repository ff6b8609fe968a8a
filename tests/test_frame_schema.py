"""The schemas say what the readers do, and the files say what the schemas do."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no types

from sessionbot_kit.chunker import Chunker, FragmentError, Reassembler
from sessionbot_kit.frame_schema import chunk_schema, message_schema, schema_files
from tests.bad_frames import load, text_fragment
from tests.chunked_messages import HELLO, with_files

FOLDER = Path(__file__).parents[1] / "docs" / "schema"
CHUNK = Draft202012Validator(chunk_schema())
MESSAGE = Draft202012Validator(message_schema())


@pytest.mark.parametrize("name", schema_files())
def test_the_files_are_up_to_date(name: str) -> None:
    assert (FOLDER / name).read_text("utf-8") == schema_files()[name]


def test_there_are_no_other_files() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(schema_files())


@pytest.mark.parametrize("schema", [chunk_schema(), message_schema()])
def test_the_schemas_are_of_their_dialect(schema: dict[str, Any]) -> None:
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)


def test_what_we_send_is_valid() -> None:
    for message in (HELLO, with_files(b"cat", b"")):
        frames = [json.loads(frame) for frame in Chunker(20).split(message, "m1")]
        assert all(CHUNK.is_valid(frame) for frame in frames)
        assert MESSAGE.is_valid(json.loads("".join(frame["data"] for frame in frames)))


def test_what_is_accepted_is_valid() -> None:
    for case in load("core"):
        if case.expect != "accept" or case.legacy or any("hex" in f for f in case.frames):
            continue
        for step in case.steps():
            if isinstance(step, str) and step != "nonsense":
                assert CHUNK.is_valid(json.loads(step)), case.name


@pytest.mark.parametrize(
    "change",
    [
        {"messageId": ""},
        {"messageId": "x" * 129},
        {"messageId": 5},
        {"index": -1},
        {"index": "0"},
        {"total": 0},
        {"data": None},
        {"evil": 1},
    ],
)
def test_what_is_not_valid_is_refused(change: dict[str, Any]) -> None:
    frame = {"messageId": "m", "index": 0, "total": 1, "data": "{}", **change}
    assert not CHUNK.is_valid(frame)
    with pytest.raises(FragmentError):
        Reassembler().feed(json.dumps(frame), 0.0)


@pytest.mark.parametrize(
    "change",
    [
        {"to": None},
        {"evil": 1},
        {"attachments": [{"name": "", "type": "a/b", "content": ""}]},
        {"attachments": [{"name": "a", "type": "text", "content": ""}]},
        {"attachments": [{"name": "a", "type": "a/b", "content": 5}]},
        {"attachments": [{"name": "a", "type": "a/b", "content": "", "path": ""}]},
    ],
)
def test_a_message_that_is_not_valid_is_refused(change: dict[str, Any]) -> None:
    message = {**HELLO, **change}
    assert not MESSAGE.is_valid(message)
    with pytest.raises(FragmentError):
        Reassembler().feed(text_fragment("m", 0, 1, json.dumps(message)), 0.0)


def test_the_types_name_every_field() -> None:
    types = schema_files()["frames.d.ts"]
    for line in (
        "export interface Chunk {",
        "  readonly messageId: string;",
        "  readonly total: number;",
        "  readonly attachments: readonly Attachment[];",
        "  readonly from: string;",
        "  readonly content: number;",
    ):
        assert line in types.splitlines()
