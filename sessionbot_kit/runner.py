"""Runs a plugin on an offer and makes a result of whatever it does.

    result = await run(plugin, offer, port, timeout_s=30)

This is a boundary: behind it is somebody else's code. Whatever that code raises or returns, a
result comes out. What a plugin may return: a text, an `OutgoingMessage`, a list of these, an
async iterator of these, or None.
"""

import asyncio
import inspect
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from sessionbot_kit.dialog import NOWHERE, UNSET, Chat, Port, WouldDo
from sessionbot_kit.errors import DialogTooLong, NoAnswer, UsageError
from sessionbot_kit.faults import place_of
from sessionbot_kit.journal import Progress, carried
from sessionbot_kit.link import Offer, Result
from sessionbot_kit.models import OutgoingMessage, mend_text
from sessionbot_kit.registry import Declared
from sessionbot_kit.shape import Shape, shape_of
from sessionbot_kit.watchdog import Guarded, Runaway, Watchdog
from sessionbot_kit.workers import Workers

log = logging.getLogger(__name__)

MAX_REPLIES = 1000
MAX_CHARS = 1_000_000
SLOW_STEP_S = 0.5  # from here on, other people notice

BEGIN_AGAIN = "This has changed meanwhile. Let us begin again."
NOBODY_ANSWERED = "I have not heard from you, so I stopped waiting."


class Runner:
    """Runs turns, with a time budget and a watchdog."""

    def __init__(
        self,
        *,
        turn_timeout_s: float = 30.0,
        block_timeout_s: float = 10.0,
        slow_step_s: float = SLOW_STEP_S,
    ) -> None:
        self._slow_step_s = slow_step_s
        self._turn_timeout_s = turn_timeout_s
        self._watchdog = Watchdog(min(block_timeout_s, turn_timeout_s))
        self._workers = Workers()
        self._ending = False

    def end(self) -> None:
        """From now on, what is canceled has a moment to end, and no more."""
        self._ending = True

    def part_with(self, plugin: str) -> Callable[[], None]:
        """Leave the thread of a plugin to its running calls; what is returned ends it."""
        return self._workers.part_with(plugin)

    def stop(self) -> None:
        self._watchdog.stop()
        self._workers.stop()

    async def run(self, plugin: Declared | None, offer: Offer, port: Port = NOWHERE) -> Result:
        """Run one turn to its end; an error is a result too."""
        began = time.perf_counter()
        progress, error, changed, asks = Progress(), None, None, False
        would_do: str | None = None
        timeout_s: float | None = None
        if plugin is None:
            error = f"LookupError: the plugin {offer.plugin} is not here any more"
        else:
            function = getattr(plugin, plugin.meta.implements["chat.message"])
            shape = shape_of(function, offer.plugin)
            chat = _chat(offer, shape, port)
            progress, error = await self._attempt(chat, function, shape, offer.plugin)
            if (changed := chat.changed) is not None:
                chat = _chat_anew(chat, offer, shape, port)
                progress, error = await self._attempt(chat, function, shape, offer.plugin)
            asks = error is None and chat.asks is not UNSET
            timeout_s = None if chat.asks is UNSET else chat.asks
            would_do = chat.would_do
        return Result(
            turn=offer.turn,
            attempt=offer.attempt,
            epoch=offer.epoch,
            replies=progress.replies,
            variables=progress.variables,
            error=error,
            ms=(time.perf_counter() - began) * 1000,
            asks=asks,
            timeout_s=timeout_s,
            entries=progress.entries,
            later=progress.later,
            anew=progress.anew,
            changed=changed,
            would_do=would_do,
        )

    async def _attempt(
        self, chat: Chat, function: Callable[..., Any], shape: Shape, plugin: str
    ) -> tuple[Progress, str | None]:
        """Run the plugin; what came of it, or the error that ended it."""

        def begin() -> None:
            guarded.expire_in(self._turn_timeout_s)

        guarded: Guarded[None] = Guarded(
            self._play(chat, function, shape, plugin, begin),
            self._watchdog,
            is_ending=self._is_ending,
        )
        try:
            await guarded
            return chat.end(), None
        except NoAnswer:
            chat.utter(NOBODY_ANSWERED)
            return chat.end(), None
        except WouldDo:
            return chat.end(), None
        except BaseException as fault:  # somebody else's code: sys.exit() ends a turn, not us
            canceled = isinstance(fault, asyncio.CancelledError) and not guarded.expired
            if canceled or isinstance(fault, KeyboardInterrupt):
                raise
            if chat.asks is not UNSET:
                return chat.end(), None
            if not guarded.expired and chat.must_begin_again(fault):
                return Progress(), None
            overfull = isinstance(fault, DialogTooLong)
            return Progress(anew=overfull), self._why(fault, plugin, guarded.expired)
        finally:
            if guarded.longest_s > self._slow_step_s:
                log.warning(
                    "plugin kept everybody waiting",
                    extra={
                        "plugin": plugin,
                        "seconds": round(guarded.longest_s, 3),
                        "hint": "write `await asyncio.sleep(...)` for time.sleep and await what "
                        f"takes long, or `def {plugin}` without async, which runs in a thread",
                    },
                )

    def _is_ending(self) -> bool:
        return self._ending

    def _why(self, fault: BaseException, plugin: str, expired: bool) -> str:
        """The sentence for the log."""
        if expired:
            return (
                f"took longer than {self._turn_timeout_s:g} s; raise turn_timeout_s or make it "
                "quicker"
            )
        if isinstance(fault, Runaway):
            return (
                f"{plugin} kept the loop to itself for {self._watchdog.limit_s:g} s and was "
                f"stopped{place_of(fault)}; await in between, or write `def {plugin}`, which runs "
                "in a thread"
            )
        # What a plugin raises may hold half a character, which no disk takes.
        return mend_text(f"{type(fault).__name__}: {fault}{place_of(fault)}")

    async def _play(
        self,
        chat: Chat,
        function: Callable[..., Any],
        shape: Shape,
        plugin: str,
        begin: Callable[[], None],
    ) -> None:
        offered = {"message": chat.first, "chat": chat}
        wanted = {name: offered[name] for name in shape.asks}

        if shape.native:
            begin()
            answer = function(**wanted)
        else:  # the time in which it waits for its thread is not its own
            answer = await self._workers.call(plugin, begin, function, **wanted)
            begin()
        if inspect.isawaitable(answer):
            answer = await answer
        await _tell(chat, answer, plugin)
        _check_awaited(chat, shape, plugin)


async def run(
    plugin: Declared | None, offer: Offer, port: Port = NOWHERE, *, timeout_s: float = 30.0
) -> Result:
    """Run a single turn."""
    runner = Runner(turn_timeout_s=timeout_s)
    try:
        return await runner.run(plugin, offer, port)
    finally:
        runner.stop()


def _chat(offer: Offer, shape: Shape, port: Port) -> Chat:
    return Chat(
        offer.message,
        session=offer.session_id,
        variables=offer.variables,
        window=offer.window,
        summaries=offer.summaries,
        settings=offer.context,
        turn=offer.turn,
        now=offer.now,
        seed=offer.seed,
        code=shape.code,
        journal=offer.journal,
        timed_out=offer.timed_out,
        port=port,
    )


def _chat_anew(chat: Chat, offer: Offer, shape: Shape, port: Port) -> Chat:
    """The same dialog from its first message, in the world as it is now."""
    anew = Chat(
        chat.first,
        session=offer.session_id,
        variables=offer.variables,
        window=offer.window,
        summaries=offer.summaries,
        settings=offer.context,
        turn=offer.turn,
        now=offer.now,
        seed=offer.seed,
        code=shape.code,
        journal=carried(offer.journal),
        anew=True,
        port=port,
    )
    anew.utter(BEGIN_AGAIN)
    return anew


async def _tell(chat: Chat, answer: Any, plugin: str) -> None:
    """Hand what the plugin returned to its chat, piece by piece."""
    match answer:
        case None | "":
            return
        case str() | OutgoingMessage():
            return _utter(chat, answer, plugin)
        case AsyncIterator():
            count = 0
            async for part in answer:
                count += 1
                if count > MAX_REPLIES:
                    raise ValueError(f"{plugin} gave more than {MAX_REPLIES:,} replies in one turn")
                await _tell(chat, part, plugin)
        case list() | tuple() if len(answer) <= MAX_REPLIES:
            for part in answer:
                await _tell(chat, part, plugin)
        case list() | tuple():
            raise ValueError(f"{plugin} returned {len(answer):,} replies; at most {MAX_REPLIES:,}")
        case _ if inspect.isgenerator(answer):
            raise TypeError(f"{plugin} yields without async; write `async def {plugin}`")
        case _:
            raise TypeError(
                f"{plugin} returned {type(answer).__name__}; "
                "return a text, an OutgoingMessage, a list of these, or None"
            )


def _utter(chat: Chat, reply: str | OutgoingMessage, plugin: str) -> None:
    length = len(reply if isinstance(reply, str) else reply.content)
    if length > MAX_CHARS:
        raise ValueError(
            f"{plugin} returned {length:,} characters; at most {MAX_CHARS:,}. Send a file instead"
        )
    chat.utter(reply)


def _check_awaited(chat: Chat, shape: Shape, plugin: str) -> None:
    if chat.forgotten and chat.asks is UNSET:
        verb = chat.forgotten[0].verb
        hint = f"write `await chat.{verb}(...)`"
        if not shape.native:
            hint = f"write `async def {plugin}` and `await chat.{verb}(...)`"
        raise UsageError(f"{plugin} calls chat.{verb} without await; {hint}")
