"""A stand-in that is no language model: it says what it was told to say, without any network.

    model = Scripted(["Hello!", "Good-bye."])       # one after the other, then as below
    model = Scripted([ToolCall("1", "add", '{"a": 1, "b": 2}'), "It is 3."])
    await Scripted().chat([{"role": "user", "content": "hi"}])
    # -> "(No language model is at work here: this is a script.) You said: hi"

For notebooks, demonstrations and tests: the same questions give the same answers, each time. The
one rule to remember: **it never passes itself off as a model**; its name is `scripted`.
"""

import math
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from sessionbot_kit.llm import (
    Completion,
    Message,
    Show,
    ToolCall,
    ToolSpec,
    Usage,
    count_roughly,
    text_of,
)

SAYS_SO: Final = "(No language model is at work here: this is a script.)"
DIMENSIONS: Final = 256
REMEMBERED: Final = 100

Line = str | ToolCall | Completion
Script = Iterable[Line] | Callable[[Sequence[Message]], Line]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the script was asked once."""

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...]
    model: str | None
    max_tokens: int | None
    temperature: float | None


class Scripted:
    """Answers from a list or a function; `asked` keeps the last questions for tests to look at."""

    name = "scripted"

    def __init__(self, script: Script = ()) -> None:
        self.asked: deque[Asked] = deque(maxlen=REMEMBERED)
        self._write = script if callable(script) else None
        self._lines = iter(()) if callable(script) else iter(script)

    async def chat(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolSpec] = (),
        model: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        stream: Show | None = None,
    ) -> Completion:
        self.asked.append(Asked(tuple(messages), tuple(tools), model, max_tokens, temperature))
        line = self._write(messages) if self._write else next(self._lines, _echo(messages))
        completion = self._completed(line, messages, model)
        if stream is not None:
            for piece in re.findall(r"\s*\S+\s*", completion.content):
                await stream(piece)
        return completion

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Vectors of which words a text has: alike words, near vectors. It understands nothing."""
        return [_bag_of_words(text) for text in texts]

    async def aclose(self) -> None:
        pass

    def _completed(self, line: Line, messages: Sequence[Message], model: str | None) -> Completion:
        if isinstance(line, Completion):
            return line
        content, calls = (line, ()) if isinstance(line, str) else ("", (line,))
        return Completion(
            content=content,
            tool_calls=calls,
            model=model or self.name,
            usage=Usage(
                prompt_tokens=count_roughly([text_of(message) for message in messages]),
                completion_tokens=count_roughly([content]),
                estimated=True,
            ),
            finish="tool_calls" if calls else "stop",
        )


def _echo(messages: Sequence[Message]) -> str:
    said = [message for message in messages if _role(message) == "user"]
    return f"{SAYS_SO} You said: {text_of(said[-1])}" if said else SAYS_SO


def _role(message: Mapping[str, object]) -> object:
    return message.get("role")


def _bag_of_words(text: str) -> list[float]:
    vector = [0.0] * DIMENSIONS
    for word in re.findall(r"\w+", text.casefold()):
        place = int.from_bytes(blake2b(word.encode(), digest_size=4).digest()) % DIMENSIONS
        vector[place] += 1.0
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [value / length for value in vector]
