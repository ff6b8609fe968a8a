"""What people do other than write, in the words of the house.

signals_of(Reacted(id, target, "👍", removed=False), account="default")   # one Signal
signals_of(Said(...), account="default")                                  # none: it is a message
"""

from datetime import UTC, datetime
from typing import Any

from sessionbot_kit.channel import Signal
from sessionbot_kit.channels.session_messenger.events import (
    Event,
    Reacted,
    ReadSeen,
    TypingSeen,
    Unsent,
)

CHANNEL_TYPE = "session_messenger"


def signals_of(event: Event, *, account: str) -> tuple[Signal, ...]:
    """One for each message that the event is about; none for what is no signal."""

    def by(sender: str, **what: Any) -> Signal:
        return Signal(
            channel_type=CHANNEL_TYPE,
            channel_id=sender,
            sender_id=sender,
            account=account,
            **what,
        )

    match event:
        case Reacted(id=id, target=target, emoji=emoji, removed=removed):
            at = datetime.fromtimestamp(id.timestamp / 1000, UTC)
            about = {"message_id": str(target), "content": emoji, "removed": removed, "at": at}
            return (by(id.author, kind="reacted", **about),)
        case Unsent(target=target):
            return (by(target.author, kind="deleted", message_id=str(target)),)
        case ReadSeen(sender=sender, targets=targets):
            return tuple(by(sender, kind="read", message_id=str(target)) for target in targets)
        case TypingSeen(sender=sender, started=started):
            return (by(sender, kind="typing", removed=not started),)
    return ()
