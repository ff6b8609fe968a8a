"""How messages come in from a channel, in whichever form it gives them.

    await take_in(channel.receive, gateway.deliver, gateway.signal)

    async def receive(self, deliver)             # pushes; asks for `signal` by name if it has any
    async def receive(self)                      # an async generator; it goes on when it is stored
    def poll_updates(self) -> list               # asked again and again, in a thread of its own

One rule to remember: a message that the gateway could not store is offered again; a channel that
is polled is not asked for more before that.
"""

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import AsyncIterable, Callable
from typing import Any, Final

from sessionbot_kit.channel import Deliver, Notice, Signal
from sessionbot_kit.errors import ChannelError, MessageError, StoreError
from sessionbot_kit.models import IncomingMessage
from sessionbot_kit.workers import Thread

log = logging.getLogger(__name__)

POLL_EVERY_S: Final = 1.0
MAY_ASK_FOR: Final = ("deliver", "signal")


async def take_in(receive: Callable[..., Any], deliver: Deliver, signal: Notice) -> None:
    """Take what comes, until the channel ends or this is canceled."""
    wanted = _wanted(receive, {"deliver": deliver, "signal": signal})
    if inspect.isasyncgenfunction(receive):
        await _follow(receive(**wanted), deliver, signal)
    elif inspect.iscoroutinefunction(receive):
        await receive(**wanted)
    else:
        await _poll(receive, deliver, signal)


async def _follow(
    stream: AsyncIterable[IncomingMessage | Signal], deliver: Deliver, signal: Notice
) -> None:
    async for one in stream:
        await _hand_over(one, deliver, signal)


async def _poll(receive: Callable[[], Any], deliver: Deliver, signal: Notice) -> None:
    # It stays with the channel: what a poll brings after we were canceled comes first next time.
    unheard: deque[Any] = vars(receive.__self__).setdefault("unheard", deque())  # type: ignore[attr-defined]  # a bound method

    def poll() -> bool:
        messages = receive()
        unheard.extend(messages or ())
        return bool(messages)

    # Its own: a poll may take half a minute, and must not keep anybody else's calls waiting.
    thread = Thread("poll")
    try:
        while True:
            while unheard:
                await _hand_over(unheard[0], deliver, signal)
                unheard.popleft()
            if not await thread.begin(poll):
                await asyncio.sleep(POLL_EVERY_S)
    finally:
        thread.end()


async def _hand_over(one: object, deliver: Deliver, signal: Notice) -> None:
    """Return when it is stored, however long the store is away."""
    wait_s = 0.1
    while True:
        try:
            match one:
                case IncomingMessage():
                    await deliver(one)
                case Signal():
                    await signal(one)
                case _:
                    raise ChannelError(
                        f"a channel gave {type(one).__name__}; it gives messages and signals"
                    )
            return
        except MessageError as error:  # of no use, now or later
            return log.error("message not taken", extra={"error": str(error)})
        except StoreError as error:
            log.error("message waits for the store", extra={"error": str(error)})
        await asyncio.sleep(wait_s)
        wait_s = min(wait_s * 2, 30.0)


def _wanted(receive: Callable[..., Any], offered: dict[str, Any]) -> dict[str, Any]:
    """What it asks for, by name; a single name of its own is the place for `deliver`."""
    parameters = inspect.signature(receive).parameters.values()
    asks = {parameter.name for parameter in parameters if parameter.name in offered}
    needs = [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
    strange = [name for name in needs if name not in offered]
    if strange:
        raise ChannelError(
            f'{receive.__qualname__} asks for "{strange[0]}"; it may ask for '
            f"{', '.join(MAY_ASK_FOR)}"
        )
    return {name: offered[name] for name in asks}
