"""Look for a frame that surprises the reassembler, guided by coverage; for hours if you like.

    pip install atheris
    python -m tests.fuzz.fuzz_feed CORPUS -max_total_time=600 -max_len=4096

CORPUS is a folder for the inputs that found something new; when it is empty, the bad frames of the
tests and some good ones are laid into it. An input is a list of frames: a length of two bytes, the
frame. Its last byte chooses the reader. Only a FragmentError may come out, and never more may be
held than the limits say.
"""

import importlib
import random
import sys
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

# Not among the dependencies: it has no wheel for every platform, and no types.
atheris: Any = importlib.import_module("atheris")

with atheris.instrument_imports(include=["sessionbot_kit"]):
    from sessionbot_kit.chunker import ANY_DOCUMENT, Chunker, FragmentError, Limits, Reassembler
    from sessionbot_kit.original_peers import ORIGINAL_MESSAGE
    from tests.bad_frames import Wait, load

LIMITS = Limits(
    frame_bytes=3000,
    fragment_chars=2000,
    fragment_bytes=2000,
    fragments=20,
    message_bytes=3000,
    attachments=3,
    values=200,
    pending=3,
    held_bytes=5000,
    remembered=4,
    spool_bytes=64,
)


def main() -> None:
    """Lay seeds where there are none, and hand over to the fuzzer."""
    folders = [Path(word) for word in sys.argv[1:] if not word.startswith("-")]
    for folder in folders[:1]:
        folder.mkdir(parents=True, exist_ok=True)
        if not any(folder.iterdir()):
            for number, seed in enumerate(seeds()):
                (folder / f"seed{number:04}").write_bytes(seed)
    atheris.Setup(sys.argv, feed)
    atheris.Fuzz()


def feed(data: bytes) -> None:
    """Feed one list of frames to the reader that its last byte chooses."""
    choice = data[-1] if data else 0
    reassembler = readers()[choice % 4]
    now = 0.0
    at = 0
    while at + 2 < len(data):
        length = int.from_bytes(data[at : at + 2], "big")
        frame = data[at + 2 : at + 2 + length]
        at += 2 + length
        now += choice / 16
        with suppress(FragmentError):
            reassembler.feed(frame.decode("utf-8", "replace") if choice & 4 else frame, now)
        assert 0 <= reassembler.held_bytes <= LIMITS.held_bytes
        assert reassembler.pending <= LIMITS.pending
        assert (reassembler.pending == 0) == (reassembler.held_bytes == 0)
    reassembler.expire(now + 1e9)
    assert (reassembler.pending, reassembler.held_bytes) == (0, 0)


def readers() -> list[Reassembler]:
    return [
        Reassembler(LIMITS),
        Reassembler(LIMITS, shape=ANY_DOCUMENT, raw=True, spool=BytesIO),
        Reassembler(LIMITS, shape=ORIGINAL_MESSAGE),
        Reassembler(LIMITS, shape=ANY_DOCUMENT),
    ]


def seeds() -> list[bytes]:
    lists = [
        [step.encode("utf-8", "replace") if isinstance(step, str) else step for step in steps]
        for case in load("core")
        if (steps := [step for step in case.steps() if not isinstance(step, Wait)])
    ]
    message = {"to": "a", "from": "b", "text": "é 😀", "attachments": [_file(0), _file(100)]}
    for codec in ("text", "binary"):
        for size in (4, 50, 3000):
            lists.append(list(Chunker(size, codec=codec).split(message, "m1")))
    return [_packed(frames) + bytes([choice]) for frames in lists for choice in range(2)]


def _file(size: int) -> dict[str, object]:
    return {"name": "a", "type": "a/b", "content": random.Random(size).randbytes(size)}


def _packed(frames: list[bytes]) -> bytes:
    return b"".join(
        len(frame).to_bytes(2, "big") + frame for frame in frames[:30] if len(frame) < 3000
    )


if __name__ == "__main__":
    main()
