"""The answer of a model server, put together from its parts; whatever is wrong is a ModelError.

    parts = AnswerParts(messages, max_chars=200_000, show=None)
    await parts.take(b'{"choices": [{"delta": {"content": "Hel"}}]}')    # False: go on
    await parts.take(b'{"choices": [{"delta": {"content": "lo"}, "finish_reason": "stop"}]}')
    parts.end()
    parts.completion("llama3.2")         # Completion(content="Hello", ...)

The one rule to remember: **a stream that ends without a reason for it was cut**, and half an
answer is not an answer.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import orjson

from sessionbot_kit.errors import ModelError
from sessionbot_kit.llm import (
    Completion,
    Finish,
    Message,
    Show,
    ToolCall,
    Usage,
    count_roughly,
    text_of,
)

MAX_TOOL_CALLS: Final = 32
MAX_ARGUMENT_CHARS: Final = 100_000
SHOWN: Final = 200  # characters of a server's own words in an error

_FINISHES: Final[dict[str, Finish]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "filter",
}


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: str = ""


class AnswerParts:
    """What has come of an answer so far."""

    def __init__(self, messages: Sequence[Message], max_chars: int, show: Show | None) -> None:
        self.shown = False
        self._messages = messages
        self._max_chars = max_chars
        self._show = show
        self.begin()

    def begin(self) -> None:
        """Forget what a try that failed has left."""
        self._texts: list[str] = []
        self._chars = 0
        self._calls: dict[Any, _Call] = {}
        self._model = ""
        self._usage: Usage | None = None
        self._finish: Finish | None = None
        self._document: Any = None

    @property
    def text(self) -> str:
        return "".join(self._texts)

    async def take(self, data: bytes) -> bool:
        """One event of a stream; True when there is enough."""
        document = _read(data)
        await self._take(document, "delta")
        return self._chars >= self._max_chars

    async def take_whole(self, body: bytes, kind: str) -> None:
        """A whole answer, of a server that does not stream or was not asked to."""
        if kind.startswith("text/html"):
            raise ModelError(
                f"the model server answers with a web page ({_excerpt(body)}); check its url, "
                "which mostly ends in /v1"
            )
        self._document = document = _read(body)
        await self._take(document, "message")
        if self._finish is None:
            self._finish = "stop"

    def end(self) -> None:
        """The stream has ended."""
        if self._finish is None:
            raise ModelError(
                "the model server stopped in the middle of its answer; ask again", partial=self.text
            )

    def completion(self, wanted: str) -> Completion:
        calls = tuple(
            ToolCall(call.id or f"call_{number}", call.name, call.arguments or "{}")
            for number, call in enumerate(self._calls.values())
        )
        if self._document is not None and not self._document.get("choices"):
            said = _excerpt(orjson.dumps(self._document))
            raise ModelError(
                f"the model server's answer has no choices ({said}); "
                "check that its url leads to an OpenAI-compatible API"
            )
        return Completion(
            content=self.text,
            tool_calls=calls,
            model=self._model or wanted,
            usage=self._usage or self._estimate(),
            finish="tool_calls" if calls else self._finish or "length",
        )

    def vectors(self, count: int) -> list[list[float]]:
        rows = self._listed("data")
        try:
            rows.sort(key=lambda row: row.get("index", 0))
            vectors = [[float(value) for value in row["embedding"]] for row in rows]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ModelError(f"the model server gave no vectors ({error!r})") from error
        if len(vectors) != count or not all(map(math.isfinite, chain(*vectors))):
            raise ModelError(
                f"the model server gave {len(vectors)} vectors for {count} texts, or broken ones; "
                "check that its model makes embeddings"
            )
        return vectors

    def model_names(self) -> list[str]:
        return [
            str(row["id"]) for row in self._listed("data") if isinstance(row, dict) if "id" in row
        ]

    # How it works

    async def _take(self, document: Any, part: str) -> None:
        if not isinstance(document, dict):
            raise ModelError(
                f"the model server answers {_excerpt(orjson.dumps(document))}, which is no answer; "
                "check its url"
            )
        if document.get("error"):
            said = _excerpt(orjson.dumps(document["error"]))
            raise ModelError(f"the model server reports {said}", partial=self.text)
        if isinstance(model := document.get("model"), str):
            self._model = model
        self._count(document.get("usage"))
        choices = document.get("choices") or []
        try:
            for choice in choices[:1]:
                answer: dict[str, Any] = choice.get(part) or {}
                for call in answer.get("tool_calls") or ():
                    self._call(call)
                if reason := choice.get("finish_reason"):
                    self._finish = _FINISHES.get(reason, "stop")
                if content := answer.get("content"):
                    await self._say(content)
        except (AttributeError, KeyError, TypeError) as error:
            raise ModelError(
                f"the model server's answer is not laid out as it should be ({error!r}); "
                "check that its url leads to an OpenAI-compatible API",
                partial=self.text,
            ) from error

    async def _say(self, content: str) -> None:
        content = content[: self._max_chars - self._chars]
        self._chars += len(content)
        self._texts.append(content)
        if self._chars >= self._max_chars:
            self._finish = "length"
        if self._show is not None and content:
            self.shown = True
            await self._show(content)

    def _call(self, part: Any) -> None:
        # Pieces of one call have its index; some servers give none, and each call whole.
        key = part.get("index", part.get("id") or len(self._calls))
        call = self._calls.setdefault(key, _Call())
        if len(self._calls) > MAX_TOOL_CALLS:
            raise ModelError(
                f"the model wants more than {MAX_TOOL_CALLS} tools called at once; ask it again"
            )
        function = part.get("function") or {}
        arguments = function.get("arguments") or ""
        if not isinstance(arguments, str):  # some servers send the object itself
            arguments = orjson.dumps(arguments).decode()
        call.id = part.get("id") or call.id
        call.name += function.get("name") or ""
        call.arguments += arguments
        if len(call.arguments) + len(call.name) > MAX_ARGUMENT_CHARS:
            raise ModelError(
                f"the model gives a tool more than {MAX_ARGUMENT_CHARS:,} characters; ask it again"
            )

    def _count(self, usage: Any) -> None:
        if isinstance(usage, dict):
            asked, said = usage.get("prompt_tokens"), usage.get("completion_tokens")
            if isinstance(asked, int) and isinstance(said, int) and asked >= 0 and said >= 0:
                self._usage = Usage(asked, said)

    def _estimate(self) -> Usage:
        asked = count_roughly([text_of(message) for message in self._messages])
        return Usage(asked, count_roughly([self.text]), estimated=True)

    def _listed(self, name: str) -> list[Any]:
        rows = self._document.get(name) if isinstance(self._document, dict) else None
        if not isinstance(rows, list):
            raise ModelError(f"the model server gave no list of {name}; check its url")
        return rows


def complain(name: str, url: str, status: int, body: bytes) -> str:
    """The sentence for a refusal."""
    said = _excerpt(body)
    hint = {
        401: "check the key",
        403: "check the key and what it may do",
        404: f"check the url, which mostly ends in /v1, and that the server has {name}",
        429: "ask again later, or ask less",
    }.get(status, "look at the server's log")
    return f"{name} at {url} refuses with status {status}{f' ({said})' if said else ''}; {hint}"


def _read(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ModelError(
            f"the model server sends {_excerpt(data)!r}, which is not JSON; "
            "check that its url leads to an OpenAI-compatible API"
        ) from error


def _excerpt(data: bytes) -> str:
    text = re.sub(r"<[^>]*>", " ", data[: SHOWN * 4].decode("utf-8", "replace"))
    text = " ".join(part for part in text.split() if part.isprintable())
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"
