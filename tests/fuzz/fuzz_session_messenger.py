"""Look for bytes that surprise what reads strangers' records, nodes' answers and recovery phrases.

    pip install atheris
    python -m tests.fuzz.fuzz_session_messenger CORPUS -max_total_time=600 -max_len=4096

CORPUS is a folder for the inputs that found something new; when it is empty, recordings of another
client are laid into it. The first byte of an input chooses the reader. Only the errors that a
reader promises may come out.
"""

import importlib
import json
import sys
from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

# Not among the dependencies: it has no wheel for every platform, and no types.
atheris: Any = importlib.import_module("atheris")

with atheris.instrument_imports(include=["sessionbot_kit.channels.session_messenger"]):
    from sessionbot_kit.channels.session_messenger import mnemonic, pointers, rpc
    from sessionbot_kit.channels.session_messenger.content import Content
    from sessionbot_kit.channels.session_messenger.envelope import seal, sign, unpack, wrap
    from sessionbot_kit.channels.session_messenger.events import Said, understand
    from sessionbot_kit.channels.session_messenger.identity import Identity
    from sessionbot_kit.channels.session_messenger.loopback.batch import read_body
    from sessionbot_kit.channels.session_messenger.loopback.parameters import BadRequest
    from sessionbot_kit.channels.session_messenger.protobuf import decode, encode
    from sessionbot_kit.errors import NodeError, RecordError, SettingsError, WireError
    from tests.session_messenger.vectors import load

ME, YOU = Identity(bytes(16)), Identity(b"a stranger's key")
NOW = 1767225600000


def main() -> None:
    """Lay seeds where there are none, and hand over to the fuzzer."""
    folders = [Path(word) for word in sys.argv[1:] if not word.startswith("-")]
    for folder in folders[:1]:
        folder.mkdir(parents=True, exist_ok=True)
        if not any(folder.iterdir()):
            for number, seed in enumerate(seeds()):
                (folder / f"seed{number:04}").write_bytes(seed)
    atheris.Setup(sys.argv, choose)
    atheris.Fuzz()


def choose(data: bytes) -> None:
    """Give the rest of the input to the reader that its first byte names."""
    if data:
        READERS[data[0] % len(READERS)](data[1:])


def read_content(data: bytes) -> None:
    with suppress(RecordError):
        content = decode(Content, data)
        assert decode(Content, encode(content)) == content


def read_record(data: bytes) -> None:
    with suppress(RecordError):
        unpack(data, ME)


def read_what_was_signed(data: bytes) -> None:
    """Everything behind the signature, where a stranger with a key may write what he likes."""
    record = wrap(seal(sign(data, YOU, ME.session_id), ME.session_id, bytes(32)), NOW)
    with suppress(WireError):
        event = understand(unpack(record, ME), me=ME.session_id, now=NOW)
        for pointer in event.attachments if isinstance(event, Said) else ():
            pointers.media(pointer, 1, "0" * 64, data=b"x")
            with suppress(RecordError):
                pointers.check(pointer)
                pointers.file_id(pointer, "http://filev2.getsession.org")


def read_answer(data: bytes) -> None:
    with suppress(NodeError):
        answer = rpc.read(200, data)
        rpc.nodes(answer.get("snodes"))
        rpc.retrieved(answer)


def read_call(data: bytes) -> None:
    with suppress(BadRequest):
        read_body(data)


def read_phrase(data: bytes) -> None:
    with suppress(SettingsError):
        mnemonic.decode(data.decode("utf-8", "replace"))


READERS: list[Callable[[bytes], None]] = [
    read_content,
    read_record,
    read_what_was_signed,
    read_answer,
    read_call,
    read_phrase,
]


def seeds() -> list[bytes]:
    made = []
    for message in load("messages.jsonl"):
        content = b64decode(message["content_b64"])
        made += [b"\0" + content, b"\2" + content + b"\x80"]
        made.append(b"\1" + b64decode(message["data_b64"]))
        entry = {"hash": "A" * 43, "data": message["data_b64"]}
        answer = {"results": [{"code": 200, "body": {"messages": [entry], "more": True}}]}
        made.append(b"\3" + json.dumps(answer).encode())
    made += [b"\4" + json.dumps(call).encode() for call in load("rpc_log.jsonl")]
    return made + [b"\5" + keys["mnemonic"].encode() for keys in load("keys.json")]


if __name__ == "__main__":
    main()
