"""Two conversations become one: an anonymous one and that of the user who was behind it.

    report = await merge(store, policy, anonymous.id, user.id)
    report.messages, report.variables, report.conflicts, report.token

It is one transaction: after a crash it has happened, or it has not. All tokens that were given
out before are refused from then on; the report has the new one, once. The one rule to remember:
**no name is lost**: the id, number and key of the session that was merged go on naming the
conversation that it became part of.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from pydantic import JsonValue

from sessionbot_kit.access import new_token, stored
from sessionbot_kit.errors import SessionEnded, SessionError, StoreConflict, UsageError
from sessionbot_kit.models import SessionKey, StoredMessage
from sessionbot_kit.sessions.conversation import counted
from sessionbot_kit.sessions.policy import SessionPolicy
from sessionbot_kit.sessions.revision import TRIES, every_line, found
from sessionbot_kit.sessions.weave import interleave, joined, notes, united
from sessionbot_kit.store import ENDED, Change, Loaded, Memory, NewMessage, SessionRef, Store

ADDRESS: Final = "address"


@dataclass(frozen=True, slots=True)
class MergeReport:
    """What a merge did. The same merge asked for again gives the same report."""

    merged: str  # the id that is now another name
    into: str
    messages: int
    variables: tuple[str, ...] = ()  # taken over
    conflicts: tuple[str, ...] = ()  # variables of which the user's own value stayed
    memories: int = 0
    token: str = field(default="", repr=False, compare=False)  # replaces all that were given out

    def to_json(self) -> dict[str, JsonValue]:
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
            if name != "token"
        }

    @classmethod
    def from_json(cls, data: Mapping[str, JsonValue]) -> "MergeReport":
        lists = {name: tuple(value) for name, value in data.items() if isinstance(value, list)}
        return cls(**{**data, **lists})  # type: ignore[arg-type]  # written by to_json


async def merge(
    store: Store, policy: SessionPolicy, anonymous: SessionRef, user: SessionRef
) -> MergeReport:
    """Make one conversation of two; merging the same again changes nothing."""
    for attempt in range(1, TRIES + 1):
        target = await found(store, user)
        source = await found(store, anonymous)
        if source.session.id == target.session.id:
            return _merged_before(anonymous, target)
        plan = await plan_merge(store, policy, target, source)
        try:
            await store.change(*plan.changes, memories=plan.memories)
            return plan.report
        except StoreConflict:
            if attempt == TRIES:
                raise
            store.unload(target.session.id)
            store.unload(source.session.id)
    raise AssertionError("unreachable")


@dataclass(frozen=True, slots=True)
class MergePlan:
    """Everything that a merge writes; the change of the session that stays comes last."""

    changes: tuple[Change, ...]
    memories: tuple[Memory, ...]
    report: MergeReport


async def plan_merge(
    store: Store, policy: SessionPolicy, target: Loaded, source: Loaded
) -> MergePlan:
    """What has to be written so that the source becomes part of the target."""
    mine, theirs = target.session, source.session
    if mine.key.bot != theirs.key.bot:
        raise SessionError(
            f"session {theirs.seq} is one of the bot {theirs.key.bot} and session {mine.seq} one "
            f"of {mine.key.bot}; bots share nothing, so merge within one bot"
        )
    refuse_ended(target)
    others = await every_line(store, theirs.id)
    own = await _end(store, target, others)
    before, lines = interleave(own, others)
    if not own:
        before = target.last_seq
    kept = tuple(summary for summary in target.summaries if summary.last <= before)
    lost = [summary for summary in target.summaries if summary not in kept]
    first = target.last_seq - target.session.totals.messages + 1
    told = notes(lost, own, first=first)
    told += notes(source.summaries, others, first=source.last_seq - theirs.totals.messages + 1)
    variables, conflicts = united(mine.variables, theirs.variables)
    policy.limits.check_variables(variables)
    memories = await inherited(store, theirs.key, mine.key.user)
    memories += await _renamed(store, mine.key.bot, theirs.id, mine.id)
    token = new_token()
    report = MergeReport(
        merged=theirs.id,
        into=mine.id,
        messages=len(others),
        variables=tuple(sorted(set(theirs.variables) - set(mine.variables))),
        conflicts=conflicts,
        memories=sum(memory.value is not None for memory in memories),
        token=token,
    )
    goes = Change(theirs.id, if_version=theirs.version, if_last_seq=source.last_seq, become=mine.id)
    stays = Change(
        mine.id,
        if_version=mine.version,
        if_last_seq=target.last_seq,
        truncate_after=before if own else None,
        append=_counted(policy, target, source, (*told, *lines)),
        summaries=kept,
        variables=variables,
        context=joined(mine.context, theirs.context),
        metadata=_joined_metadata(mine.metadata, theirs.metadata, report),
        expires_at=policy.clock(),  # the janitor sets its clock again
        revoke_tokens=True,
        tokens=(stored(token, mine.id, policy.clock()),),
    )
    return MergePlan((goes, stays), tuple(memories), report)


def refuse_ended(loaded: Loaded) -> None:
    if loaded.session.state in ENDED:
        raise SessionEnded(
            f"session {loaded.session.seq} is {loaded.session.state}; begin a new one first"
        )


async def _end(store: Store, target: Loaded, others: list[StoredMessage]) -> list[StoredMessage]:
    """The lines of the target from a little before the first of the others on."""
    if not others:
        return []
    count = 100
    while True:
        lines = await store.tail(target.session.id, count)
        if len(lines) < count or lines[0].timestamp <= others[0].timestamp:
            return list(lines)
        count *= 4


def _counted(
    policy: SessionPolicy, target: Loaded, source: Loaded, lines: tuple[NewMessage, ...]
) -> tuple[NewMessage, ...]:
    counter = policy.tokenizer_of(target.session)
    if counter.name == policy.tokenizer_of(source.session).name:
        return lines
    return tuple(replace(line, tokens=counter.count(line.content)) for line in lines)


async def inherited(store: Store, old: SessionKey, user: str) -> list[Memory]:
    """What is known of a visitor moves to the user that the visitor turned out to be."""
    memories: list[Memory] = []
    if old.user == user:
        return memories
    for scope in ("user", ADDRESS):
        theirs = await store.memories(scope, old.user)
        mine = await store.memories(scope, user)
        memories += [
            Memory(scope, user, name, value) for name, value in theirs.items() if name not in mine
        ]
        memories += [Memory(scope, old.user, name, None) for name in theirs]
    return memories


async def _renamed(store: Store, bot: str, old_id: str, new_id: str) -> list[Memory]:
    """Bots keep things under names that hold a session id: the new id finds them too."""
    known = await store.memories("bot", bot)
    return [
        Memory("bot", bot, name.replace(old_id, new_id), value)
        for name, value in known.items()
        if old_id in name and name.replace(old_id, new_id) not in known
    ]


def _joined_metadata(
    mine: Mapping[str, JsonValue], theirs: Mapping[str, JsonValue], report: MergeReport
) -> dict[str, JsonValue]:
    metadata: dict[str, Any] = dict(mine)
    for name in ("tool_calls_count", "error_count"):
        if total := counted(mine, name) + counted(theirs, name):
            metadata[name] = total
    preferences, _ = united(_dict(mine, "preferences"), _dict(theirs, "preferences"))
    if preferences:
        metadata["preferences"] = preferences
    merged = {**_dict(theirs, "merged"), **_dict(mine, "merged")}
    metadata["merged"] = {**merged, report.merged: report.to_json()}
    return metadata


def _dict(metadata: Mapping[str, JsonValue], name: str) -> dict[str, JsonValue]:
    value = metadata.get(name)
    return value if isinstance(value, dict) else {}


def _merged_before(ref: SessionRef, target: Loaded) -> MergeReport:
    reports = _dict(target.session.metadata, "merged")
    report = reports.get(ref) if isinstance(ref, str) else next(reversed(reports.values()), None)
    if not isinstance(report, dict):
        raise UsageError(f"session {ref!r} cannot be merged with itself; name two sessions")
    return MergeReport.from_json(report)
