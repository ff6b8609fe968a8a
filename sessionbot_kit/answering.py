"""One row of the inbox, from its route to its commit: what the gateway does for a turn.

    await answering.answer(row, attempt=1)

Nothing is remembered from turn to turn: an open dialog is a journal in the store.

While a dialog is open, `/cancel` ends it; a first word that is the prefix of a plugin is a command
and goes to that plugin; everything else is an answer. A command that asks something itself takes
the place of the dialog that was open, and says so.
"""

import logging
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

from sessionbot_kit.crew import Crew
from sessionbot_kit.errors import KitError, SessionError, UsageError
from sessionbot_kit.events import Asked, Failed, Feed, Offered, Said, Stepped
from sessionbot_kit.extension import CANCEL
from sessionbot_kit.journal import Journal, Progress
from sessionbot_kit.ledger import Ledger, Round, is_about
from sessionbot_kit.link import Link, Live, Offer, Result, Step
from sessionbot_kit.models import Act, IncomingMessage, OutgoingMessage, SessionKey
from sessionbot_kit.routes import Choice, Route, first_word
from sessionbot_kit.shadows import Shadows
from sessionbot_kit.store import InboxRow, Lease, Store
from sessionbot_kit.switchboard import Switchboard
from sessionbot_kit.timers import Clock, before

log = logging.getLogger(__name__)

CANCELED: Final = "Canceled."
NOTHING_TO_CANCEL: Final = "There is nothing to cancel."
APOLOGY: Final = "Sorry, something went wrong here. It has been noted."
ANSWER_AGAIN: Final = f"{APOLOGY} Answer again, or send {CANCEL}."
ASIDE: Final = "Sorry, I cannot answer this message. I have put it aside, and it has been noted."
ABSENT: Final = "I cannot answer right now. Your message is kept, and I will as soon as I can."
PUT_AWAY: Final = "(I have stopped waiting for your answer to {}. Begin it again when you like.)"
NOT_THERE: Final = "I cannot reach you on {}. Let us go on here."
NOT_HERE: Final = f"I cannot go on with this right now. Answer again later, or send {CANCEL}."


# A session goes on at another address, by default where its person was met before.
Transfer = Callable[[str, str, str | None], Awaitable[SessionKey]]


class Answering:
    """Answers rows."""

    def __init__(
        self,
        store: Store,
        lease: Lease,
        switchboard: Switchboard,
        ledger: Ledger,
        feed: Feed,
        shadows: Shadows,
        *,
        clock: Clock,
        window: int,
        absent_s: float,
        plugin_absent_s: float,
        transfer: Transfer,
        forget: Callable[[str], Awaitable[object]],
        refusal: Callable[[IncomingMessage], Awaitable[str | None]],
    ) -> None:
        self._store = store
        self._lease = lease
        self._switchboard = switchboard
        self._ledger = ledger
        self._feed = feed
        self._shadows = shadows
        self._clock = clock
        self._window = window
        self._absent_s = absent_s
        self._plugin_absent_s = plugin_absent_s
        self._transfer = transfer
        self._forget_session = forget
        self._refusal = refusal
        self._without_plugin = {
            "later": self._say_later,
            "delete": self._take_back,
            "transfer": self._go_elsewhere,
            "forget": self._forget,
        }
        self._crew = Crew("waits")

    async def stop(self) -> None:
        await self._crew.stop()

    async def answer(self, row: InboxRow, *, attempt: int, alone: bool = False) -> None:
        """Run the turn of a row to its commit; LinkClosed when its kernel goes meanwhile."""
        await self._ledger.room(row)
        dialog, own = await self._ledger.journals(row)
        if (do := self._without_plugin.get(row.kind)) is not None:
            return await do(row)
        if row.kind != "message" and not is_about(row, dialog):
            return await self._finish(Round(row))  # the question was answered meanwhile
        if row.kind == "expiry":
            log.info("dialog expired", extra={"session_id": row.session_id})
            return await self._finish(Round(row, journal=dialog))
        if row.kind == "message" and (text := await self._refusal(row.message)) is not None:
            return await self._finish(Round(row), text)
        await self.wait_for_kernels(row)
        if dialog is not None and own is None and self._is_answer(row, dialog):
            return await self._go_on(Round(row, dialog.plugin, dialog), attempt, alone)
        if own is not None:
            return await self._go_on(Round(row, own.plugin, own, dialog), attempt, alone)
        if self._is_cancel(row, dialog):
            text = NOTHING_TO_CANCEL if dialog is None else CANCELED
            return await self._finish_followed(Round(row, journal=dialog), text)
        choice = await self._chosen(row)
        if choice is None and self._switchboard.misses(row, None):
            return await self._fail(Round(row), "the kernel that answers this is gone", NOT_HERE)
        if choice is None:
            log.info("nobody answers", extra={"turn": row.id, "session_id": row.session_id})
            return await self._finish_followed(Round(row))
        await self._run(Round(row, choice.route.plugin, replaces=dialog), choice, attempt, alone)

    async def set_aside(self, row: InboxRow) -> None:
        """Give a row up that ends its process again and again."""
        dialog, own = await self._ledger.journals(row)
        await self._fail(Round(row, journal=own or dialog), "its process died each time", ASIDE)

    async def refuse(self, row: InboxRow, text: str) -> None:
        """Keep what somebody said too fast, without running anything."""
        log.info("message came too fast", extra={"turn": row.id, "session_id": row.session_id})
        await self._finish(Round(row), text)

    # What a message is

    def _is_answer(self, row: InboxRow, dialog: Journal) -> bool:
        if row.kind != "message" or any(entry.turn == row.id for entry in dialog.entries):
            return True
        word = first_word(row.message.content)[0]
        commands = {prefix for route in self._switchboard.routes(row) for prefix in route.prefixes}
        return word != CANCEL and word not in commands

    def _is_cancel(self, row: InboxRow, dialog: Journal | None) -> bool:
        word = first_word(row.message.content)[0]
        if word != CANCEL:
            return False
        if dialog is not None:
            return True
        # With nothing to cancel, the word may be a plugin's own.
        choice = self._switchboard.choose(row)
        return choice is None or word not in choice.route.prefixes

    # Waiting for somebody to answer it

    async def wait_for_kernels(self, row: InboxRow) -> None:
        """Return when a kernel is here for this row, if it needs one."""
        board = self._switchboard
        if board.staffed(row) or row.kind in ("later", "expiry"):
            return
        patience = self._clock.now() + timedelta(seconds=self._absent_s)
        while await before(self._clock, patience, board.changed, self._crew):
            if board.staffed(row):
                return
        if row.kind == "message":
            await self._ledger.notice(row, ABSENT, "wait")
        while not board.staffed(row):
            await board.changed.wait()

    async def _chosen(self, row: InboxRow) -> Choice[Link] | None:
        """Who answers; a kernel that has just died is waited for."""
        board, choice = self._switchboard, self._switchboard.choose(row)
        deadline = self._clock.now() + timedelta(seconds=self._plugin_absent_s)
        while board.misses(row, choice) and self._clock.now() < deadline:
            log.info("kernel is awaited", extra={"turn": row.id, "session_id": row.session_id})
            await before(self._clock, deadline, board.changed, self._crew)
            choice = board.choose(row)
        return choice

    async def _go_on(self, round: Round, attempt: int, alone: bool) -> None:
        """Run a dialog's own plugin, once that is here."""
        plugin = round.plugin or ""
        deadline = self._clock.now() + timedelta(seconds=self._plugin_absent_s)
        while (found := self._switchboard.who_serves(plugin, round.row)) is None:
            if self._clock.now() >= deadline:
                log.warning("plugin is not here", extra={"turn": round.row.id, "plugin": plugin})
                return await self._fail(round, f"the plugin {plugin} is not here", NOT_HERE)
            log.info("plugin is awaited", extra={"turn": round.row.id, "plugin": plugin})
            await before(self._clock, deadline, self._switchboard.changed, self._crew)
        choice: Choice[Link] = Choice(*found, round.row.message.content)
        await self._run(round, choice, attempt, alone)

    # Running it

    async def _run(self, round: Round, choice: Choice[Link], attempt: int, alone: bool) -> None:
        offer = await self._offer(round, choice, attempt)
        if self._feed.watched:
            self._feed.tell(
                Offered(
                    turn=offer.turn,
                    session=offer.session_id,
                    plugin=offer.plugin,
                    kernel=self._switchboard.kernel_name(choice.by),
                    attempt=attempt,
                )
            )
        out = await self._switchboard.offer(choice.by, offer, alone=alone)
        passed: list[Progress] = []
        try:
            while isinstance(frame := await out.next(), Step):
                await self._step(round, frame)
                passed.append(frame.progress)
                await out.stepped()
        finally:
            self._switchboard.close(out)
        await self._settle(round, frame)
        if self._shadows:
            parts: list[Progress | Result] = [*passed, frame]
            said = tuple(reply.content for part in parts for reply in part.replies)
            done = [entry for part in parts for entry in part.entries if entry.kind == "once"]
            live = Live(offer.plugin, said, frame.error)
            self._shadows.follow(round.row, offer, live, done)

    async def _offer(self, round: Round, choice: Choice[Any], attempt: int) -> Offer:
        row, journal = round.row, round.journal
        loaded = await self._store.load(row.session_id)
        if loaded is None:
            raise KitError(f"the session {row.session_id} of a waiting message is gone")
        session = loaded.session
        round.base = session.variables
        return Offer(
            turn=row.id,
            attempt=attempt,
            epoch=self._lease.epoch,
            plugin=choice.route.plugin,
            session_id=session.id,
            message=row.message.model_copy(
                update={"content": choice.content, "raw_content": row.message.content}
            ),
            variables=session.variables,
            window=await self._store.tail(session.id, self._window),
            now=self._clock.now(),
            seed=random.getrandbits(48),
            journal=journal.entries if journal is not None else (),
            timed_out=row.kind == "timeout",
            summaries=loaded.summaries,
            context=session.context,
        )

    async def _step(self, round: Round, step: Step) -> None:
        progress = step.progress
        await self._ledger.step(round, progress)
        self._feed.tell(
            Stepped(
                turn=round.row.id,
                session=round.row.session_id,
                plugin=round.plugin or "",
                kind=progress.entries[-1].kind if progress.entries else "",
                replies=progress.replies,
            )
        )

    async def _settle(self, round: Round, result: Result) -> None:
        row = round.row
        if result.changed is not None:
            log.warning(
                "dialog begins again",
                extra={"turn": row.id, "plugin": round.plugin, "reason": result.changed},
            )
        if result.error is not None:
            if result.anew:  # the journal is full: there is no way to go on
                round.journal = _closed(round.journal)
            return await self._fail(round, result.error)
        if result.asks:
            put_away = round.replaces
            notice = PUT_AWAY.format(put_away.plugin) if put_away is not None else ""
            await self._ledger.ask(round, result, notice)
        else:
            await self._ledger.end(
                round, result.replies, variables=result.variables, later=result.later
            )
        self._tell_said(round, result.replies, result.ms)
        if result.asks:
            self._feed.tell(Asked(turn=row.id, session=row.session_id, plugin=round.plugin or ""))

    # Other ends

    async def _finish_followed(self, round: Round, text: str = "") -> None:
        """The end of a row that no plugin of ours has answered; a shadow may know better."""
        offer = None
        if self._shadows:
            nobody = Choice(None, Route(""), round.row.message.content)
            offer = await self._offer(round, nobody, 0)
            round.base = None
        await self._finish(round, text)
        if offer is not None:
            self._shadows.follow(round.row, offer, Live(None, (text,) if text else ()))

    async def _say_later(self, row: InboxRow) -> None:
        reply = row.message.reply(row.message.content, id=f"{row.id}/0", reply_to=None)
        await self._ledger.end(Round(row), (reply,))
        self._tell_said(Round(row), (reply,), 0.0)

    async def _take_back(self, row: InboxRow) -> None:
        act = Act(verb="delete", target=str(row.message.metadata["reply"]))
        reply = row.message.reply("", id=f"{row.id}/0", reply_to=None, act=act)
        await self._ledger.end(Round(row), (reply,))

    async def _forget(self, row: InboxRow) -> None:
        await self._forget_session(row.session_id)
        await self._ledger.end(Round(row))

    async def _go_elsewhere(self, row: InboxRow) -> None:
        about: Any = row.message.metadata
        try:
            place = await self._transfer(row.session_id, about["channel"], about["address"])
        except (SessionError, UsageError) as error:
            log.warning("not transferred", extra={"turn": row.id, "error": str(error)})
            return await self._finish(Round(row), NOT_THERE.format(about["channel"]))
        reply = OutgoingMessage(
            channel_type=place.interface,
            channel_id=place.chat,
            content=row.message.content,
            id=f"{row.id}/0",
        )
        await self._ledger.end(Round(row), (reply,))
        self._tell_said(Round(row), (reply,), 0.0)

    async def _finish(self, round: Round, text: str = "") -> None:
        row = round.row
        replies = (row.message.reply(text, id=f"{row.id}/0"),) if text else ()
        await self._ledger.end(round, replies)
        self._tell_said(round, replies, 0.0)

    async def _fail(self, round: Round, error: str, text: str = "") -> None:
        row = round.row
        extra = {"turn": row.id, "plugin": round.plugin, "message_id": row.message.id}
        log.error("turn failed", extra={**extra, "error": error})
        self._feed.tell(Failed(turn=row.id, session=row.session_id, error=error))
        stays = round.journal is not None and round.journal.open
        text = text or (ANSWER_AGAIN if stays else APOLOGY)
        reply = row.message.reply(text, id=f"{row.id}/sorry")
        await self._ledger.fail(round, reply, error)
        self._tell_said(round, (reply,), 0.0)

    def _tell_said(self, round: Round, replies: tuple[OutgoingMessage, ...], ms: float) -> None:
        row = round.row
        if self._feed.watched:
            self._feed.tell(
                Said(
                    turn=row.id,
                    session=row.session_id,
                    plugin=round.plugin,
                    replies=replies,
                    plugin_ms=ms,
                )
            )
        log.info(
            "turn done",
            extra={"turn": row.id, "session_id": row.session_id, "plugin": round.plugin},
        )


def _closed(journal: Journal | None) -> Journal | None:
    return None if journal is None else Journal(journal.id, journal.plugin, journal.entries)
