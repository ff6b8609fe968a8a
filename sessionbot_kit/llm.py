"""What a language model is to the house: it reads messages, and writes text or calls tools.

    completion = await model.chat([{"role": "user", "content": "Hello!"}])
    completion.content, completion.model, completion.usage.total_tokens

    await model.chat(messages, tools=[add], stream=show)      # each piece of text as it comes
    await model.embed(["a text", "another"])                  # a vector for each

Messages are the plain dicts that `build_context` gives. The one rule to remember: **what a model
writes is data**. Nobody runs it, opens it or believes it because a model has written it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pydantic import JsonValue

Message = Mapping[str, Any]
Show = Callable[[str], Awaitable[None]]
Finish = Literal["stop", "length", "tool_calls", "filter"]


@dataclass(frozen=True, slots=True)
class Usage:
    """What an answer took. `estimated` says that the server did not count, and we did."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    estimated: bool = False

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.estimated or other.estimated,
        )


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model wants a tool to be called. The arguments are text as it wrote them: check them."""

    id: str
    name: str
    arguments: str = "{}"

    def as_message_part(self) -> dict[str, JsonValue]:
        """The form in which it goes back to the model, before the tool's result."""
        function: JsonValue = {"name": self.name, "arguments": self.arguments}
        return {"id": self.id, "type": "function", "function": function}


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model gets to know it; `parameters` is a JSON Schema."""

    name: str
    description: str
    parameters: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model answered, and why it ended there: `length` means that it was cut."""

    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    model: str = ""
    usage: Usage = Usage()
    finish: Finish = "stop"


class LanguageModel(Protocol):
    """A model, wherever it runs. What cannot be answered is a ModelError."""

    @property
    def name(self) -> str:
        """The model that answers when a call names none."""
        ...

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
        """Answer a conversation; `stream` gets each piece of text as it comes."""
        ...

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """A vector for each text, all of one length."""
        ...

    async def aclose(self) -> None:
        """Give back connections; the model may be used again."""
        ...


def count_roughly(texts: Sequence[str]) -> int:
    """Four characters are about one token: for servers that do not say."""
    return sum(-(-len(text) // 4) for text in texts)


def text_of(message: Message) -> str:
    """The text of a message; of one in parts, that of its text parts."""
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""
