"""`Chat`: what a plugin holds while it talks in a session.

    @plugin("!pizza")
    async def pizza(message, chat):
        size = await chat.ask("Small or large?", choices=["small", "large"])
        await chat.once("order", lambda: kitchen.order(size))
        chat.vars["pizzas"] = chat.vars.get("pizzas", 0) + 1
        return f"Pizza number {chat.vars['pizzas']} is on its way."

`ask` ends the turn. The answer may come after a restart, or on another machine: then the plugin
is run again from its first line, and each step recalls what came of it (`telling.py`). Until the
last recorded step `chat` shows the world as it was then, and changes of `vars` touch a copy of it;
after that, the session as it is now. So the pizza counts once.

One rule to remember: between its steps a plugin must do the same each time. What may differ from
run to run (a web page, a file, the time) belongs into `once`; `chat.now` and `chat.random` are
the same in each run.
"""

import random
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import partial
from typing import Any, Final, Generic, NoReturn, Protocol, TypeVar, overload

import orjson
from pydantic import JsonValue

from sessionbot_kit.answers import Check
from sessionbot_kit.context import ContextWindow, Summary, build_window
from sessionbot_kit.errors import NoAnswer, UsageError
from sessionbot_kit.journal import Entry, Later, Progress
from sessionbot_kit.models import Act, IncomingMessage, Media, OutgoingMessage, StoredMessage
from sessionbot_kit.telling import EPOCH, DialogChanged, Telling, as_json

T = TypeVar("T")
D = TypeVar("D")


class Unset(Enum):
    """Says that an argument was not given, where None means something."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


class Waiting(BaseException):
    """Ends a turn that has asked. Not an error: it passes through `except Exception`."""


class WouldDo(BaseException):
    """Ends the copy of a turn where it would do something for the first time."""


class Port(Protocol):
    """What a chat needs from the world."""

    async def step(self, progress: Progress) -> None:
        """Make it durable; returns when it is on the disk."""
        ...

    async def call(self, function: Callable[[], Any]) -> Any:
        """Call what may be sync or async."""
        ...

    async def show(self, kind: str) -> None:
        """Tell the other side about something that may get lost, such as "typing"."""
        ...


class Nowhere:
    """The port of a chat whose turn can only be answered."""

    async def step(self, progress: Progress) -> None:
        raise UsageError("this chat leads nowhere, and cannot keep a step; give it a port")

    async def call(self, function: Callable[[], Any]) -> Any:
        raise UsageError("this chat leads nowhere, and cannot call a function; give it a port")

    async def show(self, kind: str) -> None:
        pass


NOWHERE: Final = Nowhere()


class Call(Generic[T]):
    """What a verb of `Chat` gives back. Nothing happens before it is awaited."""

    __slots__ = ("_chat", "_work", "verb")

    def __init__(self, chat: "Chat", verb: str, work: Callable[[], Awaitable[T]]) -> None:
        self.verb = verb
        self._chat = chat
        self._work = work
        chat.forgotten.append(self)

    def __await__(self) -> Generator[Any, Any, T]:
        return self._chat.perform(self, self._work).__await__()

    def __repr__(self) -> str:
        return f"chat.{self.verb}(...), which nobody awaits"


class Chat:
    """One dialog's view of a conversation: its variables, its history, and a voice."""

    def __init__(
        self,
        message: IncomingMessage,
        *,
        session: str,
        variables: Mapping[str, JsonValue],
        window: tuple[StoredMessage, ...] = (),
        summaries: tuple[Summary, ...] = (),
        settings: Mapping[str, JsonValue] | None = None,
        turn: str = "",
        now: datetime = EPOCH,
        seed: int = 0,
        code: str = "",
        journal: tuple[Entry, ...] = (),
        timed_out: bool = False,
        anew: bool = False,
        port: Port = NOWHERE,
    ) -> None:
        self.session = session
        self.asks: float | Unset | None = UNSET  # once it asks: the time-out, or None
        self.forgotten: list[Call[Any]] = []
        self.would_do: str | None = None  # the `once` at which a copy ends
        self._telling = Telling(
            message,
            variables=variables,
            turn=turn,
            now=now,
            seed=seed,
            code=code,
            journal=journal,
            anew=anew,
        )
        self._window = window
        self._summaries = summaries
        self._settings = settings or {}
        self._port = port
        self._timed_out = timed_out
        self._random: random.Random | None = None
        self._busy: str | None = None
        self._over = False
        self._last: Progress | None = None

    def __repr__(self) -> str:
        return f"chat with {self.user}: {len(self._window)} lines, {len(self.vars)} variables"

    # The world

    @property
    def message(self) -> IncomingMessage:
        """What the person said last."""
        return self._telling.message

    @property
    def user(self) -> str:
        """Who is talking, as the channel names them."""
        return self.message.sender_id

    @property
    def vars(self) -> dict[str, JsonValue]:
        """The variables of the session: plain JSON data, at most 1 MB."""
        return self._telling.variables.open()

    @property
    def settings(self) -> Mapping[str, JsonValue]:
        """How the session is set up now: its collections, tools, prompts and language model."""
        return self._settings

    @property
    def now(self) -> datetime:
        """When the last message came to be answered; the same each time it is told again."""
        return self._telling.now

    @property
    def random(self) -> random.Random:
        """Chance that falls the same way each time the dialog is told again."""
        if self._random is None:
            self._random = random.Random(self._telling.seed)
        return self._random

    # The verbs

    @overload
    def ask(
        self,
        text: str,
        *,
        choices: Sequence[str] | None = None,
        timeout: float | timedelta | None = None,
        validate: Callable[[str], Any] | None = None,
        name: str = "",
    ) -> Call[str]: ...
    @overload
    def ask(
        self,
        text: str,
        *,
        choices: Sequence[str] | None = None,
        timeout: float | timedelta,
        validate: Callable[[str], Any] | None = None,
        default: D,
        name: str = "",
    ) -> Call[str | D]: ...
    def ask(
        self,
        text: str,
        *,
        choices: Sequence[str] | None = None,
        timeout: float | timedelta | None = None,
        validate: Callable[[str], Any] | None = None,
        default: Any = UNSET,
        name: str = "",
    ) -> Call[Any]:
        """Ask the person something and wait for the answer, however long it takes.

        An answer that is none of the `choices`, or that `validate` refuses, is asked for again.
        Without an answer within `timeout` (seconds, or a timedelta) the `default` is the answer;
        without a default, NoAnswer is raised. A question with a `name` keeps its answer when the
        plugin is edited and the text is another.
        """
        seconds = None if timeout is None else _seconds(timeout)
        if default is not UNSET and seconds is None:
            raise UsageError("default= is the answer after a time-out; give timeout= too")
        check = Check(text, choices, validate)
        return Call(self, "ask", partial(self._ask, check, seconds, default, name))

    def say(
        self,
        content: str | OutgoingMessage,
        *,
        delete_after: float | timedelta | None = None,
        name: str = "",
    ) -> Call[str]:
        """Say something now. It stays said, whatever becomes of the turn.

        What comes back names it, for `edit` and `delete`. With `delete_after` (seconds, or a
        timedelta) it is taken back then, also after a restart.
        """
        return Call(self, "say", partial(self._say, self._outgoing(content, delete_after), name))

    def send_media(
        self,
        media: Media | Sequence[Media],
        text: str = "",
        *,
        delete_after: float | timedelta | None = None,
        name: str = "",
    ) -> Call[str]:
        """Send files, with or without words; where a platform cannot, they are named."""
        files = (media,) if isinstance(media, Media) else tuple(media)
        outgoing = self._outgoing(self.message.reply(text, media=files), delete_after)
        return Call(self, "send_media", partial(self._say, outgoing, name))

    def edit(self, said: str, text: str) -> Call[None]:
        """Put another text in the place of what `say` said; where that cannot be, say it again."""
        return Call(self, "edit", partial(self._act, "edit", said, text))

    def delete(self, said: str) -> Call[None]:
        """Take back what `say` said, where the platform lets a bot do so."""
        return Call(self, "delete", partial(self._act, "delete", said))

    def react(self, emoji: str, to: str | None = None, *, remove: bool = False) -> Call[None]:
        """Put an emoji to a message, by default the person's last; or take it away again."""
        target = self.message.id if to is None else to
        return Call(self, "react", partial(self._act, "react", target, emoji=emoji, remove=remove))

    def transfer(
        self, channel: str, address: str | None = None, *, text: str = "Let us go on here."
    ) -> Call[None]:
        """Go on with this conversation on another channel, when this turn is over.

        `address` is the chat there; without it, the one where this person was met before. The
        first thing that is said there is `text`.
        """
        return Call(self, "transfer", partial(self._transfer, channel, address, text))

    def forget(self) -> Call[None]:
        """Forget what was said in this conversation, when this turn is over; variables stay."""
        return Call(self, "forget", self._forget)

    def once(self, name: str, function: Callable[[], Any]) -> Call[Any]:
        """Do something once in this dialog, and give back what came of it, now and ever after.

        The function may be sync or async and returns JSON data. What it does outside happens at
        least once: killed after it was done and before its result was on the disk, it is done
        again. Where that matters, give the other side a key that is the same each time, such as
        an order number made with `chat.random`.
        """
        if not name:
            raise UsageError('once needs a name, such as chat.once("order", place_order)')
        return Call(self, "once", partial(self._once, name, function))

    def history(self, n: int = 20) -> Call[tuple[StoredMessage, ...]]:
        """The last lines before this message, oldest first; at most those that came with it."""
        return Call(self, "history", partial(self._history, n))

    def context(self, token_budget: int | None = None) -> Call[ContextWindow]:
        """What a language model gets to read of what was said before this message.

        Summaries first, then the newest lines; never more tokens than the budget has.
        """
        return Call(self, "context", partial(self._context, token_budget))

    def later(self, when: datetime | timedelta | float, text: str) -> Call[None]:
        """Have something said at a moment, or after a time; a restart does not forget it."""
        return Call(self, "later", partial(self._say_later, when, text))

    def typing(self) -> Call[None]:
        """Show that an answer is being made, where the platform can show it."""
        return Call(self, "typing", self._type)

    async def draft(self, text: str) -> None:
        """Show how far the next reply has come, where the platform can edit; it may get lost.

        Unlike the verbs it may be called while `once` runs, and it is no step.
        """
        telling, show = self._telling, getattr(self._port, "show_draft", None)
        if telling.live and not self._over and show is not None:
            await show(f"{telling.turn}/{telling.said}", text)

    # For the runner

    @property
    def first(self) -> IncomingMessage:
        """The message that began the dialog."""
        return self._telling.first

    @property
    def changed(self) -> str | None:
        """Why the dialog must begin again, if it must."""
        return self._telling.changed

    def must_begin_again(self, fault: BaseException) -> bool:
        """Whether the plugin ended like this because it is not what it was."""
        telling = self._telling
        if telling.changed is None and telling.edited and not telling.live:
            telling.changed = f"it raises {fault!r} before it comes to its last step"
        return telling.changed is not None

    async def perform(self, call: Call[T], work: Callable[[], Awaitable[T]]) -> T:
        """Do what a call says, unless the chat is busy, or at its end."""
        self.forgotten = [other for other in self.forgotten if other is not call]
        if self.asks is not UNSET:
            raise Waiting  # the plugin has caught the end of its turn; it ends all the same
        if self.changed is not None:
            raise DialogChanged(self.changed)
        if self._over:
            raise UsageError(f"chat.{call.verb} came too late: its turn is over")
        if self._busy is not None:
            raise UsageError(
                f"chat.{call.verb} was called while chat.{self._busy} was not done yet; "
                "await one before you call the next"
            )
        self._busy = call.verb
        try:
            return await work()
        finally:
            self._busy = None

    def utter(self, content: str | OutgoingMessage) -> None:
        """Take what the plugin returns or yields."""
        if self.asks is UNSET:
            self._telling.utter(content)

    def end(self) -> Progress:
        """Everything since the last step. The chat is over."""
        self._over = True
        if self.changed is not None:
            raise DialogChanged(self.changed)
        if self._last is not None:
            return self._last
        if not self._telling.live:
            self._telling.differ("it ends before it comes to its last step")
        return self._telling.take(steps=False)

    # The steps

    async def _ask(self, check: Check, seconds: float | None, default: Any, name: str) -> Any:
        telling, question = self._telling, check.question
        while True:
            asked = telling.recall("ask", name)
            if asked is None:
                self._wait(question, check, seconds, name)
            if telling.edited and not name and asked.value != question:
                telling.differ(f"it asks {question!r} where it asked {asked.value!r}")
            told = telling.recall("answer", name)
            answer: Any = (told or await self._hear(check, name)).value
            telling.now = datetime.fromisoformat(answer["at"])
            if "message" not in answer:
                if default is UNSET:
                    raise NoAnswer(f"nobody answered {check.question!r} in time")
                return default
            if told is not None:
                telling.message = IncomingMessage.model_validate(answer["message"])
            if "complaint" not in answer:
                return answer["text"]
            question = answer["complaint"]

    async def _hear(self, check: Check, name: str) -> Entry:
        """The message of this turn is the answer that the dialog has waited for."""
        telling = self._telling
        telling.hear()
        answer: dict[str, JsonValue] = {"at": telling.heard_at.isoformat()}
        if not self._timed_out:
            verdict = await check(telling.heard.content)
            answer["message"] = as_json(telling.heard)
            answer["text"] = verdict.text
            if verdict.complaint is not None:
                answer["complaint"] = verdict.complaint
        return telling.record("answer", name, answer)

    def _wait(self, question: str, check: Check, seconds: float | None, name: str) -> NoReturn:
        plain = check.choices is None
        self._telling.utter(
            question if plain else self.message.reply(question, metadata=check.metadata())
        )
        self._telling.record("ask", name, question)
        self._last = self._telling.take()
        self.asks = seconds
        raise Waiting

    def _outgoing(
        self, content: str | OutgoingMessage, delete_after: float | timedelta | None
    ) -> str | OutgoingMessage:
        if delete_after is None:
            return content
        seconds = _seconds(delete_after)
        if seconds <= 0:
            raise UsageError(f"delete_after={delete_after!r} is not in the future; give seconds")
        message = content if isinstance(content, OutgoingMessage) else self.message.reply(content)
        metadata = {**message.metadata, "delete_after": seconds}
        return message.model_copy(update={"metadata": metadata})

    async def _say(self, content: str | OutgoingMessage, name: str) -> str:
        entry = self._telling.recall("say", name)
        if entry is None and self._telling.live:
            id = self._telling.utter(content)
            entry = self._telling.record("say", name, id)
            await self._port.step(self._telling.take())
        return str(entry.value) if entry is not None else ""

    async def _act(self, verb: Any, target: str, text: str = "", **more: Any) -> None:
        if self._telling.recall("act", "") is None and self._telling.live:
            act = Act(verb=verb, target=target, **more)
            self._telling.utter(self.message.reply(text, act=act, reply_to=None))
            self._telling.record("act", "", f"{verb} {target}")
            await self._port.step(self._telling.take())

    async def _transfer(self, channel: str, address: str | None, text: str) -> None:
        if self._telling.recall("transfer", "") is None:
            about: dict[str, JsonValue] = {"channel": channel, "address": address}
            self._telling.postpone(Later(self.now.astimezone(UTC), text, "transfer", about))
            self._telling.record("transfer", "", channel)
            await self._port.step(self._telling.take())

    async def _forget(self) -> None:
        if self._telling.recall("forget", "") is None:
            self._telling.postpone(Later(self.now.astimezone(UTC), "", "forget"))
            self._telling.record("forget", "", None)
            await self._port.step(self._telling.take())

    async def _once(self, name: str, function: Callable[[], Any]) -> Any:
        entry = self._telling.recall("once", name)
        if entry is None:
            try:
                value = await self._port.call(function)
            except WouldDo:
                self.would_do = name
                raise
            try:
                value = orjson.loads(orjson.dumps(value))
            except TypeError as error:
                raise UsageError(
                    f"chat.once({name!r}) came to something that is not JSON ({error}); "
                    "return plain data"
                ) from error
            entry = self._telling.record("once", name, value)
            await self._port.step(self._telling.take())
        return entry.value

    async def _history(self, n: int) -> tuple[StoredMessage, ...]:
        entry = self._telling.recall("history", "")
        if entry is None:
            entry = self._telling.record("history", "", self._window[-n:] if n > 0 else ())
        lines: Any = entry.value
        return tuple(StoredMessage.model_validate(line) for line in lines)

    async def _context(self, token_budget: int | None) -> ContextWindow:
        entry = self._telling.recall("context", "")
        if entry is None:
            window = build_window(self._summaries, self._window, token_budget=token_budget)
            value: Any = asdict(window)
            entry = self._telling.record("context", "", value)
        told: Any = entry.value
        return ContextWindow(**told)

    async def _say_later(self, when: datetime | timedelta | float, text: str) -> None:
        if isinstance(when, datetime):
            if when.tzinfo is None:
                raise UsageError(f"{when.isoformat()} has no time zone; write datetime.now(UTC)")
        else:
            when = self.now + (when if isinstance(when, timedelta) else timedelta(seconds=when))
        self._telling.postpone(Later(when.astimezone(UTC), text))

    async def _type(self) -> None:
        if self._telling.live:
            await self._port.show("typing")


def _seconds(time: float | timedelta) -> float:
    return time.total_seconds() if isinstance(time, timedelta) else float(time)
