"""What the feed shows of an event: who, what, and the words. Pure.

    line_of(event)        # Line(session="s1", what="said", who="echo", text="hello")

The one rule to remember: no time of day and no duration is in it, so that the same conversation
reads the same in every run.
"""

from collections.abc import Iterable
from typing import NamedTuple

from sessionbot_kit.events import (
    Asked,
    Compared,
    Failed,
    HouseEvent,
    Offered,
    Received,
    Said,
    Sent,
    Signaled,
    Stepped,
    Swapped,
)
from sessionbot_kit.models import Act, OutgoingMessage

COLUMNS = ("what", "who", "text", "conversation")


class Line(NamedTuple):
    """One row of the feed."""

    what: str
    who: str
    text: str
    session: str


def line_of(event: HouseEvent) -> Line:
    """An event as a row."""
    match event:
        case Received(message=message):
            return Line("heard", message.sender_name, message.content, event.session)
        case Offered(plugin=plugin, kernel=kernel, attempt=attempt):
            again = f", attempt {attempt}" if attempt > 1 else ""
            return Line("offered", plugin, f"to {kernel}{again}", event.session)
        case Stepped(plugin=plugin, kind=kind, replies=replies):
            return Line(kind, plugin, said(replies), event.session)
        case Asked(plugin=plugin):
            return Line("waits", plugin, "for an answer", event.session)
        case Said(plugin=by, replies=replies):
            return Line("said", by or "the house", said(replies) or "(nothing)", event.session)
        case Failed(error=error):
            return Line("failed", "", error, event.session)
        case Sent():
            return Line("sent", "", "the channel took it", event.session)
        case Swapped() | Compared() | Signaled():
            return _beside(event)


def _beside(event: Swapped | Compared | Signaled) -> Line:
    """What happened beside the turns."""
    match event:
        case Swapped():
            return Line(*_swap(event), "")
        case Compared(plugin=plugin, same=same, shadow=shadow, error=error):
            words = "said the same" if same else error or "\n".join(shadow) or "(nothing)"
            return Line("shadow", plugin, words, event.session)
        case Signaled(signal=signal):
            text = signal.content or ("no more" if signal.removed else signal.message_id or "")
            return Line(signal.kind, signal.sender_id, text, event.session)


def said(replies: Iterable[OutgoingMessage]) -> str:
    """The words of some replies, and the names of their files."""
    parts = []
    for reply in replies:
        if reply.act is not None:
            parts.append(_deed(reply.act, reply.content))
            continue
        parts += [reply.content] if reply.content else []
        parts += [f"[{file.name or file.kind}]" for file in reply.media]
    return "\n".join(parts)


def _deed(act: Act, text: str) -> str:
    match act.verb:
        case "edit":
            return f"(edit) {text}"
        case "delete":
            return "(takes a message back)"
        case "react":
            return f"(takes back {act.emoji})" if act.remove else f"(reacts with {act.emoji})"


def _swap(event: Swapped) -> tuple[str, str, str]:
    if event.error is not None:
        return "refused", event.plugin, event.error
    if event.version is None:
        return "left", event.plugin, f"version {event.before}"
    if event.before is None:
        return "joined", event.plugin, f"version {event.version}"
    return "swapped", event.plugin, f"version {event.before} → {event.version}"
