"""Anything that may happen to a store, against a model of plain dicts.

Two store objects on one file play two processes; the second one appends too, so that what the
first has in memory is old again and again.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sessionbot_kit.models import SessionKey, StoredMessage
from sessionbot_kit.store import Change, NewMessage
from sessionbot_kit.stores.sqlite import SqliteStore
from sessionbot_kit.testing.store_people import answer, heard, inbox, key, line, summary

T = TypeVar("T")

KEYS = [key(user) for user in ("ada", "bob", "cyd")]
keys = st.sampled_from(KEYS)
texts = st.text(max_size=8)
batches = st.lists(texts, min_size=1, max_size=4)
places = st.integers(0, 12)


@dataclass
class Talk:
    """What the model knows of a session."""

    lines: list[tuple[int, str]] = field(default_factory=list)  # seq, content
    last_seq: int = 0
    covered: int = 0
    variables: dict[str, int] = field(default_factory=dict)

    def add(self, texts: list[str]) -> None:
        for text in texts:
            self.last_seq += 1
            self.lines.append((self.last_seq, text))


def said(texts: list[str]) -> list[NewMessage]:
    return [line(text, tokens=len(text)) for text in texts]


def pairs(stored: tuple[StoredMessage, ...]) -> list[tuple[int, str]]:
    return [(one.seq, one.content) for one in stored]


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "bot.db"
        self.runner = asyncio.Runner()
        self.talks: dict[str, Talk] = {}
        self.names: dict[SessionKey, str] = {}
        self.merged: dict[str, str] = {}
        self.messages = 0

    @initialize()
    def open(self) -> None:
        self.store = self.run(self.opened())
        self.other = self.run(self.opened())

    def teardown(self) -> None:
        self.run(self.store.__aexit__(None))
        self.run(self.other.__aexit__(None))
        self.runner.close()
        self.folder.cleanup()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def opened(self) -> SqliteStore:
        # Three lines and two sessions in memory: their ends are met all the time.
        return await SqliteStore(
            self.path, durability="process", cached_lines=3, cached_sessions=2
        ).__aenter__()

    def id_of(self, wanted: SessionKey) -> str:
        session = self.run(self.store.session_for(wanted))
        if wanted in self.names:
            assert session.id == self.names[wanted]
        else:
            assert session.id not in self.talks
            self.names[wanted] = session.id
            self.talks[session.id] = Talk()
        return session.id

    @rule(who=keys, batch=batches)
    def append(self, who: SessionKey, batch: list[str]) -> None:
        id_ = self.id_of(who)
        stored = self.run(self.store.append(id_, said(batch)))
        self.talks[id_].add(batch)
        assert pairs(stored) == self.talks[id_].lines[-len(batch) :]

    @rule(who=keys, batch=batches)
    def append_elsewhere(self, who: SessionKey, batch: list[str]) -> None:
        id_ = self.id_of(who)
        stored = self.run(self.other.append(id_, said(batch)))
        self.talks[id_].add(batch)
        assert pairs(stored) == self.talks[id_].lines[-len(batch) :]
        self.store._looked_at = 0.0  # as if the time for which memory is believed were over

    @rule(whom=st.lists(keys, min_size=2, max_size=6), batch=batches)
    def append_at_once(self, whom: list[SessionKey], batch: list[str]) -> None:
        ids = [self.id_of(who) for who in whom]

        async def together() -> None:
            bad = self.store.append("nobody", said(["x"]))
            good = [self.store.append(id_, said(batch)) for id_ in ids]
            results = await asyncio.gather(*good, bad, return_exceptions=True)
            assert [isinstance(one, Exception) for one in results] == [False] * len(ids) + [True]

        self.run(together())
        for id_ in ids:
            self.talks[id_].add(batch)

    @rule(who=keys, batch=batches, patience=st.integers(0, 3))
    def append_and_lose_patience(self, who: SessionKey, batch: list[str], patience: int) -> None:
        id_ = self.id_of(who)

        async def impatient() -> bool:
            task = asyncio.ensure_future(self.store.append(id_, said(batch)))
            for _ in range(patience):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            before = self.talks[id_].last_seq
            return (await self.store.append(id_, said(["."])))[0].seq > before + 1

        if self.run(impatient()):
            self.talks[id_].add(batch)
        self.talks[id_].add(["."])

    @rule(who=keys, batch=batches, n=st.integers(0, 9), fails=st.booleans())
    def answer(self, who: SessionKey, batch: list[str], n: int, fails: bool) -> None:
        id_ = self.id_of(who)
        self.messages += 1
        row = inbox(id_, heard(id=f"{self.messages}"))
        talk = self.talks[id_]
        changed = {**talk.variables, "n": n}

        async def turn() -> None:
            lease = await self.store.acquire("machine")
            assert await self.store.accept(row)
            turn = answer(
                row,
                lease.epoch - fails,
                messages=tuple(said(batch)),
                variables=changed,
                base=talk.variables,
            )
            results = await asyncio.gather(self.store.commit(turn), return_exceptions=True)
            assert isinstance(results[0], Exception) == fails
            await self.store.release(lease)

        self.run(turn())
        if not fails:
            talk.add(batch)
            talk.variables = changed

    @rule(who=keys, last=places)
    def forget(self, who: SessionKey, last: int) -> None:
        id_ = self.id_of(who)
        self.run(self.store.change(Change(id_, forget_through=last)))
        self.talks[id_].lines = [pair for pair in self.talks[id_].lines if pair[0] > last]

    @rule(who=keys, last=places, batch=batches)
    def replace_the_end(self, who: SessionKey, last: int, batch: list[str]) -> None:
        id_ = self.id_of(who)
        talk = self.talks[id_]
        last = min(last, talk.last_seq)
        change = Change(id_, truncate_after=last, append=tuple(said(batch)), summaries=())
        self.run(self.store.change(change))
        talk.lines = [pair for pair in talk.lines if pair[0] <= last]
        talk.last_seq, talk.covered = last, 0
        talk.add(batch)

    @rule(who=keys, last=places)
    def summarize(self, who: SessionKey, last: int) -> None:
        id_ = self.id_of(who)
        talk = self.talks[id_]
        if (last := min(last, talk.last_seq)) > 0:
            self.run(self.store.change(Change(id_, summaries=(summary(1, last),))))
            talk.covered = last

    @rule(who=keys)
    def end(self, who: SessionKey) -> None:
        id_ = self.id_of(who)
        self.run(self.store.change(Change(id_, state="closed")))
        self.names = {name: named for name, named in self.names.items() if named != id_}

    @rule(guest=keys, user=keys)
    def merge(self, guest: SessionKey, user: SessionKey) -> None:
        gone, kept = self.id_of(guest), self.id_of(user)
        if gone == kept:
            return
        self.run(self.store.change(Change(gone, become=kept)))
        del self.talks[gone]
        self.names = {name: kept if id_ == gone else id_ for name, id_ in self.names.items()}
        self.merged = {id_: kept if to == gone else to for id_, to in self.merged.items()}
        self.merged[gone] = kept

    @rule(who=keys)
    def remove(self, who: SessionKey) -> None:
        id_ = self.id_of(who)
        self.run(self.store.change(Change(id_, remove=True)))
        del self.talks[id_]
        self.names = {name: named for name, named in self.names.items() if named != id_}
        self.merged = {old: to for old, to in self.merged.items() if to != id_}

    @rule()
    def restart(self) -> None:
        self.run(self.store.__aexit__(None))
        self.store = self.run(self.opened())

    @rule()
    def unload(self) -> None:
        self.store.unload()

    @precondition(lambda self: self.talks)
    @rule(count=st.integers(0, 9), data=st.data())
    def read_the_end(self, count: int, data: st.DataObject) -> None:
        id_ = data.draw(st.sampled_from(sorted({*self.talks, *self.merged})), label="session")
        talk = self.talks[self.merged.get(id_, id_)]
        wanted = talk.lines[-count:] if count else []
        assert pairs(self.run(self.store.tail(id_, count))) == wanted
        assert pairs(self.run(self.store.messages(id_, limit=1_000))) == talk.lines

    @invariant()
    def memory_and_file_are_as_the_model(self) -> None:
        for id_, talk in self.talks.items():
            loaded = self.run(self.store.load(id_))
            assert loaded is not None
            live = [text for seq, text in talk.lines if seq > talk.covered]
            assert loaded.last_seq == talk.last_seq
            assert (loaded.live_messages, loaded.live_tokens) == (len(live), len("".join(live)))
            assert loaded.session.variables == talk.variables
            assert loaded.session.totals.messages == len(talk.lines)
            tail = pairs(loaded.tail)
            assert tail == talk.lines[len(talk.lines) - len(tail) :]

    @invariant()
    def totals_are_as_the_model(self) -> None:
        stats = self.run(self.store.stats())
        lines = [text for talk in self.talks.values() for _, text in talk.lines]
        assert stats.sessions == len(self.talks)
        assert (stats.messages, stats.tokens) == (len(lines), len("".join(lines)))

    @invariant()
    def memory_is_bounded(self) -> None:
        loaded = self.store.loaded()
        assert len(loaded) <= 2
        assert all(len(one.tail) <= 6 for one in loaded.values())


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=max(20, settings().max_examples // 5), stateful_step_count=25
)
