"""The chunker against the original one: there and back in one process, memory, longest step."""

import asyncio
import inspect
import os
import resource
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import thread_time
from typing import Any

from benchmarks import original_chunker
from benchmarks.harness import Section, at_least, at_most
from sessionbot_kit.chunker import Chunker, Reassembler

KIB, MIB = 1024, 1024 * 1024
SIZES = {"1 KiB": KIB, "64 KiB": 64 * KIB, "1 MiB": MIB, "16 MiB": 16 * MIB}
ONE_MESSAGE = 16_000_000
LONG_MESSAGE = 64_000_000

ORIGINAL = "original chunker"

Message = dict[str, Any]
Work = Callable[[Message], Any]


async def main(section: Section) -> None:
    """Compare at four sizes, then look at memory and at the longest step."""
    for title, size in SIZES.items():
        message = message_of(size)
        table = section.table(
            f"There and back, {title}", unit="MB/s", against=ORIGINAL, amount=size / 1e6
        )
        for name, work in cases().items():
            goal = {"text": at_least(6), "binary": at_least(15)}.get(name.partition(",")[0])
            table.time(name, partial(work, message), goal=goal if title == "1 MiB" else None)
        await table.measure()

    memory = section.table("Peak above one message of 16 MB, both ends", unit="messages", rounds=5)
    for name in cases():
        goal = {"text": at_most(6, "messages"), "binary": at_most(2.2, "messages")}.get(
            name.partition(",")[0]
        )
        memory.process(
            name, ["-c", f"import benchmarks.bench_chunker as b; b.print_peak({name!r})"], goal=goal
        )
    await memory.measure()

    steps = section.table("Longest step of a message of 64 MB, binary, spooled", rounds=7)
    message = message_of(LONG_MESSAGE)
    for step in ("encode", "one frame", "one fragment", "the last fragment"):
        bound = 5 if step == "the last fragment" else 1
        steps.sample(step, partial(longest, message, step), goal=at_most(bound, "ms"))
    await steps.measure()
    section.note(
        "There and back: a message with one attachment is cut, put together, validated, and the "
        "attachment is there as raw bytes again; both ends run in one process, and the binary "
        "codec checks its digest. The original chunker is given the largest slices that its own "
        "reader accepts; by default it could not read itself."
    )


def cases() -> dict[str, Work]:
    """Each way there and back, by name."""
    return {
        ORIGINAL: original_chunker.there_and_back,
        "text, 256 KiB fragments": there_and_back("text", 256 * KIB),
        "text, 64 KiB fragments": there_and_back("text", 64 * KIB),
        "binary, 256 KiB fragments": there_and_back("binary", 256 * KIB),
        "binary, 64 KiB fragments": there_and_back("binary", 64 * KIB),
    }


def there_and_back(codec: Any, fragment_bytes: int) -> Work:
    """Our way; each message has an id of its own, as it must."""
    chunker = Chunker(fragment_bytes, codec=codec)
    reassembler = Reassembler(raw=True)
    count = 0

    def work(message: Message) -> bytes:
        nonlocal count
        count += 1
        whole: Message | None = None
        for frame in chunker.split(message, str(count)):
            whole = reassembler.feed(frame, 0.0)
        assert whole is not None
        content: bytes = whole["attachments"][0]["content"]
        return content

    return work


def message_of(size: int) -> Message:
    """A file with a few words; they are not ASCII, as people's words are not."""
    file = {"name": "a.bin", "type": "application/octet-stream", "content": os.urandom(size)}
    return {
        "to": "05" + "ab" * 32,
        "from": "05" + "cd" * 32,
        "text": "Voilà 😀",
        "attachments": [file],
    }


def longest(message: Message, wanted: str) -> float:
    """Milliseconds of work in the longest step of each kind, without the waits for a processor."""
    reassembler = Reassembler(spool=tempfile.TemporaryFile)
    start = thread_time()
    frames = Chunker(64 * KIB, codec="binary").split(message, "m1")
    found = {"encode": thread_time() - start, "one frame": 0.0, "one fragment": 0.0}
    whole: Message | None = None
    while whole is None:
        start = thread_time()
        frame = next(frames)
        cut = thread_time()
        whole = reassembler.feed(frame, 0.0)
        step = "one fragment" if whole is None else "the last fragment"
        found["one frame"] = max(found["one frame"], cut - start)
        found[step] = max(found.get(step, 0.0), thread_time() - cut)
    whole["attachments"][0]["content"].close()
    return found[wanted] * 1e3


def print_peak(name: str) -> None:
    """Print by how many messages the memory of this process rises at its highest."""
    work = cases()[name]
    _run(work, message_of(KIB))
    message = message_of(ONE_MESSAGE)
    marks = Path("/proc/self/clear_refs")
    if marks.exists():
        marks.write_text("5")  # the peak begins again where memory is now
    before = _peak()
    _run(work, message)
    print((_peak() - before) / ONE_MESSAGE)


def _run(work: Work, message: Message) -> None:
    result = work(message)
    if inspect.iscoroutine(result):
        asyncio.run(result)


def _peak() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * KIB
    unit = 1 if sys.platform == "darwin" else KIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    Section("chunker", "The chunker", uses=("orjson", "pybase64", "pydantic")).run(main)
