"""Whatever is done to conversations, in whatever order, no line is lost, doubled or hidden."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sessionbot_kit.context import SummaryRules
from sessionbot_kit.sessions import SessionManager, SessionPolicy
from sessionbot_kit.stores import open_store
from tests.sessions.conftest import Clock

PEOPLE = ["ada", "bob", "eve"]
RULES = SummaryRules(token_limit=10, min_messages=3, summary_max_tokens=10_000, max_summaries=2)


async def listed(messages: list[dict[str, str]]) -> str:
    """A summary that tells exactly what it was made of."""
    return ",".join(
        message["content"] if message["role"] == "system" else message["content"].split(":")[0]
        for message in messages
    )


person = st.sampled_from(PEOPLE)
say = st.tuples(st.just("say"), person, st.text("abc", min_size=1, max_size=12))
step = st.one_of(
    say,
    say,
    say,
    st.tuples(st.just("clear"), person, st.booleans()),
    st.tuples(st.just("merge"), person, person),
    st.tuples(st.just("move"), person, person),
    st.tuples(st.just("fork"), person, st.integers(0, 30)),
    st.tuples(st.just("forget"), person, st.none()),
    st.tuples(st.just("wait"), person, st.integers(-5_000, 5_000)),
)
lives = st.tuples(st.lists(say, min_size=6, max_size=20), st.lists(step, max_size=20))


class House:
    """Three people, and what each of them must find in the conversation."""

    def __init__(self, sessions: SessionManager, clock: Clock) -> None:
        self.sessions = sessions
        self.clock = clock
        self.number = 0
        self.ids: dict[str, str] = {}
        self.said: dict[str, list[str]] = {}  # by session id, in no order across a merge

    async def enter(self) -> None:
        for name in PEOPLE:
            session = await self.sessions.get_or_create_session(
                interface_type="web", external_user_id=name, external_chat_id=name
            )
            self.ids[name] = session.id
            self.said[session.id] = []

    async def now(self, name: str) -> str:
        session = await self.sessions.get_session(self.ids[name])
        assert session is not None
        return session.id

    async def do(self, verb: str, name: str, what: Any) -> None:
        ref = await self.now(name)
        self.clock.go(1)
        if verb == "say":
            self.number += 1
            what = f"{self.number}:{what}"
            await self.sessions.add_message(ref, "user", what)
            self.said[ref].append(what)
        elif verb == "clear":
            await self.sessions.clear_messages(ref, include_summaries=what)
            self.said[ref] = []
        elif verb == "merge":
            other = await self.now(what)
            if other == ref:
                return
            await self.sessions.merge(ref, other)
            self.said[other] += self.said.pop(ref)
        elif verb == "move":
            moved = await self.sessions.transfer(ref, "email", what)
            if moved.report is not None:
                self.said[ref] += self.said.pop(moved.report.merged)
        elif verb == "fork":
            fork = await self.sessions.fork(ref, at=what)
            await self.check(fork.id, None)
        elif verb == "forget":
            self.sessions.store.unload()
        else:
            self.clock.go(what)

    async def check(self, ref: str, said: Sequence[str] | None) -> None:
        """Everything that was said is stored, and each line is live or under one summary."""
        session = await self.sessions.get_session(ref)
        assert session is not None
        rows = await self.sessions.history(ref)
        seqs = [row["seq"] for row in rows]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs))) if seqs else True
        assert session.message_count == len(rows)
        if said is not None:
            assert sorted(row["content"] for row in rows if row["role"] == "user") == sorted(said)
        covered = [n for s in session.summaries for n in range(s.first, s.last + 1)]
        live = [line.seq for line in session.messages]
        assert len(covered + live) == len({*covered, *live})
        assert set(seqs) <= {*covered, *live}
        assert live == seqs[len(seqs) - len(live) :]
        for summary in session.summaries:
            within = [row for row in rows if summary.first <= row["seq"] <= summary.last]
            assert_stands_for(summary.text, within)
        stored = {row["seq"]: row["tokens"] for row in rows}
        assert session.live_tokens == sum(stored[seq] for seq in live)
        window = await self.sessions.build_context(ref, 5, token_budget=40)
        assert window.total_tokens <= 40
        assert (window.omitted > 0) == (len(window.messages) < len(session.summaries) + len(live))


def assert_stands_for(text: str, rows: list[dict[str, Any]]) -> None:
    """The summary was made of these lines, and perhaps of others that were cleared since."""
    own = ",".join(
        row["content"] if row["role"] == "system" else row["content"].split(":")[0] for row in rows
    )
    numbers = own.split(",") if own else []
    assert [number for number in text.split(",") if number in numbers] == numbers


async def live(steps: list[tuple[str, str, Any]], folder: Path) -> None:
    clock = Clock()
    policy = SessionPolicy(clock=clock, rules=RULES, summarize=listed)
    async with open_store(folder / "memory.db", clock=clock, durability="process") as store:
        house = House(SessionManager(store, policy), clock)
        await house.enter()
        for verb, name, what in steps:
            await house.do(verb, name, what)
        for cold in (False, True):
            if cold:
                store.unload()
            for ref, said in house.said.items():
                await house.check(ref, said)


@settings(max_examples=max(60, settings().max_examples // 2))
@given(lives)
def test_whatever_happens_every_line_is_there_once(
    parts: tuple[list[tuple[str, str, Any]], ...],
) -> None:
    steps = [step for part in parts for step in part]
    with TemporaryDirectory() as folder:
        asyncio.run(live(steps, Path(folder)))
