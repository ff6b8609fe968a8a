"""One channel, as seen by whoever has something to say: it does what its platform can.

    outlet = Outlet(channel)
    outlet.supports("edit")
    result = await outlet.send(message)          # words, files, an edit, a reaction
    result.fallback                              # what came instead, if the platform cannot

Every channel can be asked for everything. The one rule to remember: **a fallback is never
silent**; the result names it, and never claims what did not happen.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Final

from sessionbot_kit.channel import HasMeta, Status, Verb, supports
from sessionbot_kit.fallbacks import (
    AS_TEXT,
    BLANKED,
    DELETED,
    KEPT,
    NO_STATUS,
    NOT_SHOWN,
    SAID,
    SAID_AGAIN,
    STAYS,
    files_as_text,
    in_parts,
    said_again,
    split_text,
)
from sessionbot_kit.models import Act, OutgoingMessage, SendResult
from sessionbot_kit.workers import Thread

MOST_UNDER_WAY: Final = 1_000
MUTE: Final = "{} cannot send; implement session.send"


class Outlet:
    """What can be done on one channel."""

    def __init__(self, channel: HasMeta) -> None:
        self.channel = channel
        self.name = channel.meta.id
        self.max_chars: int | None = getattr(channel, "max_chars", None)
        self.max_per_s: float | None = getattr(channel, "max_per_s", None)
        self._thread: Thread | None = None
        self._verbs = {
            point.removeprefix("session."): self._caller(getattr(channel, method))
            for point, method in channel.meta.implements.items()
            if point.startswith("session.")
        }
        self._done: dict[str, list[SendResult]] = {}  # parts of messages that are under way

    def close(self) -> None:
        """Let the thread of a channel that is not async go."""
        if self._thread is not None:
            self._thread.end()
            self._thread = None

    def supports(self, verb: Verb) -> bool:
        """Whether the platform does this itself; otherwise there is a fallback."""
        return supports(self.channel, verb)

    @property
    def mute(self) -> bool:
        """Whether nothing can be said here."""
        return "send" not in self._verbs

    async def send(self, message: OutgoingMessage, targets: tuple[str, ...] = ()) -> SendResult:
        """Say a message, or do its act to the `targets`: what the platform calls its target."""
        if self.mute:
            return SendResult(ok=False, permanent=True, error=MUTE.format(self.name))
        if message.act is not None:
            return await self._act(message, message.act, targets)
        too_long = self.max_chars is not None and len(message.content) > self.max_chars
        if too_long or (message.media and "media" not in self._verbs):
            return await self._say_in_parts(message)
        return await self._say(message)

    async def typing(self, channel_id: str) -> SendResult:
        """Show that an answer is being made."""
        if (show := self._verbs.get("typing")) is None:
            return SendResult(ok=True, fallback=NOT_SHOWN)
        return _done(await show(channel_id))

    async def presence(self, status: Status) -> SendResult:
        """Show whether the bot is there."""
        if (show := self._verbs.get("presence")) is None:
            return SendResult(ok=True, fallback=NO_STATUS)
        return _done(await show(status))

    def _caller(self, method: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        return method if inspect.iscoroutinefunction(method) else partial(self._in_thread, method)

    async def _in_thread(self, method: Callable[..., Any], *args: Any, **more: Any) -> Any:
        # One for the channel, of its own: one that hangs keeps nobody else's calls waiting.
        if self._thread is None:
            self._thread = Thread(self.name)
        outcome = await self._thread.begin(partial(method, *args, **more))
        return await outcome if inspect.isawaitable(outcome) else outcome

    # Words and files

    async def _say(self, message: OutgoingMessage) -> SendResult:
        verb = self._verbs["media" if message.media else "send"]
        return as_result(await verb(message), self.name)

    async def _say_in_parts(self, message: OutgoingMessage) -> SendResult:
        """A part that the platform took is not sent again when a later one fails."""
        notes, text, media = [], message.content, message.media
        if media and "media" not in self._verbs:
            text = "\n".join(filter(None, (text, files_as_text(media))))
            media, notes = (), [AS_TEXT]
        texts = split_text(text, self.max_chars)
        if len(texts) > 1:
            notes.append(in_parts(len(texts)))
        key = message.id or f"{id(message)}"
        done = self._done.setdefault(key, [])
        if len(self._done) > MOST_UNDER_WAY:  # the oldest was given up
            del self._done[next(iter(self._done))]
        try:
            for number in range(len(done), len(texts)):
                part = _part(message, texts, number)
                last = number == len(texts) - 1
                result = await self._say(part.model_copy(update={"media": media if last else ()}))
                if not result:
                    return result
                done.append(result)
        finally:
            if message.id is None or len(done) == len(texts):
                del self._done[key]
        return _together(done, notes)

    # Acts

    async def _act(
        self, message: OutgoingMessage, act: Act, targets: tuple[str, ...]
    ) -> SendResult:
        match act.verb:
            case "edit":
                return await self._edit(message, targets)
            case "delete":
                return await self._delete(message, targets)
            case "react":
                return await self._react(message, act, targets)

    async def _edit(self, message: OutgoingMessage, targets: tuple[str, ...]) -> SendResult:
        chat, new = message.channel_id, message.model_copy(update={"act": None})
        if "edit" not in self._verbs or not targets:
            first = targets[0] if targets else None
            again = {"content": said_again(message.content), "reply_to": first}
            result = await self.send(new.model_copy(update=again))
            return _together([result], [SAID_AGAIN]) if result else result
        first, *others = targets
        text, *rest = split_text(message.content, self.max_chars)
        results = [as_result(await self._verbs["edit"](chat, first, text), self.name)]
        if results[0] and rest:  # what is too much for the old message follows in new ones
            more = new.model_copy(update={"content": "".join(rest), "reply_to": None})
            results.append(await self._say_in_parts(more))
        if results[0] and others and "delete" in self._verbs:
            results += [await self._one("delete", chat, other) for other in others]
        return _together(results)

    async def _delete(self, message: OutgoingMessage, targets: tuple[str, ...]) -> SendResult:
        chat = message.channel_id
        if "delete" in self._verbs:
            return _together([await self._one("delete", chat, one) for one in targets])
        if "edit" in self._verbs and targets:
            blanks = [await self._one("edit", chat, one, DELETED) for one in targets]
            return _together(blanks, [BLANKED])
        return SendResult(ok=True, fallback=KEPT)

    async def _react(
        self, message: OutgoingMessage, act: Act, targets: tuple[str, ...]
    ) -> SendResult:
        if "react" in self._verbs and targets:
            react = self._verbs["react"]
            answer = await react(message.channel_id, targets[0], act.emoji, remove=act.remove)
            return as_result(answer, self.name)
        if act.remove:
            return SendResult(ok=True, fallback=STAYS)
        words = {"content": act.emoji, "reply_to": targets[0] if targets else None, "act": None}
        result = await self.send(message.model_copy(update=words))
        return _together([result], [SAID]) if result else result

    async def _one(self, verb: str, *arguments: Any) -> SendResult:
        return as_result(await self._verbs[verb](*arguments), self.name)


def as_result(answer: object, channel: str) -> SendResult:
    """What a channel returned; the older contract answers with a bool."""
    match answer:
        case SendResult():
            return answer
        case bool():
            return SendResult(ok=answer, error=None if answer else f"{channel} says no")
    return SendResult(
        ok=False,
        permanent=True,  # it may well have been sent: again would be twice
        error=f"{channel} returned {type(answer).__name__}; return a SendResult or a bool",
    )


def _done(answer: object) -> SendResult:
    return answer if isinstance(answer, SendResult) else SendResult(ok=True)


def _part(message: OutgoingMessage, texts: list[str], number: int) -> OutgoingMessage:
    update: dict[str, Any] = {"content": texts[number]}
    if len(texts) > 1 and message.id is not None:
        update["id"] = f"{message.id}.{number}"  # each is a message of its own to the platform
    if number:
        update["reply_to"] = None
    return message.model_copy(update=update)


def _together(results: Iterable[SendResult], notes: Iterable[str] = ()) -> SendResult:
    """Several results as one: the first that went wrong, or what all of them came to."""
    results = list(results)
    if (wrong := next((result for result in results if not result), None)) is not None:
        return wrong
    said = [*notes, *(result.fallback for result in results if result.fallback)]
    ids = tuple(id for result in results for id in result.ids)
    return SendResult(ok=True, ids=ids, fallback="; ".join(said) or None)
