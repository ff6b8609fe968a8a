"""`Chat`: what a plugin holds while it talks in a session.

    @plugin("!pizza")
    async def pizza(message, chat):
        size = await chat.ask("Small or large?", choices=["small", "large"])
        await chat.once("order", lambda: kitchen.order(size))
        chat.vars["pizzas"] = chat.vars.get("pizzas", 0) + 1
        return f"Pizza number {chat.vars['pizzas']} is on its way."

`ask` ends the turn. The answer may come after a restart, or on another machine: then the plugin
is run again from its first line, and each step recalls what came of it (`journal.py`). Until the
last recorded step `chat` shows the world as it was then, and changes of `vars` touch a copy of it;
after that, the session as it is now. So the pizza counts once.

One rule to remember: between the steps a plugin must do the same each time. What changes from
run to run (a web page, a file, the time) belongs into `once`; `chat.now` and `chat.random` are
the same in each run.
"""

import random
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import partial
from typing import Any, Final, Generic, NoReturn, Protocol, TypeVar, overload

import orjson
from pydantic import JsonValue

from sessionbot_kit.answers import Check
from sessionbot_kit.errors import DialogTooLong, NoAnswer, UsageError
from sessionbot_kit.journal import MAX_BYTES, MAX_STEPS, Entry, Later, Progress, Replay
from sessionbot_kit.models import IncomingMessage, OutgoingMessage, StoredMessage
from sessionbot_kit.variables import Variables

T = TypeVar("T")
D = TypeVar("D")

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Unset(Enum):
    """Says that an argument was not given, where None means something."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


class Waiting(BaseException):
    """Ends a turn that has asked. Not an error: it passes through `except Exception`."""


class DialogChanged(BaseException):
    """The plugin does not do what it did when the dialog began: it is begun again."""


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
        return f"chat.{self.verb}(...) that nobody awaits"


class Chat:
    """One dialog's view of a conversation: its variables, its history, and a voice."""

    def __init__(
        self,
        message: IncomingMessage,
        *,
        session: str,
        variables: Mapping[str, JsonValue],
        window: tuple[StoredMessage, ...] = (),
        turn: str = "",
        now: datetime = EPOCH,
        seed: int = 0,
        code: str = "",
        journal: tuple[Entry, ...] = (),
        timed_out: bool = False,
        anew: bool = False,
        port: Port | None = None,
    ) -> None:
        self.session = session
        self.asks: float | Unset | None = UNSET  # once it asks: the time-out, or None
        self.changed: str | None = None  # why the dialog must begin again
        self.forgotten: list[Call[Any]] = []
        self._turn = turn
        self._port = port or NOWHERE
        self._window = window
        self._code = code
        self._anew = anew
        self._over = False
        self._busy: str | None = None
        self._said = 0
        self._bytes = 0
        self._entries: list[Entry] = []
        self._replies: list[OutgoingMessage] = []
        self._later: list[Later] = []
        self._last: Progress | None = None
        self._random: random.Random | None = None
        # What came with this turn, and is shown once all that was recorded has been told.
        self._heard, self._heard_at, self._timed_out = message, now, timed_out
        self._current = variables
        # The world in which the dialog began.
        self.first = self.message = message
        self.now, self._seed = now, seed
        self._variables = Variables(variables)
        self._replay = Replay(journal)
        self._live = self._replay.over
        self._begun = bool(journal) and journal[0].kind == "begin"
        self._edited = False
        if self._begun:
            self._go_back(journal)
        elif journal:
            self._entries = list(journal)  # what was done once in a dialog that this one replaces

    def __repr__(self) -> str:
        return f"chat with {self.user}: {len(self._window)} lines, {len(self.vars)} variables"

    # The world

    @property
    def user(self) -> str:
        """Who is talking, as the channel names them."""
        return self.message.sender_id

    @property
    def vars(self) -> dict[str, JsonValue]:
        """The variables of the session: plain JSON data, at most 1 MB."""
        return self._variables.open()

    @property
    def random(self) -> random.Random:
        """Chance that falls the same way each time the dialog is told again."""
        if self._random is None:
            self._random = random.Random(self._seed)
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
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        if default is not UNSET and seconds is None:
            raise UsageError("default= is the answer after a time-out; give timeout= too")
        check = Check(text, choices, validate)
        return Call(self, "ask", partial(self._ask, check, seconds, default, name))

    def say(self, content: str | OutgoingMessage, *, name: str = "") -> Call[None]:
        """Say something now. It stays said, whatever becomes of the turn."""
        return Call(self, "say", partial(self._say, content, name))

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

    def later(self, when: datetime | timedelta | float, text: str) -> Call[None]:
        """Have something said at a moment, or after a time; a restart does not forget it."""
        return Call(self, "later", partial(self._later_on, when, text))

    def typing(self) -> Call[None]:
        """Show that an answer is being made, where the platform can show it."""
        return Call(self, "typing", self._type)

    # For the runner

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
        """Take what a plugin returns or yields; it becomes durable with its next step."""
        if not self._live or self.asks is not UNSET:
            return  # it was said when this was new; or it comes after the end of the turn
        id = f"{self._turn}/{self._said}"
        self._said += 1
        self._replies.append(
            self.message.reply(content, id=id)
            if isinstance(content, str)
            else content.model_copy(update={"id": id})
        )

    def end(self) -> Progress:
        """Everything since the last step; the chat is over."""
        self._over = True
        if self._last is not None:
            return self._last
        if not self._live:
            self._differs("it ends before it comes to its last step")
        return self._take(steps=False)

    # How a dialog is told again

    def _go_back(self, journal: tuple[Entry, ...]) -> None:
        world: Any = journal[0].value
        self.first = self.message = IncomingMessage.model_validate(world["message"])
        self.now, self._seed = datetime.fromisoformat(world["now"]), world["seed"]
        self._edited = world["code"] != self._code
        self._bytes = sum(_weight(entry) for entry in journal)
        if not self._live:
            self._variables = Variables(world["variables"])

    def _recall(self, kind: str, name: str) -> Entry | None:
        """What came of this step; None when it is new, and now is the time for new ones."""
        entry = (
            self._replay.recall_once(name) if kind == "once" else self._replay.recall(kind, name)
        )
        if entry is not None:
            self._said = entry.said
        elif not self._live and kind != "say":
            named = f" named {name!r}" if name else ""
            self._differs(f"it comes to chat.{kind}{named}, which it did not do then")
        if self._replay.over and not self._live:
            self._live = True
            self._variables.renew(self._current)
        return entry

    def _record(self, kind: str, name: str, value: Any) -> Entry:
        entry = Entry(kind, name, value, self._turn, self._said)
        self._replay.note(entry)
        if self._replay.steps > MAX_STEPS:
            raise DialogTooLong(
                f"this dialog has more than {MAX_STEPS:,} steps; return from the plugin now and "
                "then, and keep the rest in chat.vars"
            )
        self._entries.append(entry)
        return entry

    async def _keep(self) -> None:
        await self._port.step(self._take())

    def _take(self, *, steps: bool = True) -> Progress:
        """What happened since the last step. A turn that ends for good needs no journal."""
        progress = Progress(
            entries=self._journaled() if steps else (),
            replies=tuple(self._replies),
            variables=self._variables.changes(),
            later=tuple(self._later),
            anew=self._anew,
        )
        self._entries, self._replies, self._later, self._anew = [], [], [], False
        return progress

    def _journaled(self) -> tuple[Entry, ...]:
        entries = [_packed(entry) for entry in self._entries]
        self._bytes += sum(_weight(entry) for entry in entries)
        if self._bytes > MAX_BYTES:
            raise DialogTooLong(
                f"the steps of this dialog hold {self._bytes:,} bytes; at most {MAX_BYTES:,}. "
                "Keep large things in a file, and return its name from chat.once"
            )
        if entries and not self._begun:
            self._begun = True
            entries.insert(0, self._beginning())
        return tuple(entries)

    def _beginning(self) -> Entry:
        world: dict[str, JsonValue] = {
            "message": _as_json(self.first),
            "variables": dict(self._current),
            "now": self._heard_at.isoformat(),
            "seed": self._seed,
            "code": self._code,
        }
        return Entry("begin", "", world, self._turn)

    def _differs(self, how: str) -> NoReturn:
        self.changed = how
        raise DialogChanged(how)

    # The steps

    async def _ask(self, check: Check, seconds: float | None, default: Any, name: str) -> Any:
        question = check.question
        while True:
            asked = self._recall("ask", name)
            if asked is None:
                self._wait(question, check, seconds, name)
            if self._edited and not name and asked.value != question:
                self._differs(f"it asks {question!r} where it asked {asked.value!r}")
            told = self._recall("answer", name)
            answer: Any = (told or await self._hear(check, name)).value
            self.now = datetime.fromisoformat(answer["at"])
            if "message" not in answer:
                if default is UNSET:
                    raise NoAnswer(f"nobody answered {check.question!r} in time")
                return default
            if told is not None:
                self.message = IncomingMessage.model_validate(answer["message"])
            if "complaint" not in answer:
                return answer["text"]
            question = answer["complaint"]

    async def _hear(self, check: Check, name: str) -> Entry:
        """The message of this turn is the answer that the dialog has waited for."""
        self.message, self._said = self._heard, 0
        answer: dict[str, JsonValue] = {"at": self._heard_at.isoformat()}
        if not self._timed_out:
            verdict = await check(self._heard.content)
            answer["message"] = _as_json(self._heard)
            answer["text"] = verdict.text
            if verdict.complaint is not None:
                answer["complaint"] = verdict.complaint
        return self._record("answer", name, answer)

    def _wait(self, question: str, check: Check, seconds: float | None, name: str) -> NoReturn:
        self.utter(
            self.message.reply(question, metadata=check.metadata()) if check.choices else question
        )
        self._record("ask", name, question)
        self._last = self._take()
        self.asks = seconds
        raise Waiting

    async def _say(self, content: str | OutgoingMessage, name: str) -> None:
        if self._recall("say", name) is None and self._live:
            self.utter(content)
            self._record("say", name, None)
            await self._keep()

    async def _once(self, name: str, function: Callable[[], Any]) -> Any:
        entry = self._recall("once", name)
        if entry is None:
            value = await self._port.call(function)
            try:
                value = orjson.loads(orjson.dumps(value))
            except TypeError as error:
                raise UsageError(
                    f"chat.once({name!r}) came to something that is not JSON ({error}); "
                    "return plain data"
                ) from error
            entry = self._record("once", name, value)
            await self._keep()
        return entry.value

    async def _history(self, n: int) -> tuple[StoredMessage, ...]:
        entry = self._recall("history", "")
        if entry is None:
            entry = self._record("history", "", self._window[-n:] if n > 0 else ())
        lines: Any = entry.value
        return tuple(StoredMessage.model_validate(line) for line in lines)

    async def _later_on(self, when: datetime | timedelta | float, text: str) -> None:
        if isinstance(when, datetime):
            if when.tzinfo is None:
                raise UsageError(f"{when.isoformat()} has no time zone; write datetime.now(UTC)")
        else:
            when = self.now + (when if isinstance(when, timedelta) else timedelta(seconds=when))
        if self._live:
            self._later.append(Later(when.astimezone(UTC), text))

    async def _type(self) -> None:
        if self._live:
            await self._port.show("typing")


def _as_json(model: IncomingMessage | StoredMessage) -> JsonValue:
    packed: JsonValue = model.model_dump(mode="json", exclude_defaults=True)
    return packed


def _packed(entry: Entry) -> Entry:
    # Lines of history are made into JSON only when a journal is in fact written.
    if entry.kind != "history":
        return entry
    lines: Any = entry.value
    return replace(entry, value=[_as_json(line) for line in lines])


def _weight(entry: Entry) -> int:
    """What a step counts. Messages are not the plugin's to keep small."""
    if entry.kind in ("begin", "answer"):
        return 0
    return len(orjson.dumps(entry.value))
