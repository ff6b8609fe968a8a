"""What we say, as the clients of the network expect it.

    compose.say("Hello", timestamp=now_ms, name="Tarot bot")

Every content repeats its time as `sig_timestamp`, inside the signature: newer clients compare
it with the envelope's.
"""

from collections.abc import Iterable

from sessionbot_kit.channels.session_messenger.content import (
    REACT,
    READ,
    REMOVE,
    STARTED,
    STOPPED,
    AttachmentPointer,
    Content,
    DataMessage,
    Profile,
    Quote,
    Reaction,
    Receipt,
    RequestResponse,
    Typing,
    Unsend,
)
from sessionbot_kit.channels.session_messenger.envelope import MAX_CONTENT_BYTES
from sessionbot_kit.channels.session_messenger.events import Expiry, MessageId
from sessionbot_kit.channels.session_messenger.protobuf import encode
from sessionbot_kit.errors import UsageError

MAX_PROFILE_NAME_CHARS = 64

_LENGTHS_GROW = 8  # two lengths that are written before the text, with one more byte or two each


def say(
    text: str,
    *,
    timestamp: int,
    name: str | None = None,
    quote: MessageId | None = None,
    attachments: Iterable[AttachmentPointer] = (),
    expiry: Expiry | None = None,
) -> Content:
    message = DataMessage(
        body=text or None,
        attachments=tuple(attachments),
        timestamp=timestamp,
        quote=Quote(id=quote.timestamp, author=quote.author) if quote else None,
        profile=_profile(name),
    )
    return Content(
        data=message,
        expiration_type=expiry.kind if expiry else None,
        expiration_timer=expiry.seconds if expiry else None,
        sig_timestamp=timestamp,
    )


def react(
    target: MessageId, emoji: str, *, timestamp: int, remove: bool = False, name: str | None = None
) -> Content:
    reaction = Reaction(
        id=target.timestamp,
        author=target.author,
        emoji=emoji,
        action=REMOVE if remove else REACT,
    )
    message = DataMessage(timestamp=timestamp, reaction=reaction, profile=_profile(name))
    return Content(data=message, sig_timestamp=timestamp)


def typing(started: bool, *, timestamp: int) -> Content:
    sign = Typing(timestamp=timestamp, action=STARTED if started else STOPPED)
    return Content(typing=sign, sig_timestamp=timestamp)


def have_read(targets: Iterable[MessageId], *, timestamp: int) -> Content:
    times = tuple(target.timestamp for target in targets)
    return Content(receipt=Receipt(type=READ, timestamps=times), sig_timestamp=timestamp)


def unsend(target: MessageId, *, timestamp: int) -> Content:
    return Content(
        unsend=Unsend(timestamp=target.timestamp, author=target.author), sig_timestamp=timestamp
    )


def approve(*, timestamp: int, name: str | None = None) -> Content:
    response = RequestResponse(is_approved=True, profile=_profile(name))
    return Content(request_response=response, sig_timestamp=timestamp)


def split(text: str, frame: Content) -> list[str]:
    """Cut `text` into parts that each fit a record together with `frame`, at good places."""
    return split_bytes(text, MAX_CONTENT_BYTES - len(encode(frame)) - _LENGTHS_GROW)


def split_bytes(text: str, limit: int) -> list[str]:
    """Parts of at most `limit` bytes: cut at a blank line, a line, a space, or a character."""
    if limit < 4:
        raise UsageError(f"text cannot be cut into parts of {limit} bytes; leave room for 4")
    parts = []
    while len(data := text.encode("utf-8", "replace")) > limit:
        head = data[:limit].decode("utf-8", "ignore")
        cut = _good_place(head)
        parts.append(text[:cut])
        text = text[cut:]
    return [*parts, text] if text or not parts else parts


def _good_place(head: str) -> int:
    for mark in ("\n\n", "\n", " "):
        at = head.rfind(mark)
        if at > len(head) // 2:
            return at + len(mark)
    return len(head)


def _profile(name: str | None) -> Profile | None:
    return Profile(display_name=name) if name else None
