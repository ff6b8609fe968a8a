"""What a turn writes down: each step together with what led to it, and its end together.

    ledger = Ledger(store, lease, courier, timers, ...)
    await ledger.step(round, progress)         # on the disk, and its replies are on their way
    await ledger.ask(round, result)            # the turn is over, its dialog is not
    await ledger.end(round, replies)           # both are

After each of these calls nothing of it can be lost or happen again, wherever the process dies.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import JsonValue

from sessionbot_kit.courier import Courier, lane_of
from sessionbot_kit.errors import StoreConflict
from sessionbot_kit.ids import new_id
from sessionbot_kit.journal import Journal, Later, Progress, taken_back
from sessionbot_kit.link import Result
from sessionbot_kit.models import OutgoingMessage
from sessionbot_kit.store import InboxRow, Lease, NewMessage, OutboxRow, Store, Timer, Turn
from sessionbot_kit.timers import Clock, Timers

log = logging.getLogger(__name__)

LONGEST_S: Final = 10 * 366 * 86_400.0


@dataclass(slots=True)
class Round:
    """A row on its way to an answer: whose, and what is written of it already."""

    row: InboxRow
    plugin: str | None = None
    journal: Journal | None = None  # of the dialog that this row belongs to
    replaces: Journal | None = None  # the open dialog of somebody else
    heard: bool = False  # the person's line is in the conversation
    base: Mapping[str, JsonValue] | None = None  # the variables that its changes are made to

    def __post_init__(self) -> None:
        if self.row.kind != "message":
            self.heard = True  # nobody has said it
        elif self.journal is not None:
            self.heard = any(entry.turn == self.row.id for entry in self.journal.entries)


class Ledger:
    """Makes transactions of what happens in turns."""

    def __init__(
        self,
        store: Store,
        lease: Lease,
        courier: Courier,
        timers: Timers,
        *,
        clock: Clock,
        count_tokens: Callable[[str, str], int],
        dialog_expires_s: float,
    ) -> None:
        self._store = store
        self._lease = lease
        self._courier = courier
        self._timers = timers
        self._clock = clock
        self._count_tokens = count_tokens
        self._dialog_expires_s = dialog_expires_s

    async def journals(self, row: InboxRow) -> tuple[Journal | None, Journal | None]:
        """The open dialog of the row's session, and the steps of this very turn so far."""
        found = await self._store.journals(row.session_id)
        dialog = next((journal for journal in found if journal.open), None)
        own = next((journal for journal in found if journal.id == row.id), None)
        return dialog, own if own is not dialog else None

    async def room(self, row: InboxRow) -> None:
        """Wait until another reply to this chat has room."""
        await self._courier.room(lane_of(row.message))

    async def notice(self, row: InboxRow, text: str, name: str) -> None:
        """Tell the person something once, while the row still waits for its answer."""
        notice = row.message.reply(text, id=f"{row.id}/{name}")
        try:
            await self._store.commit(self._turn(Round(row, heard=True), (notice,), done=False))
        except StoreConflict:
            return  # it was said before a restart
        self._courier.post(OutboxRow(f"{row.id}/{name}", row.session_id, notice))

    async def step(self, round: Round, progress: Progress) -> None:
        """A step in the middle of a turn."""
        begins = round.journal is None or progress.anew
        before = () if begins or round.journal is None else round.journal.entries
        journal = Journal(
            id=round.row.id if begins or round.journal is None else round.journal.id,
            plugin=round.plugin or "",
            entries=progress.entries,
            open=not begins and round.journal is not None and round.journal.open,
        )
        await self._commit(
            round,
            progress.replies,
            done=False,
            variables=progress.variables,
            ended=_void(round, progress.anew),
            journal=journal,
            first=len(before),
            timers=self._laters(round, progress.later),
        )
        round.heard = True
        round.journal = Journal(journal.id, journal.plugin, before + progress.entries, journal.open)

    async def ask(self, round: Round, result: Result, notice: str = "") -> None:
        """The end of a turn, with a question: what comes next in the session is the answer."""
        begins = round.journal is None or result.anew
        before = () if begins or round.journal is None else round.journal.entries
        journal = Journal(
            id=round.row.id if begins or round.journal is None else round.journal.id,
            plugin=round.plugin or "",
            entries=result.entries,
            open=True,
        )
        replies = result.replies
        ended = _void(round, result.anew)
        if round.replaces is not None:
            ended = (*ended, round.replaces.id)
            replies = (round.row.message.reply(notice, id=f"{round.row.id}/put-away"), *replies)
        questions = sum(entry.kind == "ask" for entry in (*before, *result.entries))
        timer = self._dialog_timer(round, journal.id, questions, result.timeout_s)
        await self._commit(
            round,
            replies,
            variables=result.variables,
            ended=ended,
            journal=journal,
            first=len(before),
            timers=(timer, *self._laters(round, result.later)),
        )

    async def end(
        self,
        round: Round,
        replies: Sequence[OutgoingMessage] = (),
        *,
        variables: Mapping[str, JsonValue] | None = None,
        later: Sequence[Later] = (),
        error: str | None = None,
    ) -> None:
        """The end of a turn, and of the dialog that it belongs to."""
        await self._commit(
            round,
            replies,
            variables=variables,
            error=error,
            ended=_void(round, True),
            stopped=_timer_of(round) if round.journal is not None and round.journal.open else (),
            timers=self._laters(round, later),
        )

    async def fail(self, round: Round, reply: OutgoingMessage, error: str) -> None:
        """The end of a turn that went wrong: an open dialog stays at its question."""
        journal, row = round.journal, round.row
        if journal is None or not journal.open:
            return await self.end(round, (reply,), error=error)
        entries = taken_back(journal.entries, row.id)
        timer = self._dialog_timer(round, journal.id, journal.questions, None)
        changed = entries != journal.entries
        await self._commit(
            round,
            (reply,),
            error=error,
            ended=(journal.id,) if changed else (),
            journal=Journal(journal.id, journal.plugin, entries, True) if changed else None,
            timers=(timer,),
        )

    # How it works

    async def _commit(self, round: Round, replies: Sequence[OutgoingMessage], **more: Any) -> None:
        row, now = round.row, self._clock.now()
        more["timers"] = (*more.get("timers", ()), *_fading(round, replies, now))
        turn = self._turn(round, replies, **more)
        await self._store.commit(turn)
        if turn.variables is not None:
            round.base = turn.variables
        for timer in turn.timers:
            self._timers.expect(timer.due)
        for reply in replies:
            self._courier.post(OutboxRow(reply.id or "", row.session_id, reply))

    def _turn(self, round: Round, replies: Sequence[OutgoingMessage], **more: Any) -> Turn:
        row, now = round.row, self._clock.now()
        said = tuple(self._spoken(row, reply, now) for reply in replies if reply.act is None)
        return Turn(
            inbox_id=row.id,
            session_id=row.session_id,
            epoch=self._lease.epoch,
            messages=said if round.heard else (self._heard(row), *said),
            replies=tuple(replies),
            base=round.base,
            **more,
        )

    def _heard(self, row: InboxRow) -> NewMessage:
        message = row.message
        return NewMessage(
            role="user",
            content=message.content,
            timestamp=message.timestamp,
            tokens=self._count_tokens(row.session_id, message.content),
            media=message.media,
        )

    def _spoken(self, row: InboxRow, reply: OutgoingMessage, now: datetime) -> NewMessage:
        return NewMessage(
            role="assistant",
            content=reply.content,
            timestamp=now,
            tokens=self._count_tokens(row.session_id, reply.content),
            media=reply.media,
        )

    def _dialog_timer(
        self, round: Round, dialog: str, questions: int, timeout_s: float | None
    ) -> Timer:
        kind = "expiry" if timeout_s is None else "timeout"
        seconds = self._dialog_expires_s if timeout_s is None else timeout_s
        about: dict[str, JsonValue] = {"dialog": dialog, "question": questions}
        due = self._clock.now() + timedelta(seconds=seconds)
        (id,) = _timer_of(round)
        return _timer(round, id, kind, due, "", about)

    def _laters(self, round: Round, later: Sequence[Later]) -> tuple[Timer, ...]:
        return tuple(
            _timer(round, new_id(), one.kind, one.due, one.text, dict(one.about)) for one in later
        )


def is_about(row: InboxRow, dialog: Journal | None) -> bool:
    """Whether a timer that ran out is that of the question which is open now."""
    return dialog is not None and row.message.metadata == {
        "dialog": dialog.id,
        "question": dialog.questions,
    }


def _void(round: Round, over: bool) -> tuple[str, ...]:
    return (round.journal.id,) if over and round.journal is not None else ()


def _timer_of(round: Round) -> tuple[str]:
    # One for each session: a question takes the place of the one before.
    return (f"dialog/{round.row.session_id}",)


def _fading(round: Round, replies: Sequence[OutgoingMessage], now: datetime) -> Iterator[Timer]:
    """The moments at which replies are to be taken back."""
    for reply in replies:
        match reply.metadata.get("delete_after"):
            case bool() | None:
                continue
            case int() | float() as seconds if 0 < seconds <= LONGEST_S:
                due, about = now + timedelta(seconds=seconds), {"reply": reply.id}
                yield _timer(round, f"delete/{reply.id}", "delete", due, "", about)
            case other:
                log.warning("delete_after ignored", extra={"reply": reply.id, "value": str(other)})


def _timer(
    round: Round, id: str, kind: str, due: datetime, text: str, about: Mapping[str, JsonValue]
) -> Timer:
    # The row that it becomes has an address, like any other, and an id of its own.
    update = {"id": new_id(), "content": text, "timestamp": due, "metadata": dict(about)}
    message = round.row.message.model_copy(
        update={**update, "raw_content": None, "media": (), "reply_to": None}
    )
    return Timer(id, round.row.session_id, kind, due, message)
