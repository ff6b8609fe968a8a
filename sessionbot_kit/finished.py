"""The ids of messages that are over, finished or refused, as many as there is room for.

    finished.add("m1", mark_of(fragment))
    "m1" in finished
    finished.check(fragment)                # raises when it is another message under that id

What comes late for such an id opens no new message. The one rule to remember: the oldest ids are
forgotten first, and a frame that is later than that begins a message which then expires.
"""

import zlib
from collections import OrderedDict

from sessionbot_kit.errors import FragmentError
from sessionbot_kit.fragments import DIGEST_BYTES, Fragment


class Finished:
    """A bounded memory of ids, some with a mark that tells their message from others."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._marks: OrderedDict[str, int | None] = OrderedDict()

    def __contains__(self, message_id: object) -> bool:
        return message_id in self._marks

    def add(self, message_id: str, mark: int | None = None) -> None:
        self._marks[message_id] = mark
        while len(self._marks) > self._room:
            self._marks.popitem(last=False)

    def forget(self, message_id: str) -> None:
        self._marks.pop(message_id, None)

    def check(self, fragment: Fragment) -> None:
        """Refuse a whole message that differs from the one which had its id."""
        known = self._marks[fragment.message_id]
        if known is not None and is_whole(fragment) and mark_of(fragment) != known:
            raise FragmentError(
                "conflict",
                f"message {fragment.message_id!r} came again with different data; give a new "
                "message a new id",
                message_id=fragment.message_id,
            )


def is_whole(fragment: Fragment) -> bool:
    """Whether a message has this fragment only."""
    return fragment.total == (len(fragment.data) if fragment.binary else 1)


def mark_of(fragment: Fragment) -> int:
    """Tell whole messages apart; a binary one ends with its digest."""
    if fragment.binary:
        return int.from_bytes(fragment.data[-DIGEST_BYTES:], "big")
    return zlib.crc32(fragment.data)
