"""A model behind the API that nearly every server speaks: Ollama, llama.cpp, vLLM, LM Studio.

    model = OpenAICompatible("http://127.0.0.1:11434/v1", model="llama3.2")
    await model.chat([{"role": "user", "content": "Hello!"}], stream=show)
    await model.aclose()

Nothing but httpx. A server that is busy (429), broken (5xx) or not there yet is asked again, with
full jitter and its own Retry-After; but only while no piece of the answer has been shown, because
what was shown cannot be taken back. The one rule to remember: **every wait and every size has a
bound** (`ModelLimits`), and what goes beyond is a ModelError with what to do.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import fields
from email.utils import parsedate_to_datetime
from time import time
from typing import Any, Final, Self

import httpx
import orjson

from sessionbot_kit.backoff import Backoff
from sessionbot_kit.errors import ModelError, SettingsError
from sessionbot_kit.llm import Completion, Message, Show, ToolSpec
from sessionbot_kit.llms.openai_compatible.answer_parts import AnswerParts, complain
from sessionbot_kit.llms.openai_compatible.model_limits import ModelLimits
from sessionbot_kit.llms.openai_compatible.server_events import EventStream
from sessionbot_kit.secrecy import HIDDEN

AGAIN: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
DONE: Final = b"[DONE]"
WHOLE: Final = ("application/json", "text/html")
ERROR_BYTES: Final = 2_000
Sleep = Callable[[float], Awaitable[None]]


class OpenAICompatible:
    """One server, one default model. It connects when it is asked something, not before."""

    def __init__(
        self,
        url: str,
        *,
        model: str,
        key: str | None = None,
        embedding_model: str | None = None,
        limits: ModelLimits | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        if httpx.URL(url).scheme not in ("http", "https"):
            raise SettingsError(f"{url!r} is no address; write http://127.0.0.1:11434/v1")
        self.name = model
        self.url = url.rstrip("/")
        self.limits = limits or ModelLimits()
        self._key = key
        self._embedding_model = embedding_model or model
        self._sleep = sleep
        self._client: httpx.AsyncClient | None = None

    @classmethod
    def of(cls, section: Mapping[str, Any]) -> Self:
        """A model as a section of the settings describes it: `url`, `model`, `key`, limits."""
        bounds = {field.name for field in fields(ModelLimits)}
        if not section.get("url") or not section.get("model"):
            raise SettingsError("a language model needs its url and its model; set both")
        return cls(
            str(section["url"]),
            model=str(section["model"]),
            key=section.get("key"),
            embedding_model=section.get("embedding_model"),
            limits=ModelLimits(**{name: section[name] for name in bounds & section.keys()}),
        )

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
        wanted: dict[str, Any] = {"model": model or self.name, "messages": list(messages)}
        if tools:
            wanted["tools"] = [_function(tool) for tool in tools]
        if max_tokens is not None:
            wanted["max_tokens"] = max_tokens
        if temperature is not None:
            wanted["temperature"] = temperature
        if stream is not None:
            wanted |= {"stream": True, "stream_options": {"include_usage": True}}
        parts = AnswerParts(messages, self.limits.answer_chars, stream)
        await self._ask("chat/completions", wanted, parts)
        return parts.completion(wanted["model"])

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        vectors: list[list[float]] = []
        for first in range(0, len(texts), self.limits.embed_batch):
            batch = list(texts[first : first + self.limits.embed_batch])
            parts = AnswerParts((), self.limits.answer_chars, None)
            await self._ask("embeddings", {"model": self._embedding_model, "input": batch}, parts)
            vectors += parts.vectors(len(batch))
        if len({len(vector) for vector in vectors}) > 1:
            raise ModelError("the model server gave vectors of several lengths; use one model")
        return vectors

    async def models(self) -> list[str]:
        """The names of the models that the server has."""
        parts = AnswerParts((), self.limits.answer_chars, None)
        await self._ask("models", None, parts)
        return parts.model_names()

    async def aclose(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"{self.name} at {self.url}"

    # How it works

    async def _ask(self, path: str, wanted: dict[str, Any] | None, parts: AnswerParts) -> None:
        """Ask, and ask again while that can help and nothing was shown."""
        limits = self.limits
        backoff = Backoff(random.random, first_s=limits.first_wait_s, most_s=limits.longest_wait_s)
        try:
            async with asyncio.timeout(limits.total_s):
                for left in range(limits.tries - 1, -1, -1):
                    try:
                        return await self._try(path, wanted, parts)
                    except _Again as again:
                        error = again.error
                    wait_s = max(backoff.delay(), error.retry_after or 0.0)
                    if not left or parts.shown or wait_s > limits.longest_wait_s:
                        raise error
                    await self._sleep(wait_s)
        except ModelError as error:
            if self._key and self._key in str(error):  # servers quote the key that they refuse
                error.args = (str(error).replace(self._key, HIDDEN),)
                error.__cause__ = None
            raise
        except TimeoutError as error:
            raise ModelError(
                f"{self} did not finish within {limits.total_s:g} s; ask for less with "
                "max_tokens, or raise total_s",
                partial=parts.text,
            ) from error

    async def _try(self, path: str, wanted: dict[str, Any] | None, parts: AnswerParts) -> None:
        parts.begin()
        method, content = ("GET", None) if wanted is None else ("POST", orjson.dumps(wanted))
        try:
            async with self._connected().stream(
                method, f"{self.url}/{path}", content=content, headers=self._headers()
            ) as response:
                if response.status_code != 200:
                    raise await self._refused(response)
                kind = response.headers.get("content-type", "")
                # Some servers stream under another name: what is neither JSON nor a web page is
                # read as what was asked for.
                streamed = wanted is not None and "stream" in wanted and not kind.startswith(WHOLE)
                if streamed or kind.startswith("text/event-stream"):
                    await self._read_stream(response, parts)
                else:
                    await parts.take_whole(await self._body(response), kind)
        except httpx.TimeoutException as error:
            raise _Again(self._silent(error, parts)) from error
        except httpx.TransportError as error:
            raise _Again(self._gone(error, parts)) from error

    async def _read_stream(self, response: httpx.Response, parts: AnswerParts) -> None:
        events = EventStream(max_line_bytes=self.limits.line_bytes)
        chunks = response.aiter_bytes()
        wait_s = self.limits.first_token_s
        while True:
            try:
                async with asyncio.timeout(wait_s):
                    chunk = await anext(chunks, None)
            except TimeoutError as error:
                raise _Again(self._silent(error, parts)) from error
            for data in events.end() if chunk is None else events.feed(chunk):
                if data == DONE:
                    return parts.end()
                if await parts.take(data):
                    return  # enough; leaving closes the connection, and the server stops
                wait_s = self.limits.next_token_s
            if chunk is None:
                return parts.end()

    async def _body(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > self.limits.body_bytes:
                raise ModelError(
                    f"{self} answers with more than {self.limits.body_bytes:,} bytes; "
                    "ask for less with max_tokens, or raise body_bytes"
                )
        return bytes(body)

    async def _refused(self, response: httpx.Response) -> Exception:
        status, after = response.status_code, _retry_after(response)
        body = b""
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > ERROR_BYTES:
                break
        detail = complain(self.name, self.url, status, body)
        error = ModelError(detail, status=status, retry_after=after)
        return _Again(error) if status in AGAIN else error

    def _silent(self, error: Exception, parts: AnswerParts) -> ModelError:
        return ModelError(
            f"{self} is silent ({type(error).__name__}); see whether it still works, or raise "
            "connect_s, first_token_s or next_token_s",
            partial=parts.text,
        )

    def _gone(self, error: Exception, parts: AnswerParts) -> ModelError:
        what = "broke off in the middle" if parts.text else "cannot be reached"
        return ModelError(
            f"{self} {what} ({type(error).__name__}: {error}); see whether the server runs",
            partial=parts.text,
        )

    def _headers(self) -> dict[str, str]:
        headers = {"content-type": "application/json"}
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        return headers

    def _connected(self) -> httpx.AsyncClient:
        if self._client is None:
            limits = self.limits
            # No proxy and no .netrc of the environment: what is asked goes to this address alone.
            self._client = httpx.AsyncClient(
                trust_env=False,
                timeout=httpx.Timeout(limits.first_token_s, connect=limits.connect_s),
            )
        return self._client


class _Again(Exception):
    """This try has failed, and another may succeed."""

    def __init__(self, error: ModelError) -> None:
        super().__init__(str(error))
        self.error = error


def _function(tool: ToolSpec) -> dict[str, Any]:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
    }
    return {"type": "function", "function": function}


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds, or a date: servers say either."""
    said = response.headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time())
    except ValueError:
        return None
