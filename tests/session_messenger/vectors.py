"""What another client was recorded doing: `ada` wrote to `bob`."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parent.parent / "data" / "session_messenger"


def load(name: str) -> Any:
    text = (VECTORS / name).read_text()
    if name.endswith(".jsonl"):
        return [json.loads(line) for line in text.splitlines()]
    return json.loads(text)


MESSAGES: list[dict[str, Any]] = load("messages.jsonl")
KEYS: list[dict[str, str]] = load("keys.json")


def name_of(message: dict[str, Any]) -> str:
    copy = "-own-copy" if message["destination"] == KEYS[0]["session_id"] else ""
    return f"{message['name']}{copy}"


def recorded(name: str) -> bytes:
    """The record that lay in bob's swarm."""
    for made in MESSAGES:
        if name_of(made) == name:
            return b64decode(made["data_b64"])
    raise LookupError(name)
