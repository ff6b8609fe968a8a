"""Link frames as documents and back: what leaves is plain data, what arrives is not believed.

    document = to_document(Event(turn="t1", kind="typing"))
    # {"turn": "t1", "kind": "typing", "detail": {}, "type": "event"}
    from_document(document) == Event(turn="t1", kind="typing")

The bytes of media travel beside the document, under `attachments`, and each media says which of
them is its own (`blob`); so a codec may carry them raw. What leaves may be bytes or the path of a
file of ours; what arrives may be bytes or a file that reassembly has written. The one rule to
remember: a document never holds a path to open or a URL to fetch, so no peer can make us read a
file or call an address.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from sessionbot_kit.errors import MessageError, WireError
from sessionbot_kit.link import (
    Bye,
    Event,
    Frame,
    Hello,
    Offer,
    Result,
    Step,
    Stepped,
    Watch,
    Watched,
)
from sessionbot_kit.models import IncomingMessage, Media, OutgoingMessage, StoredMessage

Document = dict[str, Any]
Holder = IncomingMessage | OutgoingMessage | StoredMessage
H = TypeVar("H", IncomingMessage, OutgoingMessage, StoredMessage)

ADAPTERS: dict[str, TypeAdapter[Any]] = {
    "hello": TypeAdapter(Hello),
    "offer": TypeAdapter(Offer),
    "step": TypeAdapter(Step),
    "stepped": TypeAdapter(Stepped),
    "result": TypeAdapter(Result),
    "event": TypeAdapter(Event),
    "watch": TypeAdapter(Watch),
    "watched": TypeAdapter(Watched),
    "bye": TypeAdapter(Bye),
}
_TYPES: dict[type[Frame], str] = {
    Hello: "hello",
    Offer: "offer",
    Step: "step",
    Stepped: "stepped",
    Result: "result",
    Event: "event",
    Watch: "watch",
    Watched: "watched",
    Bye: "bye",
}


def conversation_of(frame: Frame) -> str | None:
    """Frames of one conversation stay in order; None is in order with everything."""
    match frame:
        case Offer():
            return f"session {frame.session_id}"
        case Step() | Stepped() | Result() | Event():
            return f"turn {frame.turn}"
        case Hello():
            return "hello"
        case Watch() | Watched():
            return "watch"
    return None


def media_bytes(frame: Frame) -> int:
    """How much of a frame is media."""
    return sum(_size(media) for holder in _holders(frame) for media in holder.media)


def _size(media: Media) -> int:
    if media.data is not None:
        return len(media.data)
    return media.path.stat().st_size if media.path is not None else 0


def to_document(frame: Frame) -> Document:
    """Lay a frame out; the content of an attachment is bytes, or the path of a file."""
    kind = _TYPES[type(frame)]
    holders = _holders(frame)
    document: Document
    if not any(holder.media for holder in holders):
        document = ADAPTERS[kind].dump_python(frame, mode="json")
        document["type"] = kind
        return document
    document = ADAPTERS[kind].dump_python(_without_bytes(frame), mode="json")
    attachments: list[Document] = []
    for holder, laid_out in zip(holders, _holder_documents(kind, document), strict=True):
        for media, entry in zip(holder.media, laid_out["media"], strict=True):
            if media.data is None and media.path is None and media.url is not None:
                raise MessageError(
                    f"{media.name or 'a media'} is at {media.url}; a link carries bytes or a "
                    "sha256, so fetch it first"
                )
            entry["url"] = None
            content = media.data if media.data is not None else media.path
            if content is not None:
                entry["blob"] = len(attachments)
                attachments.append({"content": content})
    return {"type": kind, **document, "attachments": attachments}


def from_document(document: Document) -> Frame:
    """Read a frame that a peer sent; whatever is wrong with it is a WireError.

    The content of an attachment is bytes, or the path of a file that was written for it.
    """
    fields = dict(document)
    kind = fields.pop("type", None)
    attachments = fields.pop("attachments", [])
    adapter = ADAPTERS.get(kind) if isinstance(kind, str) else None
    if adapter is None:
        raise WireError(
            f"a frame of type {str(kind)[:40]!r} came; this version knows {', '.join(ADAPTERS)}"
        )
    ours = _put_bytes_in(kind, fields, attachments) if attachments else []
    try:
        frame: Frame = adapter.validate_python(fields, extra="forbid")
    except (ValidationError, MessageError) as error:
        raise WireError(f"a frame of type {kind} cannot be read: {_fault(error)}") from error
    if not attachments and isinstance(frame, Hello | Event | Watch | Watched | Bye):
        return frame
    found = 0
    for holder in _holders(frame):
        for media in holder.media:
            if media.url is not None or (media.path is not None and media.path not in ours):
                raise WireError(
                    f"{media.name or 'a media'} points to {media.path or media.url}; a link "
                    "carries bytes or a sha256"
                )
            found += media.data is not None or media.path is not None
    if not len(attachments) == len(ours) == found:
        raise WireError(
            f"a frame of type {kind} has {len(attachments)} attachments and {found} media with "
            "bytes; each belongs to one of the other"
        )
    return frame


def _holders(frame: Frame) -> Sequence[Holder]:
    match frame:
        case Offer():
            return (frame.message, *frame.window)
        case Step():
            return frame.progress.replies
        case Result():
            return frame.replies
    return ()


def _holder_documents(kind: str, document: Document) -> list[Any]:
    if kind == "offer":
        window = document.get("window", ())
        return [document.get("message"), *(window if isinstance(window, list) else ())]
    speaker = {"step": document.get("progress"), "result": document}.get(kind)
    replies = speaker.get("replies", ()) if isinstance(speaker, dict) else ()
    return list(replies) if isinstance(replies, list) else []


def _without_bytes(frame: Frame) -> Frame:
    if isinstance(frame, Offer):
        window = tuple(_stripped(message) for message in frame.window)
        return replace(frame, message=_stripped(frame.message), window=window)
    if isinstance(frame, Step):
        spoken = tuple(_stripped(message) for message in frame.progress.replies)
        return replace(frame, progress=replace(frame.progress, replies=spoken))
    assert isinstance(frame, Result)
    return replace(frame, replies=tuple(_stripped(message) for message in frame.replies))


def _stripped(holder: H) -> H:
    bare = tuple(media.model_copy(update={"data": None, "path": None}) for media in holder.media)
    return holder.model_copy(update={"media": bare})


def _put_bytes_in(kind: str, document: Document, attachments: Any) -> list[object]:
    """Move each attachment to its media, and list them; `document` is changed below its top."""
    used: list[object] = []
    for holder in _holder_documents(kind, document):
        media = holder.get("media") if isinstance(holder, dict) else None
        for entry in media if isinstance(media, list) else ():
            if not isinstance(entry, dict) or "blob" not in entry:
                continue
            blob = entry.pop("blob")
            if type(blob) is not int or not blob == len(used) < len(attachments):
                raise WireError(
                    f"a media of a frame of type {kind} has blob {str(blob)[:20]!r}; number them "
                    "in order, one attachment each"
                )
            content = attachments[blob].get("content")
            entry["data"] = bytes(content) if isinstance(content, memoryview) else content
            if isinstance(content, Path):
                entry["data"], entry["path"] = None, content
            used.append(content)
    return used


def _fault(error: ValidationError | MessageError) -> str:
    if isinstance(error, MessageError):
        return str(error)
    fault = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in fault['loc'])[:80]}: {fault['msg']}"
