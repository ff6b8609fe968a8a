"""How a conversation changes its owner or its place: login and transfer.

    moved = await transfer(store, policy, session.id, "email", "ada@example.org")
    moved.session, moved.token

Each is one transaction, and a conversation that was there already becomes part of this one. The
one rule to remember: **a handover replaces every token**; a token that somebody planted before
opens nothing after it.
"""

from dataclasses import dataclass, field, replace

from sessionbot_kit.access import new_token, stored
from sessionbot_kit.errors import AddressMissing, SessionError, StoreConflict
from sessionbot_kit.models import Session, SessionKey
from sessionbot_kit.sessions.conversation import Conversation, conversation
from sessionbot_kit.sessions.merging import (
    ADDRESS,
    MergePlan,
    MergeReport,
    inherited,
    merge,
    plan_merge,
    refuse_ended,
)
from sessionbot_kit.sessions.policy import SessionPolicy
from sessionbot_kit.sessions.revision import TRIES, found
from sessionbot_kit.store import ENDED, Change, Loaded, Memory, SessionRef, Store


@dataclass(frozen=True, slots=True)
class Handover:
    """A session in its new place, and the token that opens it from now on."""

    session: Conversation
    token: str = field(repr=False)
    report: MergeReport | None = None  # if it met another session there


async def login(
    store: Store, policy: SessionPolicy, ref: SessionRef, user: str, *, join: bool = True
) -> Handover:
    """An anonymous session gets an owner, and joins the one that the owner has there already."""
    session = (await found(store, ref)).session
    key = session.key
    if session.identity == "authenticated" and key.user != user:
        raise SessionError(
            f"session {session.seq} belongs to {key.user}; log out before {user} logs in"
        )
    if join and session.identity == "anonymous" and (own := await _own(store, key, user)):
        report = await merge(store, policy, session.id, own.id)
        return Handover(await _now(store, policy, own.id), report.token, report)
    return await _move(store, policy, session.id, key._replace(user=user), authenticated=True)


async def _own(store: Store, key: SessionKey, user: str) -> Session | None:
    others = await store.sessions(
        bot=key.bot, interface=key.interface, user=user, states=("new", "active", "idle")
    )
    return next((other for other in others if other.identity == "authenticated"), None)


async def transfer(
    store: Store,
    policy: SessionPolicy,
    ref: SessionRef,
    channel: str,
    address: str | None = None,
    *,
    user: str | None = None,
) -> Handover:
    """Go on with a conversation on another channel, at the address of the person there.

    `user` is what that channel calls the person, if it is not the address itself.
    """
    session = (await found(store, ref)).session
    if address is None:
        known = (await store.memories(ADDRESS, session.key.user)).get(channel)
        if not isinstance(known, dict):
            raise AddressMissing(
                f"nobody knows the address of {session.key.user} on {channel}; "
                f"give it: transfer(..., {channel!r}, address=...)"
            )
        address, user = str(known["chat"]), str(known["user"])
    key = session.key._replace(interface=channel, chat=address)
    return await _move(store, policy, session.id, key, native=user or address)


async def _move(
    store: Store,
    policy: SessionPolicy,
    session_id: str,
    key: SessionKey,
    *,
    native: str | None = None,
    authenticated: bool = False,
) -> Handover:
    # What comes in from the channel bears the name that the channel knows: it must lead here too.
    keys = [key] if native in (None, key.user) else [key._replace(user=str(native)), key]
    for attempt in range(1, TRIES + 1):
        loaded = await found(store, session_id)
        refuse_ended(loaded)
        others = [other for key in keys if (other := await _occupant(store, loaded, key))]
        for other in others[1:]:
            await merge(store, policy, other.session.id, session_id)
            loaded = await found(store, session_id)
        plan = await (
            plan_merge(store, policy, loaded, others[0]) if others else _plan_stay(policy, loaded)
        )
        changes, memories = await _moved(store, plan, loaded, keys, authenticated)
        try:
            await store.change(*changes, memories=memories)
            report = plan.report if others else None
            return Handover(await _now(store, policy, session_id), plan.report.token, report)
        except StoreConflict:
            if attempt == TRIES:
                raise
            store.unload()
    raise AssertionError("unreachable")


async def _occupant(store: Store, loaded: Loaded, key: SessionKey) -> Loaded | None:
    """Another session that lives under this key."""
    other = await store.load(key)
    if other is None or other.session.key != key or other.session.state in ENDED:
        return None
    return None if other.session.id == loaded.session.id else other


async def _plan_stay(policy: SessionPolicy, loaded: Loaded) -> MergePlan:
    session, token = loaded.session, new_token()
    change = Change(
        session.id,
        if_version=session.version,
        metadata=session.metadata,
        revoke_tokens=True,
        tokens=(stored(token, session.id, policy.clock()),),
    )
    return MergePlan((change,), (), MergeReport("", session.id, 0, token=token))


async def _moved(
    store: Store, plan: MergePlan, loaded: Loaded, keys: list[SessionKey], authenticated: bool
) -> tuple[list[Change], list[Memory]]:
    session, key = loaded.session, keys[-1]
    *before, last = plan.changes
    metadata = dict(last.metadata or {})
    if key.interface != session.key.interface:
        metadata["transferred_from"] = session.key.interface
    identity = "authenticated" if authenticated else session.identity
    # A key that a session had stays one of its names, so each key is given in turn.
    changes = [*before, replace(last, key=keys[0], metadata=metadata, identity=identity)]
    changes += [Change(session.id, key=other) for other in keys[1:]]
    memories = [*plan.memories, *await inherited(store, session.key, key.user)]
    for old in (session.key, keys[0]):
        memories.append(
            Memory(ADDRESS, key.user, old.interface, {"chat": old.chat, "user": old.user})
        )
    return changes, memories


async def _now(store: Store, policy: SessionPolicy, session_id: str) -> Conversation:
    return conversation(await found(store, session_id), policy)
