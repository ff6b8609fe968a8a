"""What crosses the wire, for peers in other languages: JSON Schema and TypeScript.

    for name, text in schema_files().items():
        (folder / name).write_text(text, encoding="utf-8")

Made from the models that the readers use, and checked in under `docs/schema/`. The one rule to
remember: change the model, then write the files again; a test holds them together.
"""

import json
from typing import Any

from sessionbot_kit.fragments import Chunk
from sessionbot_kit.full_message import FullMessage

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]


def chunk_schema() -> Schema:
    """One fragment of the text codec."""
    return {"$schema": DIALECT, **_without_titles(Chunk.model_json_schema())}


def message_schema() -> Schema:
    """A whole message of the text codec, once its fragments are joined and parsed."""
    return {"$schema": DIALECT, **_without_titles(FullMessage.model_json_schema(by_alias=True))}


def schema_files() -> dict[str, str]:
    """All files, by name: two schemas and the types of the frames."""
    return {
        "chunk.schema.json": _as_json(chunk_schema()),
        "message.schema.json": _as_json(message_schema()),
        "frames.d.ts": _TYPES.format(
            chunk=_interface("Chunk", chunk_schema()),
            attachment=_interface("Attachment", message_schema()["$defs"]["Attachment"]),
            message=_interface("FullMessage", message_schema()),
        ),
    }


_TYPES = """\
// What crosses the wire between a gateway and its peers. Made from the models: do not edit.

// sbk.json.v1: a frame is a text frame of the WebSocket. The data of all fragments of a message,
// joined in the order of their index, is the JSON text of a FullMessage.
{chunk}
{attachment}
{message}
// sbk.bin.v1: a frame is a binary frame of the WebSocket. Numbers are big-endian.
//
//     u8 0xb1 | u8 0 | u16 length of the id | u32 offset | u32 total | id, UTF-8 | data
//
// The data of all frames of a message, each at its offset, is `total` bytes:
//
//     u32 length of the document | document | contents, one after another | u32 CRC-32
//
// The document is JSON. An attachment with content has the number of its bytes there, and the
// contents follow in the order of the attachments. The CRC-32 is of all bytes before it.
export interface BinaryAttachment extends Omit<Attachment, "content"> {{
  readonly content: number;
}}

export interface BinaryDocument extends Omit<FullMessage, "attachments"> {{
  readonly attachments: readonly BinaryAttachment[];
}}
"""


def _without_titles(schema: Schema) -> Schema:
    # pydantic repeats every key as its title.
    return {
        key: _without_titles(value) if isinstance(value, dict) else value
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
    }


def _as_json(schema: Schema) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _interface(name: str, schema: Schema) -> str:
    lines = [f"/** {schema['description']} */", f"export interface {name} {{"]
    for key, field in schema["properties"].items():
        optional = "" if key in schema["required"] else "?"
        lines.append(f"  readonly {key}{optional}: {_type(field)};")
    return "\n".join((*lines, "}", ""))


def _type(field: Schema) -> str:
    if "$ref" in field:
        return str(field["$ref"]).rpartition("/")[2]
    if field["type"] == "array":
        return f"readonly {_type(field['items'])}[]"
    return {"integer": "number"}.get(field["type"], str(field["type"]))
