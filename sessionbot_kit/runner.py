"""Runs a plugin on an offer and makes a result of whatever it does.

    result = await run(registry, offer, timeout_s=30)

This is a boundary: behind it is somebody else's code. Whatever that code raises or returns, a
result comes out. What a plugin may return: a text, an `OutgoingMessage`, a list of these, an
async iterator of these, or None.
"""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator
from typing import Any

from sessionbot_kit.dialog import Chat
from sessionbot_kit.extension import check_asks
from sessionbot_kit.link import Offer, Result
from sessionbot_kit.models import IncomingMessage, OutgoingMessage
from sessionbot_kit.registry import Registry, call

MAX_REPLIES = 1000


async def run(registry: Registry, offer: Offer, *, timeout_s: float) -> Result:
    """Run one turn to its end; an error is a result too."""
    began = time.perf_counter()
    chat = Chat(
        offer.message,
        session=offer.session_id,
        variables=offer.variables,
        window=offer.window,
    )
    budget = asyncio.timeout(timeout_s)
    replies: tuple[OutgoingMessage, ...] = ()
    variables = error = None
    try:
        async with budget:
            replies = await _answer(registry, offer, chat)
        variables = chat.changes()
    except (Exception, SystemExit) as fault:  # somebody else's code: sys.exit() ends a turn, not us
        replies = ()
        error = f"{type(fault).__name__}: {fault}{_where(fault)}"
        if budget.expired():
            error = f"took longer than {timeout_s:g} s; raise turn_timeout_s or make it quicker"
    return Result(
        turn=offer.turn,
        attempt=offer.attempt,
        epoch=offer.epoch,
        replies=tuple(_named(replies, offer.turn)),
        variables=variables,
        error=error,
        ms=(time.perf_counter() - began) * 1000,
    )


async def _answer(registry: Registry, offer: Offer, chat: Chat) -> tuple[OutgoingMessage, ...]:
    plugin = registry.get_plugin(offer.plugin)
    if plugin is None:
        raise LookupError(f"the plugin {offer.plugin} is not here any more")
    function = getattr(plugin, plugin.meta.implements["chat.message"])
    offered = {"message": offer.message, "chat": chat}
    wanted = {name: offered[name] for name in check_asks(function, offer.plugin)}
    answer = await call(function, **wanted)
    spoken = await _spoken(answer, offer.message, offer.plugin)
    return (*chat.said, *spoken)


async def _spoken(
    answer: Any, message: IncomingMessage, plugin: str
) -> tuple[OutgoingMessage, ...]:
    match answer:
        case None | "":
            return ()
        case str():
            return (message.reply(answer),)
        case OutgoingMessage():
            return (answer,)
        case list() | tuple() if len(answer) <= MAX_REPLIES:
            pass
        case AsyncIterator():
            answer = await _collected(answer)
        case _ if inspect.isgenerator(answer):
            raise TypeError(f"{plugin} yields without async; write `async def {plugin}`")
        case list() | tuple():
            raise ValueError(f"{plugin} returned {len(answer):,} replies; at most {MAX_REPLIES:,}")
        case _:
            raise TypeError(
                f"{plugin} returned {type(answer).__name__}; "
                "return a text, an OutgoingMessage, a list of these, or None"
            )
    return tuple([reply for part in answer for reply in await _spoken(part, message, plugin)])


async def _collected(parts: AsyncIterator[Any]) -> list[Any]:
    collected: list[Any] = []
    async for part in parts:
        collected.append(part)
        if len(collected) > MAX_REPLIES:
            raise ValueError(f"more than {MAX_REPLIES:,} replies in one turn")
    return collected


def _named(replies: tuple[OutgoingMessage, ...], turn: str) -> list[OutgoingMessage]:
    # The same turn, run again, gives its replies the same names: nothing is said twice.
    return [reply.model_copy(update={"id": f"{turn}/{step}"}) for step, reply in enumerate(replies)]


def _where(fault: BaseException) -> str:
    """The last line of the plugin's own code, so that a log line leads to the place."""
    trace = fault.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    code = trace.tb_frame.f_code
    return f" ({code.co_filename}:{trace.tb_lineno} in {code.co_name})"
