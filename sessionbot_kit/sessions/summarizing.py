"""Keeps conversations short: follows the plans of `context.py` after something was said.

    loaded = await shortened(store, policy, loaded)

A summary is written while people go on talking, so it is laid down only if the lines that it
stands for are still there and still uncovered. The one rule to remember: **a summary that fails
costs nothing but itself**; the lines stay, and the next message tries again.
"""

import asyncio
import logging
from collections.abc import Sequence

from sessionbot_kit.context import Plan, Summary, extract, lay, plan_fold, plan_summary
from sessionbot_kit.errors import StoreConflict
from sessionbot_kit.models import StoredMessage
from sessionbot_kit.sessions.policy import SessionPolicy
from sessionbot_kit.store import Change, Loaded, Store

log = logging.getLogger("sessionbot_kit.session-manager")


def due(policy: SessionPolicy, loaded: Loaded) -> Plan | None:
    """Which lines are to be summarized now."""
    return plan_summary(
        policy.rules_of(loaded.session),
        loaded.summaries,
        live_messages=loaded.live_messages,
        live_tokens=loaded.live_tokens,
        last_seq=loaded.last_seq,
    )


async def shortened(store: Store, policy: SessionPolicy, loaded: Loaded) -> Loaded:
    """Summarize what is due in a session; gives it back as it is then."""
    rules = policy.rules_of(loaded.session)
    plan = due(policy, loaded)
    if plan is None:
        return loaded
    session_id = loaded.session.id
    try:
        lines = await _lines(store, loaded, plan)
        summaries = lay(loaded.summaries, await _written(policy, loaded, plan, _said(lines)))
        if (fold := plan_fold(rules, summaries)) is not None:
            notes = [{"role": "system", "content": old.text} for old in fold.summaries]
            summaries = lay(summaries, await _written(policy, loaded, fold, notes))
    except Exception as error:  # somebody else's summarizer; the conversation must go on
        log.warning("summary failed", extra={"session": session_id, "error": repr(error)})
        return await store.load(session_id) or loaded
    return await _laid(store, loaded, plan, summaries)


async def _lines(store: Store, loaded: Loaded, plan: Plan) -> Sequence[StoredMessage]:
    if loaded.tail and loaded.tail[0].seq <= plan.first:
        return [line for line in loaded.tail if plan.first <= line.seq <= plan.last]
    return await store.messages(loaded.session.id, after=plan.first - 1, limit=plan.messages)


def _said(lines: Sequence[StoredMessage]) -> list[dict[str, str]]:
    return [{"role": line.role, "content": line.content} for line in lines]


async def _written(
    policy: SessionPolicy, loaded: Loaded, plan: Plan, said: list[dict[str, str]]
) -> Summary:
    if policy.summarize is None:
        text = extract(said)
    else:
        async with asyncio.timeout(policy.summary_timeout_s):
            text = await policy.summarize(said)
    return plan.accept(text, policy.clock(), policy.tokenizer_of(loaded.session))


async def _laid(store: Store, before: Loaded, plan: Plan, summaries: tuple[Summary, ...]) -> Loaded:
    session_id = before.session.id
    now = await store.load(session_id)
    if now is None or now.summaries != before.summaries or _first_live(now) != plan.first:
        return now or before
    covered = before.summaries[-1].last if before.summaries else 0
    change = Change(
        session_id, if_version=now.session.version, if_covered=covered, summaries=summaries
    )
    try:
        await store.change(change)
    except StoreConflict:  # somebody was faster; the next message tries again
        log.debug("summary was late", extra={"session": session_id})
        return now
    log.info(
        "session summarized",
        extra={"session": session_id, "first": plan.first, "last": plan.last},
    )
    return await store.load(session_id) or now


def _first_live(loaded: Loaded) -> int:
    return loaded.last_seq - loaded.live_messages + 1
