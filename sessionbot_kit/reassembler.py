"""Reassembler: the frames of one peer, in any order, put together again.

    reassembler = Reassembler(shape=ANY_DOCUMENT, raw=True, spool=tempfile.TemporaryFile)
    document = reassembler.feed(frame, now=clock())       # None until the last one is here
    for error in reassembler.expire(now=clock()): ...     # what was given up

A FragmentError costs its message, and with `fatal` the connection: a frame or a peer is over its
budget (close code 1009). Ids that are finished or refused are remembered, so that what comes late
is ignored and counted. The one rule to remember: feed it the frames of one peer only.
"""

from dataclasses import dataclass

from sessionbot_kit.binary_codec import BinaryAssembly, BufferFactory
from sessionbot_kit.errors import FragmentError
from sessionbot_kit.finished import Finished, is_whole, mark_of
from sessionbot_kit.fragments import Fragment, Frame, read_fragment
from sessionbot_kit.full_message import (
    FULL_MESSAGE,
    Document,
    Shape,
    attachments_of,
    decode_base64,
)
from sessionbot_kit.limits import Limits, held_cost
from sessionbot_kit.text_codec import TextAssembly

Assembly = TextAssembly | BinaryAssembly


@dataclass(slots=True)
class Counts:
    """What became of the frames that were fed, since the beginning."""

    completed: int = 0
    duplicates: int = 0  # of a message under way
    late: int = 0  # of a message that is finished or refused
    empty: int = 0
    rejected: int = 0
    expired: int = 0


class Reassembler:
    """Puts messages together from the frames of one peer.

    With `raw`, attachments come back as bytes from either codec; without it, the text codec hands
    its base64 text on. `spool` makes a file for each large attachment of the binary codec; it
    comes back open, at its beginning, and is the caller's to close.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        shape: Shape = FULL_MESSAGE,
        raw: bool = False,
        spool: BufferFactory | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.shape = shape
        self.raw = raw
        self.counts = Counts()
        self.held_bytes = 0
        self._spool = spool
        self._pending: dict[str, _Pending] = {}
        self._finished = Finished(self.limits.remembered)
        self._expired: list[FragmentError] = []
        self._turned_away = 0  # bytes of fragments that found no room

    @property
    def pending(self) -> int:
        """How many messages are under way."""
        return len(self._pending)

    def progress(self) -> dict[str, int]:
        """Where each message under way goes on: at a fragment in text, at an offset in binary."""
        return {name: entry.assembly.progress for name, entry in self._pending.items()}

    def feed(self, frame: Frame, now: float) -> Document | None:
        """Take one frame; the message when it is complete, else None. `now` is in seconds."""
        try:
            return self._feed(frame, now)
        except FragmentError as error:
            if error.code in _REFUSES_ALL and error.message_id in self._finished:
                self.counts.late += 1
                return None
            self.counts.rejected += 1
            if error.message_id is not None:
                self._refuse(error.message_id, remember=error.code in _REFUSES_ALL)
            raise

    def expire(self, now: float) -> list[FragmentError]:
        """Drop what has waited too long, and say what it was."""
        for message_id, entry in list(self._pending.items()):
            error = self._overdue(entry, now)
            if error is not None:
                self.counts.expired += 1
                self._expired.append(error)
                self._refuse(message_id)
        expired, self._expired = self._expired, []
        return expired

    def forget(self, message_id: str) -> None:
        """Drop a message and the memory of its id, so that it may begin again."""
        self._refuse(message_id)
        self._finished.forget(message_id)

    def close(self) -> None:
        """Drop everything, as when the peer has gone."""
        for message_id in list(self._pending):
            self.forget(message_id)

    def _feed(self, frame: Frame, now: float) -> Document | None:
        fragment = read_fragment(frame, self.limits)
        if fragment is None:
            self.counts.empty += 1
            return None
        message_id = fragment.message_id
        if message_id in self._finished:
            self._finished.check(fragment)
            self.counts.late += 1
            return None
        entry = self._pending.get(message_id)
        if entry is None and is_whole(fragment):
            return self._whole(fragment)
        if entry is None:
            entry = self._open(fragment, now)
        elif error := self._overdue(entry, now) or _mismatch(entry.assembly, fragment):
            raise error
        elif entry.assembly.has(fragment):
            self.counts.duplicates += 1
            return None
        self._check_budget(fragment, self.held_bytes + held_cost(fragment.data))
        entry.touched = now
        before = entry.assembly.held
        try:
            complete = self._add(entry.assembly, fragment)
        finally:
            self.held_bytes += entry.assembly.held - before
        if not complete:
            return None
        del self._pending[message_id]
        self.held_bytes -= entry.assembly.held
        return self._deliver(entry.assembly)

    def _whole(self, fragment: Fragment) -> Document:
        assembly = self._assembly(fragment)
        try:
            self._add(assembly, fragment)
        except FragmentError:
            assembly.close()
            raise
        return self._deliver(assembly, mark_of(fragment))

    def _open(self, fragment: Fragment, now: float) -> "_Pending":
        if len(self._pending) >= self.limits.pending:
            self._expired = self.expire(now)
        if len(self._pending) >= self.limits.pending:
            # Refusing costs little; a peer that goes on and on has not listened.
            self._turned_away += len(fragment.data)
            self._check_budget(fragment, self.held_bytes + self._turned_away)
            raise FragmentError(
                "too_many_pending",
                f"message {fragment.message_id!r} is one too many; finish one of the "
                f"{self.limits.pending} that are under way first",
                message_id=fragment.message_id,
            )
        entry = _Pending(self._assembly(fragment), now)
        self._pending[fragment.message_id] = entry
        return entry

    def _assembly(self, fragment: Fragment) -> Assembly:
        if fragment.binary:
            return BinaryAssembly(fragment, self.limits, self._spool)
        return TextAssembly(fragment, self.limits, self.shape)

    def _add(self, assembly: Assembly, fragment: Fragment) -> bool:
        try:
            return assembly.add(fragment)
        except OSError as error:
            raise FragmentError(
                "no_room",
                f"message {fragment.message_id!r} could not be spooled ({error}); make room on "
                "the disk and send it again as a new message",
                message_id=fragment.message_id,
            ) from error

    def _deliver(self, assembly: Assembly, mark: int | None = None) -> Document:
        message_id = assembly.message_id
        try:
            document = assembly.finish()
            for attachment in attachments_of(document, self.limits):
                if self.raw and isinstance(attachment.get("content"), str):
                    attachment["content"] = decode_base64(attachment["content"])
            document = self.shape.check(document)
        except ValueError as error:
            assembly.close()
            if mark is None:
                self._finished.add(message_id)
            raise FragmentError(
                "bad_message",
                f"message {message_id!r} is whole and wrong: {error}",
                message_id=message_id,
            ) from error
        self._finished.add(message_id, mark)
        self._turned_away = 0
        self.counts.completed += 1
        return document

    def _check_budget(self, fragment: Fragment, wanted: int) -> None:
        if wanted > self.limits.held_bytes:
            raise FragmentError(
                "over_budget",
                f"message {fragment.message_id!r} would make {wanted:,} bytes that are held for "
                f"this peer; at most {self.limits.held_bytes:,} are, so send fewer at a time",
                message_id=fragment.message_id,
                fatal=True,
            )

    def _overdue(self, entry: "_Pending", now: float) -> FragmentError | None:
        idle, age = now - entry.touched, now - entry.opened
        if idle <= self.limits.idle_seconds and age <= self.limits.total_seconds:
            return None
        message_id = entry.assembly.message_id
        return FragmentError(
            "expired",
            f"message {message_id!r} was given up {age:.0f} s after it began and {idle:.0f} s "
            "after its last new fragment; send it again as a new message",
            message_id=message_id,
        )

    def _refuse(self, message_id: str, *, remember: bool = False) -> None:
        entry = self._pending.pop(message_id, None)
        if entry is not None:
            self.held_bytes -= entry.assembly.held
            entry.assembly.close()
        if entry is not None or remember:
            self._finished.add(message_id)


# These refuse a message that has only begun: what follows of it is ignored, not refused again.
_REFUSES_ALL = ("bad_total", "message_too_long", "too_many_pending")


class _Pending:
    __slots__ = ("assembly", "opened", "touched")

    def __init__(self, assembly: Assembly, now: float) -> None:
        self.assembly = assembly
        self.opened = self.touched = now


def _mismatch(assembly: Assembly, fragment: Fragment) -> FragmentError | None:
    if assembly.total == fragment.total and assembly.binary == fragment.binary:
        return None
    return FragmentError(
        "total_changed",
        f"message {fragment.message_id!r} began with a total of {assembly.total:,} and goes on "
        f"with {fragment.total:,}, or in another codec; every fragment says the same",
        message_id=fragment.message_id,
    )
