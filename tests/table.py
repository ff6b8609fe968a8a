"""A person and a plugin at one table: dialogs without a loop, a store or a link.

    table = Table(pizza)
    assert table.says("!pizza") == ["Small or large?"]
    assert table.says("large") == ["One large pizza."]

It keeps what a gateway would keep, and nothing else. `table.dies_at = {2}` makes the process die
at the second step from now, before it is written; `after=True`: after.
"""

from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from pydantic import JsonValue

from sessionbot_kit.dialog import UNSET, Chat, Waiting
from sessionbot_kit.journal import Entry, Later, Progress, carried, taken_back
from sessionbot_kit.models import IncomingMessage, StoredMessage
from sessionbot_kit.telling import DialogChanged

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

Function = Callable[[Chat], Coroutine[Any, Any, Any]]


class Died(BaseException):
    """The process has ended here."""


class Table:
    """What survives a process: the journal, the variables, and what was said."""

    def __init__(
        self, function: Function, variables: Mapping[str, JsonValue] | None = None
    ) -> None:
        self.function = function
        self.code = "first version"
        self.variables: dict[str, JsonValue] = dict(variables or {})
        self.journal: tuple[Entry, ...] = ()
        self.said: list[tuple[str, str]] = []  # (reply id, text)
        self.window: tuple[StoredMessage, ...] = ()
        self.later: list[Later] = []
        self.shown: list[str] = []
        self.timeout: float | None = None
        self.changed: str | None = None
        self.now = NOON
        self.turns = 0
        self.steps = 0
        self.dies_at: set[int] = set()
        self.dies_after = False

    @property
    def open(self) -> bool:
        """Whether a question waits for its answer."""
        return bool(self.journal)

    def says(self, text: str, *, timed_out: bool = False, **more: Any) -> list[str]:
        """One turn, run as often as it takes; what is said in it."""
        self.turns += 1
        self.now += timedelta(minutes=1)
        message = IncomingMessage(
            id=f"m{self.turns}",
            channel_type="table",
            channel_id="ada",
            sender_id="ada",
            sender_name="Ada",
            content=text,
            timestamp=self.now,
            **more,
        )
        before = len(self.said)
        while True:
            try:
                self._turn(message, timed_out)
            except Died:
                continue
            return [text for _, text in self.said[before:]]

    def falls_silent(self) -> list[str]:
        """The time-out of the open question."""
        return self.says("", timed_out=True)

    def _turn(self, message: IncomingMessage, timed_out: bool) -> None:
        chat = self._chat(message, self.journal, timed_out)
        try:
            try:
                progress = self._run(chat)
            except (DialogChanged, Exception) as fault:
                if not chat.must_begin_again(fault):
                    raise
                self.changed = chat.changed
                chat = self._chat(chat.first, carried(self.journal), timed_out, anew=True)
                progress = self._run(chat)
        except Exception:
            self.journal = taken_back(self.journal, f"t{self.turns}")
            raise
        self._write(progress)
        self.timeout = chat.asks if isinstance(chat.asks, float) else None
        if chat.asks is UNSET:
            self.journal = ()

    def _run(self, chat: Chat) -> Progress:
        try:
            answer = drive(self.function(chat))
        except Waiting:
            return chat.end()
        if answer is not None:
            chat.utter(answer)
        return chat.end()

    def _chat(
        self,
        message: IncomingMessage,
        journal: tuple[Entry, ...],
        timed_out: bool,
        anew: bool = False,
    ) -> Chat:
        return Chat(
            message,
            session="s1",
            variables=self.variables,
            window=self.window,
            turn=f"t{self.turns}",
            now=self.now,
            seed=self.turns,
            code=self.code,
            journal=journal,
            timed_out=timed_out,
            anew=anew,
            port=self,
        )

    def _write(self, progress: Progress) -> None:
        if progress.anew:
            self.journal = ()
        # Through JSON, as on any disk.
        self.journal += tuple(
            Entry(
                entry.kind,
                entry.name,
                orjson.loads(orjson.dumps(entry.value)),
                entry.turn,
                entry.said,
            )
            for entry in progress.entries
        )
        if progress.variables is not None:
            self.variables = dict(progress.variables)
        for reply in progress.replies:
            assert reply.id is not None
            assert reply.id not in dict(self.said), "said twice"
            self.said.append((reply.id, reply.content))
        self.later += progress.later

    # The port

    async def step(self, progress: Progress) -> None:
        self.steps += 1
        dies = self.steps in self.dies_at
        if dies and not self.dies_after:
            raise Died
        self._write(progress)
        if dies:
            raise Died

    async def call(self, function: Callable[[], Any]) -> Any:
        outcome = function()
        return await outcome if isinstance(outcome, Coroutine) else outcome

    async def show(self, kind: str) -> None:
        self.shown.append(kind)


def drive(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that waits for nothing, by hand."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits for something that only a loop could bring")


def message(content: str) -> IncomingMessage:
    return IncomingMessage(
        id="m",
        channel_type="table",
        channel_id="ada",
        sender_id="ada",
        sender_name="Ada",
        content=content,
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
    )


def lines(*contents: str) -> tuple[StoredMessage, ...]:
    return tuple(
        StoredMessage(session_id="s", seq=seq, role="user", content=content, timestamp=NOON)
        for seq, content in enumerate(contents, 1)
    )


async def pizza(chat: Chat) -> str:
    size = await chat.ask("Small or large?")
    topping = await chat.ask("With what?")
    return f"One {size} pizza with {topping}."


def count(orders: list[int]) -> int:
    orders.append(1)
    return len(orders)
