"""A plugin kernel in a process that its gateway starts again when it ends, and kills when it hangs.

    await gateway.listen(port=0)
    gateway.keep([sys.executable, "my_kernel.py", "{url}"], name="mine")

Python that runs away is stopped by the kernel's own watchdog. Code that hangs in C hears nothing:
it keeps its turn, and the loop, until its process is killed. The one rule to remember: such a
process must hold nothing that is not in the store, and a kernel holds nothing.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Final

from sessionbot_kit.backoff import Backoff
from sessionbot_kit.switchboard import Switchboard

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0
MAX_MISSES: Final = 5  # looks in a row at which it was cut off


class Keeper:
    """Keeps one kernel alive. `name` is the one with which it introduces itself."""

    def __init__(
        self, board: Switchboard, command: Sequence[str], *, name: str, backoff: Backoff
    ) -> None:
        self._board = board
        self._command = tuple(command)
        self._name = name
        self._backoff = backoff
        self.starts = 0

    async def run(self) -> None:
        """Until canceled; then the process ends, too."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            self.starts += 1
            try:
                process = await asyncio.create_subprocess_exec(*self._command)
            except OSError as error:
                log.error("kernel not started", extra={"kernel": self._name, "error": str(error)})
            else:
                try:
                    reason = await self._watch(process)
                    log.error("kernel ended", extra={"kernel": self._name, "reason": reason})
                finally:
                    await _end(process)
                self._board.forget(self._name)
            self._backoff.lasted(loop.time() - began)
            await asyncio.sleep(self._backoff.delay())

    async def _watch(self, process: asyncio.subprocess.Process) -> str:
        """Return when it has ended, or has to; and why."""
        misses, was_here = 0, False
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    return f"its process ended with status {await process.wait()}"
            state = self._board.state_of(self._name)
            if state == "silent":
                return "it kept a turn for too long and said nothing; it hangs"
            was_here = was_here or state == "here"
            misses = 0 if state == "here" or not was_here else misses + 1
            if misses >= MAX_MISSES:
                return "it was cut off and did not come back; it hangs"


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()
