"""Chaos: people talk to a bot whose processes are killed, frozen and cut off at random.

    make chaos                          # ten minutes
    make chaos ARGS="--minutes 1"

The parent is the platform, and the people on it; a gateway and two plugin kernels are processes,
joined through a proxy that cuts. What must hold: every acknowledged message is answered, a counter
in the plugin equals the number of messages, dialogs go on at their question, and each reply comes
once by its name. It prints what it did, and ends with an error when something did not hold.
"""

import argparse
import asyncio
import os
import random
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.cutting_proxy import CuttingProxy
from tests.test_kills import ROOT, Platform, Talker

PEOPLE = 8
KERNELS = ("one", "two")
LEAST = 3  # deeds, however slow the machine is


@dataclass
class Figures:
    """What was done, and what came of it."""

    deeds: Counter[str] = field(default_factory=Counter)
    messages: int = 0
    replies: int = 0
    copies: int = 0
    seconds: float = 0.0
    recoveries_s: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        deeds = ", ".join(f"{count} {deed}" for deed, count in sorted(self.deeds.items()))
        waited = sorted(self.recoveries_s) or [0.0]
        return (
            f"{self.seconds:.0f} s: {deeds}\n"
            f"{self.messages:,} messages acknowledged, each answered; {self.replies:,} replies, "
            f"each once by its name ({self.copies} came again under the same name)\n"
            f"until the next message after a deed: median {statistics.median(waited):.2f} s, "
            f"longest {waited[-1]:.2f} s"
        )


class Stage:
    """The processes, and what is done to them."""

    def __init__(self, folder: Path, platform: Platform, proxy: CuttingProxy) -> None:
        self._folder = folder
        self._platform = platform
        self._proxy = proxy
        self._processes: dict[str, asyncio.subprocess.Process] = {}

    async def start(self, name: str) -> None:
        if name == "gateway":
            ports = self._platform.port, self._proxy.target
            words = ["gateway", str(self._folder / "bot.db"), *map(str, ports)]
        else:
            words = ["kernel", str(self._proxy.port), name]
        self._processes[name] = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.chaos_child", *words, cwd=ROOT
        )

    async def kill(self, name: str) -> None:
        process = self._processes[name]
        if process.returncode is None:
            process.kill()
        await process.wait()

    async def do(self, deed: str) -> None:
        """One thing that must not matter."""
        verb, _, name = deed.partition(" ")
        if verb == "kill":
            await self.kill(name)
            await self.start(name)
        elif verb == "freeze":
            pid = self._processes[name].pid
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(random.uniform(0.05, 3.0))
            os.kill(pid, signal.SIGCONT)
        else:
            self._proxy.cut()

    async def close(self) -> None:
        for name in self._processes:
            await self.kill(name)


DEEDS = {
    "kill gateway": 3,
    **{f"kill {name}": 2 for name in KERNELS},
    "freeze gateway": 1,
    **{f"freeze {name}": 1 for name in KERNELS},
    "cut links": 3,
}


async def chaos(seconds: float, *, say: bool = False) -> Figures:
    """Let it happen for so long; raises when something was lost, repeated or miscounted."""
    figures, stop = Figures(), asyncio.Event()

    async def talk(name: str, platform: Platform) -> None:
        talker = Talker(platform, name)
        while not stop.is_set():
            await talker.count()
            await talker.trip()

    async with a_stage() as (stage, platform), asyncio.TaskGroup() as group:
        for number in range(PEOPLE):
            group.create_task(talk(f"user {number}", platform))
        await platform.hears_more(PEOPLE)  # all processes are up
        began = time.monotonic()
        while (now := time.monotonic()) - began < seconds or figures.deeds.total() < LEAST:
            (deed,) = random.choices(list(DEEDS), list(DEEDS.values()))
            await stage.do(deed)
            figures.deeds[deed] += 1
            await platform.hears_more(1)
            figures.recoveries_s.append(time.monotonic() - now)
            await platform.hears_more(random.randint(1, 40))
            if say and sum(figures.deeds.values()) % 50 == 0:
                print(f"{now - began:5.0f} s: {sum(figures.deeds.values())} deeds", flush=True)
        stop.set()
        figures.seconds = time.monotonic() - began
    figures.messages = len(platform.acknowledged)
    figures.replies = sum(len(replies) for replies in platform.replies.values())
    figures.copies = platform.copies
    counts = {id: len(replies) for id, replies in platform.replies.items()}
    if platform.acknowledged != set(platform.expected) or counts != platform.expected:
        wrong = sorted(id for id in platform.expected if counts.get(id) != platform.expected[id])
        raise AssertionError(f"these have other replies than they should: {wrong[:10]}")
    return figures


@asynccontextmanager
async def a_stage() -> AsyncIterator[tuple[Stage, Platform]]:
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    platform = Platform(folder / "none.db")
    await platform.open()
    try:
        async with CuttingProxy(_free_port()) as proxy:
            stage = Stage(folder, platform, proxy)
            try:
                for name in ("gateway", *KERNELS):
                    await stage.start(name)
                yield stage, platform
            finally:
                await stage.close()
    finally:
        await platform.close()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None, help="the order of what is done")
    chosen = parser.parse_args()
    seed = random.randrange(10**9) if chosen.seed is None else chosen.seed
    random.seed(seed)
    print(f"seed {seed}", flush=True)
    print(asyncio.run(chaos(chosen.minutes * 60, say=True)))


if __name__ == "__main__":
    main()
