"""`Assistant`: from a message to an answer, with everything that costs recorded as a step.

    Assistant(model, tools=[add], collections=["house"], knowledge="data/knowledge.db")

A model's answer, each lookup and each result of a tool is a recorded step: a turn whose process
was killed goes on from there, and pays for no answer twice. The one rule to remember: a model only
asks. A tool runs if it is on the allow list and its arguments fit, and one that acts only after
the person has said yes.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from sessionbot_kit.dialog import Chat
from sessionbot_kit.errors import KitError, ModelError, UsageError
from sessionbot_kit.extension import Plugin, PluginMeta
from sessionbot_kit.knowledge import Hit, Knowledge
from sessionbot_kit.llm import Completion, LanguageModel, ToolCall
from sessionbot_kit.llms import open_model
from sessionbot_kit.models import IncomingMessage
from sessionbot_kit.plain_text import one_line, visible, without_images
from sessionbot_kit.plugins.assistant.commands import (
    NAME,
    choices_of,
    choose_collection,
    choose_model,
    number_of,
)
from sessionbot_kit.plugins.assistant.prompt import MOST_RESULT_CHARS, Prompt
from sessionbot_kit.registry import Registry, call
from sessionbot_kit.secrecy import conceal, secrets_in
from sessionbot_kit.tool import MOST_ARGUMENT_CHARS, Tool

log = logging.getLogger(__name__)

NO_MODEL: Final = (
    "I have no language model to answer with. Whoever runs me can name one: a url and a model "
    "under plugins: assistant: in sessionbot.yml."
)
NOT_NOW: Final = "Sorry, my language model does not answer right now. Please try again later."
ENOUGH: Final = "Sorry, I went round in circles. Please ask me in another way."
EMPTY: Final = "Sorry, I have nothing to say to that."
ROUNDS: Final = 5
CALLS: Final = 8  # of tools, in one answer of the model
MOST_CHARS: Final = 50_000  # of one answer
CONFIRM_S: Final = 300.0
DRAFT_EVERY_S: Final = 0.4


class Assistant(Plugin):
    """Answer with a language model, on this machine or wherever its owner has said."""

    meta = PluginMeta(
        id=NAME, version="1", implements={"chat.message": "answer"}, priority=90, secrets=("key",)
    )
    prefixes = ("/model", "/kb")
    default = True
    registry: Registry

    def __init__(
        self,
        model: LanguageModel | None = None,
        *,
        tools: Iterable[Tool] = (),
        collections: Iterable[str] = (),
        knowledge: Knowledge | str | Path | None = None,
        rules: str = "",
    ) -> None:
        self.model = model
        self._own_tools = tuple(tools)
        self._collections = tuple(collections)
        self._models: tuple[str, ...] = ()
        self._allow: tuple[str, ...] = ()
        self._budget, self._max_tokens, self._passages = 3_000, 1_000, 5
        self._temperature: float | None = None
        self._given = knowledge if isinstance(knowledge, Knowledge) else None
        self._index = None if knowledge is None or self._given else Path(str(knowledge))
        self._prompt = Prompt(rules)
        self._rules = rules
        self._knowledge: Knowledge | None = None

    def configure(self, config: Mapping[str, Any]) -> None:
        if self.model is None:
            self.model = open_model(config)
        self._rules = str(config.get("rules", self._rules))
        self._models = tuple(config.get("models", ()))
        self._allow = tuple(config.get("allow", ()))
        self._collections = tuple(config.get("collections", self._collections))
        self._budget = number_of(config, "context_tokens", self._budget)
        self._max_tokens = number_of(config, "max_tokens", self._max_tokens)
        self._passages = number_of(config, "passages", self._passages)
        self._temperature = config.get("temperature")
        if "index" in config:
            self._index = Path(config["index"])
        self._prompt = Prompt(self._rules, secrets_in(conceal(dict(config))))

    async def start(self) -> None:
        if self._given is None and self._index is not None:
            # A model makes vectors only where its owner has named one for it.
            self._knowledge = await Knowledge(self._index).__aenter__()
        else:
            self._knowledge = self._given

    async def stop(self) -> None:
        if self._knowledge is not None and self._knowledge is not self._given:
            await self._knowledge.aclose()
        if self.model is not None:
            await self.model.aclose()

    async def answer(self, message: IncomingMessage, chat: Chat) -> str:
        first, *words = (message.raw_content or message.content).split() or [""]
        default = self.model.name if self.model else "Nobody"
        if first == "/model":
            return choose_model(chat, words, default, self._models)
        if first == "/kb":
            return choose_collection(chat, words, self._active(chat), self._collections)
        if self.model is None:
            return NO_MODEL
        window = await chat.context(self._budget)
        hits = await self._look_up(message.content, chat)
        rules = await self._more_rules(chat)
        messages = self._prompt.messages(window, message.content, hits, rules)
        try:
            text = await self._converse(self.model, messages, chat)
        except ModelError as error:
            log.warning("model did not answer", extra={"model": default, "error": str(error)})
            return NOT_NOW
        return with_sources(without_images(visible(text)).strip() or EMPTY, hits)

    # Looking things up

    def _active(self, chat: Chat) -> list[str]:
        """The collections of this conversation: as chosen, or set up, or by default."""
        chosen = choices_of(chat).get(
            "collections", chat.settings.get("knowledge", self._collections)
        )
        names = chosen if isinstance(chosen, list | tuple) else ()
        return [str(name) for name in names if name in self._collections]

    async def _look_up(self, question: str, chat: Chat) -> list[Hit]:
        active, knowledge = self._active(chat), self._knowledge
        if not active or knowledge is None:
            return []

        async def search() -> list[Any]:
            hits = await knowledge.search(
                question, among=active, owner=chat.session, limit=self._passages
            )
            return [packed(hit) for hit in hits]

        found = await chat.once("passages", search)
        return [Hit(**{**hit, "found_by": tuple(hit["found_by"])}) for hit in found]

    async def _more_rules(self, chat: Chat) -> list[str]:
        """What the session's owner and other plugins add to the rules."""
        set_up = chat.settings.get("prompts", ())
        rules = [str(rule) for rule in set_up] if isinstance(set_up, list) else []
        ctx: dict[str, Any] = {"prompts": rules, "session": chat.session, "user": chat.user}
        registry = getattr(self, "registry", None)
        if registry is not None and registry.get_implementations("context.prompt"):
            ctx = await chat.once(
                "rules", partial(registry.call_extension_chain, "context.prompt", ctx)
            )
        return [str(rule) for rule in ctx.get("prompts", ())]

    # Talking with the model

    async def _converse(
        self, model: LanguageModel, messages: list[dict[str, Any]], chat: Chat
    ) -> str:
        tools = await self._tools(chat)
        for number in range(1, ROUNDS + 1):
            completion = await chat.once(
                f"answer {number}", partial(self._ask, model, messages, tools, chat)
            )
            count(chat, completion)
            calls = [ToolCall(**one) for one in completion["calls"]]
            if not calls:
                return str(completion["content"])
            messages.append(
                {
                    "role": "assistant",
                    "content": completion["content"],
                    "tool_calls": [one.as_message_part() for one in calls],
                }
            )
            for place, one in enumerate(calls):
                said = await self._use(one, tools, chat, f"tool {number}.{place}")
                content = self._prompt.data(said, f"the tool {one.name}"[:80])
                messages.append({"role": "tool", "tool_call_id": one.id, "content": content})
        return ENOUGH

    async def _ask(
        self,
        model: LanguageModel,
        messages: Sequence[Mapping[str, Any]],
        tools: Mapping[str, Tool],
        chat: Chat,
    ) -> dict[str, Any]:
        chosen, set_up = choices_of(chat), chat.settings.get("llm")
        llm: dict[str, Any] = dict(set_up) if isinstance(set_up, dict) else {}
        temperature = chosen.get("temperature", llm.get("temperature", self._temperature))
        completion = await model.chat(
            messages,
            tools=[one.spec for one in tools.values()],
            model=chosen.get("model") or llm.get("model"),
            max_tokens=llm.get("max_tokens", self._max_tokens),
            temperature=temperature,
            stream=Drafts(chat).show,
        )
        return as_step(completion)

    # Tools

    async def _tools(self, chat: Chat) -> dict[str, Tool]:
        """What the model may ask for: our own tools, and those of others that are allowed."""
        offered = {one.name: one for one in self._own_tools}
        registry = getattr(self, "registry", None)
        for _, plugin, method in registry.get_implementations("tools") if registry else ():
            for one in await call(getattr(plugin, method)):
                if one.name in self._allow:
                    offered.setdefault(one.name, one)
        loaded = chat.settings.get("tools")
        if not isinstance(loaded, list):
            return offered
        return {name: one for name, one in offered.items() if name in loaded}

    async def _use(self, wanted: ToolCall, tools: Mapping[str, Tool], chat: Chat, step: str) -> str:
        """What came of a tool, or why it was not called; either way something for the model."""
        one = tools.get(wanted.name)
        if one is None:
            return f"There is no tool {one_line(visible(wanted.name))[:80]!r}."
        try:
            arguments = one.check(wanted.arguments)
        except UsageError as error:
            return str(error)
        if one.acts:
            shown = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
            question = visible(f"May I call {one.name}({shown[:500]})?")
            answer = await chat.ask(
                question, choices=["yes", "no"], timeout=CONFIRM_S, default="no", name=step
            )
            if answer != "yes":
                return "The person has said no."
        return str(await chat.once(step, partial(called, one, arguments)))


class Drafts:
    """Shows an answer as it grows, but not more often than a platform bears."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._text = ""
        self._next = 0.0

    async def show(self, piece: str) -> None:
        self._text += piece
        now = asyncio.get_running_loop().time()
        if now >= self._next and self._text.strip():
            self._next = now + DRAFT_EVERY_S
            await self._chat.draft(without_images(visible(self._text)))


async def called(one: Tool, arguments: Mapping[str, Any]) -> str:
    """Call a tool; what goes wrong in it is told to the model, not to the person."""
    try:
        # Cut before it is recorded: the journal of a dialog has a bound.
        return str(await call(partial(one.function, **arguments)))[:MOST_RESULT_CHARS]
    except KitError as error:
        return f"It did not work: {error}"
    except Exception as error:  # somebody else's function, with a model's arguments
        return f"It did not work: {type(error).__name__}"


def count(chat: Chat, completion: Mapping[str, Any]) -> None:
    """Add what an answer took to the totals of the session."""
    choices = choices_of(chat)
    usage = dict(choices.get("usage") or {})
    for name in ("prompt_tokens", "completion_tokens"):
        usage[name] = usage.get(name, 0) + completion["usage"][name]
    usage["calls"] = usage.get("calls", 0) + 1
    chat.vars[NAME] = choices | {"usage": usage}


def as_step(completion: Completion) -> dict[str, Any]:
    """An answer as a journal keeps it."""
    calls = completion.tool_calls[:CALLS]
    most = MOST_ARGUMENT_CHARS + 1  # what is longer is refused all the same
    return {
        "content": completion.content[:MOST_CHARS],
        "calls": [
            {"id": one.id[:80], "name": one.name[:80], "arguments": one.arguments[:most]}
            for one in calls
        ],
        "model": completion.model,
        "usage": {
            "prompt_tokens": completion.usage.prompt_tokens,
            "completion_tokens": completion.usage.completion_tokens,
        },
    }


def packed(hit: Hit) -> dict[str, Any]:
    names = ("collection", "path", "first", "last", "heading", "text", "score", "found_by")
    return {name: getattr(hit, name) for name in names}


def with_sources(text: str, hits: Sequence[Hit]) -> str:
    """Name the passages that were read, as we know them and not as a model says."""
    sources = dict.fromkeys(hit.citation for hit in hits)
    return f"{text}\n\nLooked up in: {', '.join(sources)}" if sources else text


assistant = Assistant()
