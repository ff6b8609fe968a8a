"""What happens to whole sessions: they end, fork, change their owner or place, leave as files.

    async with SessionManager.open("sqlite:///memory.db") as sessions:
        report = await sessions.merge(anonymous.id, user.id)
        text = await sessions.export(user.id, "md")

The one rule to remember: each of these is one transaction, so it has happened or it has not.
"""

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

from pydantic import JsonValue

from sessionbot_kit.access import RateLimiter, check, hashed, new_token, stored
from sessionbot_kit.models import SessionKey
from sessionbot_kit.sessions import copies, handover, merging
from sessionbot_kit.sessions.belongings import Belongings
from sessionbot_kit.sessions.conversation import (
    Conversation,
    SessionTable,
    as_of,
    conversation,
    spelled,
)
from sessionbot_kit.sessions.handover import Handover
from sessionbot_kit.sessions.janitor import Archive, Cleanup, Observe, sweep
from sessionbot_kit.sessions.merging import MergeReport
from sessionbot_kit.sessions.opening import Opening
from sessionbot_kit.sessions.policy import SessionPolicy
from sessionbot_kit.sessions.revision import ending, every_line, found, revise
from sessionbot_kit.sessions.talking import Talking
from sessionbot_kit.sessions.transcript import Format, Transcript, read_transcript, written
from sessionbot_kit.store import ENDED, Change, Loaded, SessionRef, Store


class SessionManager(Talking, Belongings):
    """Sessions on a store that somebody else opened; `SessionManager.open` opens one itself."""

    def __init__(self, store: Store, policy: SessionPolicy | None = None) -> None:
        super().__init__(store, policy)
        self.rate = RateLimiter(self.policy.limits.per_minute)
        self.on_erase: list[Callable[[str], object]] = []  # who else remembers people
        self.opened: AsyncExitStack | None = None

    @classmethod
    def open(
        cls, url: str | Path | None = None, policy: SessionPolicy | None = None, **settings: Any
    ) -> Opening[Self]:
        """Open a store for this manager alone, and sweep it every hour: `async with` or `await`.

        Without a policy it may be given in plain settings: `profile="mybot", token_limit=8000`.
        """
        return Opening(cls, url, policy, settings)

    async def close(self) -> None:
        """Close what `open` has opened."""
        opened, self.opened = self.opened, None
        if opened is not None:
            await opened.aclose()

    # Ends and beginnings

    async def deactivate(self, ref: SessionRef) -> bool:
        """Close a session; False if it had ended already."""
        ends = False

        def decide(loaded: Loaded) -> list[Change]:
            nonlocal ends
            ends = loaded.session.state not in ENDED
            if not ends:
                return []
            return [ending(self.policy, loaded.session, "closed", self.policy.clock())]

        await revise(self.store, ref, decide)
        return ends

    async def rollover(
        self, ref: SessionRef, metadata: Mapping[str, JsonValue] | None = None
    ) -> Conversation:
        """Close a session and go on in a new one, without its messages."""
        return await self._at(await copies.rollover(self.store, self.policy, ref, metadata))

    async def fork(
        self, ref: SessionRef, *, at: int | None = None, key: SessionKey | None = None
    ) -> Conversation:
        """Copy a conversation up to the line `at`, to try another end."""
        return await self._at(await copies.fork(self.store, self.policy, ref, at=at, key=key))

    async def cleanup(
        self, *, archive: Archive | None = None, observe: Observe | None = None
    ) -> Cleanup:
        """Sweep now: mark idle sessions, end expired ones, remove those that ended long ago."""
        return await sweep(self.store, self.policy, archive=archive, observe=observe)

    # Owners and places

    async def login(self, ref: SessionRef, user: str, *, join: bool = True) -> Handover:
        """Give an anonymous session to a user, or make it part of the one that the user has."""
        return await handover.login(self.store, self.policy, ref, user, join=join)

    async def merge(self, anonymous: SessionRef, user: SessionRef) -> MergeReport:
        """Make one conversation of two; every name of the first names the second from then on."""
        return await merging.merge(self.store, self.policy, anonymous, user)

    async def transfer(
        self,
        ref: SessionRef,
        channel: str,
        address: str | None = None,
        *,
        user: str | None = None,
    ) -> Handover:
        """Go on with a conversation on another channel."""
        return await handover.transfer(self.store, self.policy, ref, channel, address, user=user)

    async def erase(self, user: str, *, bot: str | None = None) -> Mapping[str, int]:
        """Remove everything of a user; how many rows, by table."""
        for forget in self.on_erase:
            forget(user)
        return await self.store.erase(user, bot=bot)

    # Access

    async def issue_token(self, ref: SessionRef, *, lives_s: float | None = None) -> str:
        """A new token for a session. It is shown once; only its hash is kept."""
        session = (await self._living(ref)).session
        token = new_token()
        row = stored(token, session.id, self.policy.clock(), lives_s=lives_s)
        await self.store.change(Change(session.id, tokens=(row,)))
        return token

    async def rotate_token(self, ref: SessionRef) -> str:
        """A new token that replaces all others of this session."""
        session = (await self._living(ref)).session
        token = new_token()
        row = stored(token, session.id, self.policy.clock())
        await self.store.change(Change(session.id, revoke_tokens=True, tokens=(row,)))
        return token

    async def check_token(self, token: str, *, of: SessionRef | None = None) -> Conversation:
        """The session that a token opens, or which of four refusals (AccessError)."""
        row = await self.store.token(hashed(token))
        opened = None if row is None else await self.get_session(row.session_id)
        wanted = None if of is None else await self.get_session(of)
        name = None if of is None else wanted.id if wanted is not None else ""
        state = None if opened is None else opened.state
        check(token, row, state, of=name, now=self.policy.clock())
        assert opened is not None  # or `check` had refused
        return opened

    def admit(self, session_id: str) -> None:
        """Count a message that came in, or refuse it with RateLimited."""
        self.rate.take(session_id)

    # Files

    async def export(self, ref: SessionRef, form: Format = "txt") -> str:
        """A whole conversation as text: txt, md, json or jsonl."""
        loaded = await found(self.store, ref)
        lines = await every_line(self.store, loaded.session.id)
        return written(Transcript(loaded.session, tuple(lines), loaded.summaries), form)

    async def import_session(self, text: str, *, key: SessionKey | None = None) -> Conversation:
        """Bring back what was exported as json or jsonl, as a new session."""
        transcript = read_transcript(text)
        return await self._at(await copies.restore(self.store, self.policy, transcript, key=key))

    async def _at(self, session_id: str) -> Conversation:
        return conversation(await found(self.store, session_id), self.policy)

    # In a notebook

    def in_memory(self) -> SessionTable:
        """The sessions that are loaded now."""
        loaded = self.store.loaded().values()
        return SessionTable(as_of(each.session, self.policy) for each in loaded)

    def __getitem__(self, ref: SessionRef) -> Conversation:
        """A session that is in memory, by id, number, key or `interface/chat/user`."""
        memory = self.store.loaded()
        if isinstance(ref, str) and ref in memory:
            return conversation(memory[ref], self.policy)
        for loaded in memory.values():
            session = loaded.session
            if ref in (session.seq, session.key, spelled(session.key)):
                return conversation(loaded, self.policy)
        raise KeyError(f"{ref!r} is not in memory; await sessions.get_session({ref!r})")

    def _ipython_key_completions_(self) -> list[str]:
        return [spelled(session.key) for session in self.in_memory()]

    def __repr__(self) -> str:
        return f"SessionManager({self.store!r}, {len(self.store.loaded())} sessions in memory)"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return self.in_memory()._repr_mimebundle_()
