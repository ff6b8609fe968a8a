"""Changes to sessions: the conditions are checked and everything is written in one transaction."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from sessionbot_kit.errors import StoreConflict
from sessionbot_kit.models import Session, SessionKey
from sessionbot_kit.store import ENDED, KEEP, Change, Memory
from sessionbot_kit.stores.sqlite import dialogs, rows
from sessionbot_kit.stores.sqlite.lines import Line, to_line
from sessionbot_kit.stores.sqlite.messages import add
from sessionbot_kit.stores.sqlite.people import remember
from sessionbot_kit.stores.sqlite.sessions import UNALIAS, Sessions, make
from sessionbot_kit.stores.sqlite.transaction import Head, Transaction

STATE: Final = """
INSERT INTO session_state (session_id, variables, context, version)
VALUES (?1, coalesce(?2, '{}'), coalesce(?3, '{}'), 1)
ON CONFLICT (session_id) DO UPDATE SET
    variables = coalesce(?2, variables), context = coalesce(?3, context), version = version + 1
"""
OWN_TABLES: Final = ("messages", "summaries", "session_state", "tokens")


class Changes(Sessions, dialogs.Dialogs):
    """Compare and change: for merges, clears, summaries, logins, transfers, ends."""

    async def change(
        self, *changes: Change, memories: Sequence[Memory] = ()
    ) -> tuple[Session | None, ...]:
        """All of it or, with StoreConflict, nothing; the sessions as they are then."""
        plans = [_plan(change) for change in changes]
        notes = [rows.to_memory(memory) for memory in memories]
        now = self._clock()

        def job(transaction: Transaction) -> tuple[Session | None, ...]:
            for plan in plans:
                if plan.change.new is not None:
                    made = replace(plan.change.new, id=plan.change.session_id)
                    make(transaction, made, made.key, now)
                _apply(transaction, plan)
            remember(transaction, notes)
            return tuple(_session(transaction, change.session_id) for change in changes)

        def keep(sessions: tuple[Session | None, ...]) -> tuple[Session | None, ...]:
            self._forget_journals()
            for change in changes:
                self._recent.touch(change.session_id)
                self._recent.forget(change.session_id)
                if change.key is not None:
                    self._recent.unname(change.key)
                if change.new is not None:
                    self._recent.unname(change.new.key)
            return sessions

        try:
            return await self._write_then(job, keep)
        except StoreConflict:
            for change in changes:  # whoever tries again must not be told the same from memory
                self._recent.forget(change.session_id)
            raise


class _Plan(NamedTuple):
    """A change, and what of it was written out beforehand."""

    change: Change
    lines: list[Line]
    variables: str | None
    context: str | None
    columns: dict[str, Any]


def _plan(change: Change) -> _Plan:
    columns: dict[str, Any] = {}
    if change.key is not None:
        columns.update(zip(("bot_id", "interface", "chat_id", "user_id"), change.key, strict=True))
    if change.identity is not None:
        columns["identity"] = change.identity
    if change.state is not None:
        columns["state"] = change.state
    if change.metadata is not None:
        columns["metadata"] = rows.to_object(change.metadata, "the metadata")
    if change.expires_at is not KEEP:
        columns["expires_at"] = change.expires_at and rows.to_text(change.expires_at)
    if change.last_activity is not None:
        columns["last_activity"] = rows.to_text(change.last_activity)
    return _Plan(
        change,
        [to_line(message) for message in change.append],
        None if change.variables is None else rows.to_object(change.variables, "the variables"),
        None if change.context is None else rows.to_object(change.context, "the context"),
        columns,
    )


def _apply(transaction: Transaction, plan: _Plan) -> None:
    change = plan.change
    before = transaction.head(change.session_id)
    _check(transaction, change, before)
    transaction.weigh(before, -1)
    session_id = before.session_id
    if change.truncate_after is not None:
        _truncate(transaction, before, change.truncate_after)
    if change.forget_through is not None:
        _forget(transaction, transaction.head(session_id), change.forget_through)
    if plan.lines:
        _append(transaction, transaction.head(session_id), plan.lines)
    _write_row(transaction, transaction.head(session_id), plan)
    if change.become is not None:
        _become(transaction, transaction.head(session_id), change.become)
    elif change.remove:
        _remove(transaction, session_id)
    else:
        transaction.weigh(transaction.head(session_id), 1)


def _check(transaction: Transaction, change: Change, head: Head) -> None:
    transaction.flush()
    read = transaction.db.execute
    (covered,) = read(
        "SELECT coalesce(max(last), 0) FROM summaries WHERE session_id = ?", (head.session_id,)
    ).fetchone()
    for what, wanted, found in (
        ("version", change.if_version, head.version),
        ("last seq", change.if_last_seq, head.seq),
        ("summaries up to", change.if_covered, covered),
    ):
        if wanted is not None and wanted != found:
            raise StoreConflict(
                f"session {head.session_id} was changed meanwhile ({what} {found}, "
                f"not {wanted}); read it again and repeat"
            )
    if change.if_no_inbox:
        (waits,) = read(
            "SELECT EXISTS (SELECT 1 FROM inbox WHERE state <> 'done' AND state = 'waiting' "
            "AND session_id = ?)",
            (head.session_id,),
        ).fetchone()
        if waits:
            raise StoreConflict(
                f"a message of session {head.session_id} waits for its answer; repeat after it"
            )


def _settle(transaction: Transaction, head: Head) -> None:
    """Write down the time of the last activity, before the line that knows it goes."""
    transaction.run(
        f"UPDATE sessions AS s SET last_activity = {rows.LAST_ACTIVITY}, activity_seq = ? "
        "WHERE seq = ?",
        (head.seq, head.session_seq),
    )


def _truncate(transaction: Transaction, head: Head, last: int) -> None:
    _settle(transaction, head)
    transaction.run(
        "UPDATE sessions SET activity_seq = min(activity_seq, ?) WHERE seq = ?",
        (last, head.session_seq),
    )
    transaction.run(
        "DELETE FROM messages WHERE session_id = ? AND seq > ?", (head.session_id, last)
    )
    if last < head.cleared_seq:
        transaction.run(
            "UPDATE sessions SET cleared_seq = ?, cleared_tokens = 0 WHERE seq = ?",
            (last, head.session_seq),
        )
    transaction.drop_head(head.session_id)


def _forget(transaction: Transaction, head: Head, last: int) -> None:
    last = min(last, head.seq)
    if last <= head.cleared_seq:
        return
    (tokens,) = transaction.run(
        "SELECT cum_tokens FROM messages WHERE session_id = ? AND seq = ?", (head.session_id, last)
    ).fetchone()
    _settle(transaction, head)
    transaction.run(
        "UPDATE sessions SET cleared_seq = ?, cleared_tokens = ? WHERE seq = ?",
        (last, tokens, head.session_seq),
    )
    transaction.run(
        "DELETE FROM messages WHERE session_id = ? AND seq <= ?", (head.session_id, last)
    )
    transaction.drop_head(head.session_id)


def _write_row(transaction: Transaction, head: Head, plan: _Plan) -> None:
    change = plan.change
    session_id = head.session_id
    if change.summaries is not None:
        transaction.run("DELETE FROM summaries WHERE session_id = ?", (session_id,))
        for summary in change.summaries:
            transaction.run(
                "INSERT INTO summaries VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (session_id, *rows.summary_values(summary)),
            )
    if change.key is not None:
        _rename(transaction, session_id, change.key)
    if change.state in ENDED:
        transaction.run("DELETE FROM key_aliases WHERE session_id = ?", (session_id,))
    if plan.columns:
        columns = plan.columns
        if "last_activity" in columns:
            columns = {**columns, "activity_seq": head.seq}
        names = ", ".join(f"{name} = ?" for name in columns)
        values = (*columns.values(), head.session_seq)
        transaction.run(f"UPDATE sessions SET {names} WHERE seq = ?", values)
    stated = plan.columns.keys() - {"expires_at", "last_activity"}
    if stated or plan.variables is not None or plan.context is not None:
        transaction.run(STATE, (session_id, plan.variables, plan.context))
    if change.revoke_tokens:
        transaction.run("DELETE FROM tokens WHERE session_id = ?", (session_id,))
    for token in change.tokens:
        transaction.run("INSERT INTO tokens VALUES (?, ?, ?, ?)", rows.token_values(token))
    transaction.drop_head(session_id)


def _append(transaction: Transaction, head: Head, lines: Sequence[Line]) -> None:
    # `add` counts its lines, and the whole session is weighed again.
    added = add(transaction, head, lines)
    transaction.flush()
    tokens = sum(line.tokens for line in lines)
    transaction.count(
        head.interface,
        messages=-len(lines),
        tokens=-tokens,
        active_messages=0 if head.state in ENDED else -len(lines),
    )
    newest = max(line.timestamp for line in lines)
    transaction.run(
        "UPDATE sessions SET last_activity = ?, activity_seq = ? WHERE seq = ?",
        (newest, head.seq, head.session_seq),
    )
    transaction.drop_head(added.session_id)


def _rename(transaction: Transaction, session_id: str, key: SessionKey) -> None:
    """Let the old key lead to the session as well; the new one leads nowhere else."""
    transaction.run(
        "INSERT OR REPLACE INTO key_aliases SELECT bot_id, interface, chat_id, user_id, id "
        "FROM sessions WHERE id = ?",
        (session_id,),
    )
    transaction.run(UNALIAS, key)


def _become(transaction: Transaction, head: Head, other: str) -> None:
    run = transaction.run
    target = transaction.head(other).session_id
    run("UPDATE aliases SET session_id = ? WHERE session_id = ?", (target, head.session_id))
    run("UPDATE key_aliases SET session_id = ? WHERE session_id = ?", (target, head.session_id))
    run(
        "INSERT OR REPLACE INTO key_aliases SELECT bot_id, interface, chat_id, user_id, ? "
        "FROM sessions WHERE id = ?",
        (target, head.session_id),
    )
    run("INSERT INTO aliases VALUES (?, ?, ?)", (head.session_id, head.session_seq, target))
    dialogs.move(transaction, head.session_id, target)
    for table, over in (("inbox", "done"), ("outbox", "sent")):
        run(
            f"UPDATE {table} SET session_id = ? WHERE state <> '{over}' AND session_id = ?",
            (target, head.session_id),
        )
    _drop(transaction, head.session_id)


# The chat page goes with the last session that it belongs to.
PAGE_GOES: Final = """
DELETE FROM memories WHERE scope IN ('page', 'file')
    AND owner = (SELECT chat_id FROM sessions WHERE id = ?1 AND interface = 'web')
    AND NOT EXISTS (
        SELECT 1 FROM sessions WHERE chat_id = memories.owner AND interface = 'web' AND id <> ?1
    )
"""


def _remove(transaction: Transaction, session_id: str) -> None:
    run = transaction.run
    run(PAGE_GOES, (session_id,))
    run("DELETE FROM aliases WHERE session_id = ?", (session_id,))
    run("DELETE FROM key_aliases WHERE session_id = ?", (session_id,))
    run("DELETE FROM inbox WHERE state <> 'done' AND session_id = ?", (session_id,))
    run("DELETE FROM outbox WHERE state <> 'sent' AND session_id = ?", (session_id,))
    _drop(transaction, session_id)


def _drop(transaction: Transaction, session_id: str) -> None:
    dialogs.remove(transaction, session_id)
    for table in OWN_TABLES:
        transaction.run(f"DELETE FROM {table} WHERE session_id = ?", (session_id,))
    transaction.run("DELETE FROM sessions WHERE id = ?", (session_id,))
    transaction.drop_head(session_id)


def _session(transaction: Transaction, session_id: str) -> Session | None:
    row = transaction.run(f"{rows.SESSION} WHERE s.id = ?", (session_id,)).fetchone()
    return None if row is None else rows.session_of(row)
