"""What is asked twice with the same key happens once.

    memo = Memo()
    answer = await memo.once("admin", "key-1", body, lambda: handler(ask))

The second answer is the first one, kept for a day in memory. Messages of people need no memory:
there the key becomes the id of the message, and the inbox knows it, also after a restart. The one
rule to remember: a key stands for one request; with another body it is refused.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from sessionbot_kit.rest.exchange import Answer
from sessionbot_kit.rest.problems import Problem

KEPT_S: Final = 86_400.0
KEPT_ANSWERS: Final = 10_000
MAX_BODY: Final = 64 * 1024  # a longer answer is not kept, and its request runs again


@dataclass(slots=True)
class _Note:
    print: bytes
    at: float
    answer: Answer | None = None  # None: it is being made


class Memo:
    """Answers by key."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._notes: OrderedDict[tuple[str, str], _Note] = OrderedDict()

    async def once(
        self, who: str, key: str, asked: bytes, work: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        """Do the work, unless it was done for this key."""
        self._forget()
        name, print = (who, key), hashlib.sha256(asked).digest()
        if (note := self._notes.get(name)) is not None:
            if note.print != print:
                raise Problem(
                    422,
                    "key_used",
                    "this Idempotency-Key was used for something else; make a new one",
                )
            if note.answer is None:
                raise Problem(
                    409,
                    "in_progress",
                    "this is being done; ask again",
                    headers=((b"retry-after", b"1"),),
                )
            return note.answer
        note = self._notes[name] = _Note(print, self._clock())
        try:
            answer = await work()
        except BaseException:
            del self._notes[name]
            raise
        if answer.stream is None and len(answer.body) <= MAX_BODY:
            note.answer = answer
        else:
            del self._notes[name]
        return answer

    def _forget(self) -> None:
        oldest = self._clock() - KEPT_S
        while self._notes:
            name, note = next(iter(self._notes.items()))
            if len(self._notes) <= KEPT_ANSWERS and note.at > oldest:
                return
            del self._notes[name]
