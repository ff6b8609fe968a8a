"""How two conversations of one person become one, without touching a store.

    keep, lines = interleave(user_messages, anonymous_messages)
    variables, conflicts = united(user.variables, anonymous.variables)

The messages come in the order in which they were said, those of one conversation in their own
order. The user's conversation keeps all its numbers up to the first message that comes in between.
The one rule to remember: **where the two disagree, the user's own word wins.**
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import JsonValue

from sessionbot_kit.context import Summary
from sessionbot_kit.models import StoredMessage
from sessionbot_kit.store import NewMessage


def interleave(
    user: Sequence[StoredMessage], other: Sequence[StoredMessage]
) -> tuple[int, tuple[NewMessage, ...]]:
    """The number up to which `user` stays as it is, and the lines that come after it.

    A clock that went back does not change the order within a conversation.
    """
    if not other:
        return (user[-1].seq if user else 0), ()
    moments = _rising(user)
    begin = other[0].timestamp
    stay = next((n for n, moment in enumerate(moments) if moment > begin), len(user))
    mine = list(zip(moments[stay:], user[stay:], strict=True))
    theirs = list(zip(_rising(other), other, strict=True))
    # Both lists rise, so a stable sort is a merge; at the same moment the user's come first.
    order = sorted([*mine, *theirs], key=lambda pair: pair[0])
    before = user[stay - 1].seq if stay else (user[0].seq - 1 if user else 0)
    return before, tuple(renewed(message) for _, message in order)


def renewed(message: StoredMessage) -> NewMessage:
    """The same line, to be stored under another number."""
    return NewMessage(
        role=message.role,
        content=message.content,
        timestamp=message.timestamp,
        tokens=message.tokens,
        media=message.media,
        metadata=message.metadata,
    )


def notes(
    summaries: Sequence[Summary], messages: Sequence[StoredMessage], *, first: int
) -> tuple[NewMessage, ...]:
    """Summaries of lines that are stored no longer, as lines themselves: nothing else has them.

    `first` is the number of the oldest line that is stored.
    """
    return tuple(
        NewMessage(
            role="system",
            content=summary.text,
            timestamp=min([summary.created_at, *(line.timestamp for line in messages[:1])]),
            tokens=summary.tokens,
            metadata={"summary_of": [summary.first, summary.last]},
        )
        for summary in summaries
        if summary.first < first
    )


def _rising(messages: Sequence[StoredMessage]) -> list[datetime]:
    moments: list[datetime] = []
    for message in messages:
        moments.append(max(message.timestamp, moments[-1]) if moments else message.timestamp)
    return moments


def united(
    user: Mapping[str, JsonValue], other: Mapping[str, JsonValue]
) -> tuple[dict[str, JsonValue], tuple[str, ...]]:
    """Both sets of variables; where both have a different value, the user's and its name."""
    conflicts = tuple(sorted(name for name in other if name in user and user[name] != other[name]))
    return {**other, **user}, conflicts


def joined(user: Mapping[str, JsonValue], other: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Both contexts: lists one after the other without doubles, settings as the user has them."""
    context: dict[str, JsonValue] = dict(user)
    for name, value in other.items():
        mine = context.setdefault(name, value)
        if isinstance(mine, list) and isinstance(value, list):
            context[name] = [*mine, *(item for item in value if item not in mine)]
        elif isinstance(mine, dict) and isinstance(value, dict):
            context[name] = {**value, **mine}
    return context


def deepened(old: Mapping[str, JsonValue], new: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """`old` with what `new` says: a dict goes into a dict, anything else replaces."""
    result: dict[str, JsonValue] = dict(old)
    for name, value in new.items():
        before = result.get(name)
        both = isinstance(before, dict) and isinstance(value, dict)
        result[name] = deepened(before, value) if both else value  # type: ignore[arg-type]  # both are dicts
    return result
