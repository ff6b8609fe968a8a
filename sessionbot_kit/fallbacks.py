"""What is said where a platform cannot do what was asked for. Nothing here is done in silence.

    split_text("a long text ...", 4096)      # as many messages as it takes
    files_as_text(media)                     # a name and a link, where no files can be sent
    said_again("Tuesday, not Monday")        # an edit, where nothing can be edited

A fallback is named in the `fallback` of the result, so that whoever asked can know.
"""

from collections.abc import Iterable
from typing import Final

from sessionbot_kit.models import Media

DELETED: Final = "(deleted)"
EDITED: Final = "(edited)"

AS_TEXT: Final = "media: the files are named in the text"
SAID_AGAIN: Final = "edit: said again, as a new message"
BLANKED: Final = f"delete: the text is {DELETED} now"
KEPT: Final = "delete: the message stays; this platform takes nothing back"
SAID: Final = "react: said as a message"
STAYS: Final = "react: nothing to take away; this platform has no reactions"
NOT_SHOWN: Final = "typing: this platform does not show it"
NO_STATUS: Final = "presence: this platform has no status"


def in_parts(count: int) -> str:
    """How a long text went."""
    return f"send: the text went in {count} parts"


def said_again(text: str) -> str:
    """A text that takes the place of another, where both will be seen."""
    return f"{EDITED} {text}"


def files_as_text(media: Iterable[Media]) -> str:
    """Files, for people who cannot get them: a link where there is one, else name and size."""
    return "\n".join(_named(file) for file in media)


def split_text(text: str, limit: int | None) -> list[str]:
    """Cut a text into pieces of at most `limit` characters; put together they are the text.

    It is cut where a paragraph ends, or a line, or a word; in a word only when there is no
    other way.
    """
    if limit is None or len(text) <= limit:
        return [text]
    pieces, begin = [], 0
    while len(text) - begin > limit:
        end = _cut(text, begin, begin + limit)
        pieces.append(text[begin:end])
        begin = end
    return [*pieces, text[begin:]]


def _cut(text: str, begin: int, end: int) -> int:
    # In the first half a cut would make the piece needlessly short.
    middle = begin + (end - begin) // 2
    for mark in ("\n\n", "\n", " "):
        if (found := text.rfind(mark, middle, end)) >= 0:
            return found + len(mark)
    return end


def _named(file: Media) -> str:
    name = file.name or file.kind
    if file.url is not None:
        named = f"{name}: {file.url}"
    elif (size := len(file.data) if file.data is not None else file.size) is not None:
        named = f"[{name}, {size:,} bytes]"
    else:
        named = f"[{name}]"
    return f"{named} {file.caption}" if file.caption else named
