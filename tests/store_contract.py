"""What every store must do, as tests that anybody's store can be held to.

    class TestMine(StoreContract):
        @pytest.fixture
        def place(self, tmp_path):
            return lambda: MyStore(tmp_path / "mine")

`place` makes a store that is not open yet, each time in the same place: a test opens it again
to see what was kept, and twice at once to be two processes.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from sessionbot_kit.errors import (
    MessageError,
    SessionEnded,
    SessionUnknown,
    StaleLease,
    StoreConflict,
    StoreError,
    StoreHeld,
    UsageError,
)
from sessionbot_kit.models import Media, SessionKey
from sessionbot_kit.store import Change, NewMessage, NewSession, Store
from tests.store_change_contract import ChangeContract
from tests.store_people import NOON, answer, at, becomes_true, heard, inbox, key, line, lines, reply

Place = Callable[[], Store]


class SessionContract:
    """Sessions are found by any name, and made once."""

    @pytest.fixture
    def place(self) -> Place:
        raise NotImplementedError("give a `place` fixture that makes the store")

    @pytest.fixture
    async def store(self, place: Place) -> AsyncIterator[Store]:
        async with place() as store:
            yield store

    async def test_a_session_is_the_same_by_id_by_number_and_by_key(self, store: Store) -> None:
        session = await store.session_for(key())
        assert session == await store.session(session.id)
        assert session == await store.session(session.seq)
        assert session == await store.session(key())

    async def test_a_key_has_one_session(self, store: Store) -> None:
        many = await asyncio.gather(*(store.session_for(key()) for _ in range(50)))
        assert len({session.id for session in many}) == 1
        assert (await store.stats()).sessions == 1

    async def test_each_part_of_a_key_tells_sessions_apart(self, store: Store) -> None:
        keys = [
            SessionKey(*parts)
            for parts in ("abcd", "xbcd", "axcd", "abxd", "abcx", ("a", "b", "c", "D"))
        ]
        assert len({(await store.session_for(one)).id for one in keys}) == len(keys)

    async def test_a_new_session_is_as_it_was_asked_for(self, store: Store) -> None:
        new = NewSession(
            key(),
            id="my-own",
            identity="authenticated",
            variables={"n": 1},
            context={"tools": ["search"]},
            metadata={"ttl": 60},
            created_at=NOON,
            expires_at=at(60),
        )
        session = await store.session_for(key(), new=new)
        assert (session.id, session.identity, session.state) == ("my-own", "authenticated", "new")
        assert (session.variables, session.context) == ({"n": 1}, {"tools": ["search"]})
        assert (session.created_at, session.expires_at) == (NOON, at(60))
        assert session.metadata == {"ttl": 60}

    async def test_a_session_that_is_there_already_is_not_made_again(self, store: Store) -> None:
        first = await store.session_for(key())
        again = await store.session_for(key(), new=NewSession(key(), variables={"n": 1}))
        assert again == first

    async def test_a_session_is_kept(self, place: Place) -> None:
        async with place() as store:
            session = await store.session_for(key(), new=NewSession(key(), variables={"n": 1}))
        async with place() as store:
            assert await store.session_for(key()) == session

    async def test_an_unknown_session_is_none(self, store: Store) -> None:
        for ref in ("nobody", 4711, key("nobody")):
            assert await store.session(ref) is None
            assert await store.load(ref) is None

    async def test_sessions_are_listed_newest_first_and_page_by_page(self, store: Store) -> None:
        made = [await store.session_for(key(f"user {n}")) for n in range(5)]
        page = await store.sessions(limit=3)
        assert page == made[:1:-1]
        assert await store.sessions(limit=3, before=page[-1].seq) == made[1::-1]

    async def test_sessions_are_listed_by_what_they_are(self, store: Store) -> None:
        ada = await store.session_for(key("ada"))
        bob = await store.session_for(key("bob", interface="web"))
        await store.append(bob.id, [line("hi", seconds=60)])
        await store.change(Change(ada.id, last_activity=NOON))
        for criteria, found in (
            ({"user": "ada"}, [ada]),
            ({"interface": "web"}, [bob]),
            ({"bot": "shop"}, [bob, ada]),
            ({"states": ["active"]}, [bob]),
            ({"active_since": at(30)}, [bob]),
            ({"user": "ada", "interface": "web"}, []),
            ({"states": []}, []),
        ):
            listed = await store.sessions(**criteria)
            assert [session.id for session in listed] == [session.id for session in found]

    async def test_variables_are_replaced_and_kept(self, place: Place) -> None:
        async with place() as store:
            session = await store.session_for(key())
            await store.set_variables(session.id, {"a": 1, "b": [None, "ü"]})
            await store.set_variables(session.id, {"b": {"c": 2.5}})
            now = await store.session(session.id)
        async with place() as store:
            again = await store.session(session.id)
        assert now is not None
        assert now == again
        assert now.variables == {"b": {"c": 2.5}}
        assert now.version == 2

    async def test_variables_are_merged_key_by_key(self, store: Store) -> None:
        session = await store.session_for(key(), new=NewSession(key(), variables={"a": 1, "b": 1}))
        await store.set_variables(session.id, {"a": 2, "b": 1}, base=session.variables)
        await store.set_variables(session.id, {"a": 1, "c": 3}, base=session.variables)
        merged = await store.session(session.id)
        assert merged is not None
        assert merged.variables == {"a": 2, "c": 3}

    async def test_a_variable_that_both_changed_is_a_conflict(self, store: Store) -> None:
        session = await store.session_for(key(), new=NewSession(key(), variables={"a": 1}))
        await store.set_variables(session.id, {"a": 2}, base=session.variables)
        with pytest.raises(StoreConflict, match="'a' was changed by somebody else"):
            await store.set_variables(session.id, {"a": 3}, base=session.variables)

    @pytest.mark.parametrize("value", [2**70, float("nan"), {1, 2}, {"a": [float("inf")]}])
    async def test_what_json_cannot_carry_is_refused(self, store: Store, value: object) -> None:
        session = await store.session_for(key())
        with pytest.raises(MessageError, match="the variables cannot be kept as JSON"):
            await store.set_variables(session.id, {"x": value})  # type: ignore[dict-item]  # wrong

    async def test_two_stores_in_one_place_see_what_the_other_wrote(self, place: Place) -> None:
        async with place() as here, place() as there:
            mine = await here.session_for(key())
            await here.append(mine.id, [line("from here")])
            assert (await there.session_for(key())).id == mine.id
            await there.append(mine.id, [line("from there")])
            await there.set_variables(mine.id, {"n": 1})

            async def both() -> bool:
                return len(await here.tail(mine.id, 9)) == 2

            assert await becomes_true(both, within_s=0.2)  # though it is read from memory
            assert (await here.session_for(key())).variables == {"n": 1}


class MessageContract(SessionContract):
    """Lines are appended, numbered without a gap, and never changed."""

    async def test_lines_are_numbered_from_one(self, store: Store) -> None:
        session = await store.session_for(key())
        first = await store.append(session.id, lines(2))
        more = await store.append(session.id, lines(1))
        assert [stored.seq for stored in (*first, *more)] == [1, 2, 3]

    async def test_a_line_is_kept_whole(self, place: Place) -> None:
        media = Media.from_bytes(b"\x00\xff", name="a.png", caption="dots")
        wanted = NewMessage("tool", "1 < 2 & ☃", NOON, 7, (media,), {"tool": {"ok": True}})
        async with place() as store:
            session = await store.session_for(key())
            (stored,) = await store.append(session.id, [wanted])
        async with place() as store:
            assert await store.tail(session.id, 1) == (stored,)
        assert (stored.role, stored.content, stored.tokens) == ("tool", "1 < 2 & ☃", 7)
        assert (stored.timestamp, stored.media) == (NOON, (media,))
        assert stored.metadata == {"tool": {"ok": True}}

    async def test_a_line_is_a_whole_model(self, store: Store) -> None:
        session = await store.session_for(key())
        (stored,) = await store.append(session.id, [line("hello")])
        again = type(stored).model_validate_json(stored.model_dump_json())
        assert again == stored == stored.model_copy()
        assert hash(stored.model_copy(update={"metadata": None}))

    async def test_a_text_that_was_cut_in_two_is_mended(self, store: Store) -> None:
        session = await store.session_for(key())
        (stored,) = await store.append(session.id, [line("\ud83d\ude00 and \ud83d")])
        assert stored.content == "😀 and \N{REPLACEMENT CHARACTER}"

    async def test_the_tail_is_the_end_oldest_first(self, place: Place) -> None:
        async with place() as store:
            session = await store.session_for(key())
            await store.append(session.id, lines(120))
            warm = await store.tail(session.id, 3)
        async with place() as store:
            assert await store.tail(session.id, 3) == warm
            assert len(await store.tail(session.id, 1_000)) == 120
            assert await store.tail(session.id, 0) == ()
        assert [stored.content for stored in warm] == ["line 118", "line 119", "line 120"]

    async def test_the_tail_grows_with_each_append(self, store: Store) -> None:
        session = await store.session_for(key())
        for count in range(1, 250):
            await store.append(session.id, [line(f"{count}")])
            tail = await store.tail(session.id, 4)
            assert tail[-1].content == f"{count}"
            assert [stored.seq for stored in tail] == list(range(max(1, count - 3), count + 1))

    async def test_lines_are_read_from_any_place(self, store: Store) -> None:
        session = await store.session_for(key())
        await store.append(session.id, lines(10))
        found = await store.messages(session.id, after=3, limit=4)
        assert [stored.seq for stored in found] == [4, 5, 6, 7]

    async def test_totals_and_activity_follow_the_lines(self, place: Place) -> None:
        async with place() as store:
            session = await store.session_for(key())
            await store.append(session.id, lines(3, tokens=5))
            now = await store.session(session.id)
        async with place() as store:
            assert await store.session(session.id) == now
        assert now is not None
        assert (now.totals.messages, now.totals.tokens) == (3, 15)
        assert now.last_activity == at(3)

    async def test_the_last_activity_is_known_to_the_second(self, place: Place) -> None:
        async with place() as store:
            session = await store.session_for(key())
            for seconds in (10, 20, 15, 500, 501):
                await store.append(session.id, [line("hello", seconds=seconds)])
                store.unload()
                now = await store.session(session.id)
                assert now is not None
                assert now.last_activity == at(seconds)
            await store.change(Change(session.id, forget_through=99))
        async with place() as store:
            assert [one.id for one in await store.sessions(active_since=at(501))] == [session.id]
            assert await store.sessions(active_since=at(502)) == []

    async def test_the_first_line_wakes_a_session_and_makes_it_due(self, store: Store) -> None:
        session = await store.session_for(key())
        await store.append(session.id, [line("hello", seconds=9)])
        woken = await store.session(session.id)
        assert woken is not None
        assert (woken.state, woken.expires_at, woken.version) == ("active", at(9), session.version)
        assert await store.due(at(9)) == [woken]
        assert await store.due(at(8)) == []

    async def test_a_session_that_has_ended_takes_no_lines(self, store: Store) -> None:
        session = await store.session_for(key())
        await store.change(Change(session.id, state="expired"))
        with pytest.raises(SessionEnded, match="is expired"):
            await store.append(session.id, [line("too late")])

    async def test_an_unknown_session_takes_no_lines(self, store: Store) -> None:
        with pytest.raises(SessionUnknown, match="there is no session 'nobody'"):
            await store.append("nobody", [line("hello?")])

    async def test_nothing_appended_is_nothing_changed(self, store: Store) -> None:
        session = await store.session_for(key())
        assert await store.append(session.id, []) == ()
        assert await store.session(session.id) == session

    async def test_a_line_that_cannot_be_kept_is_refused(self, store: Store) -> None:
        session = await store.session_for(key())
        naive = NewMessage("user", "when?", NOON.replace(tzinfo=None))
        stranger = NewMessage("robot", "beep", NOON)  # type: ignore[arg-type]  # wrong on purpose
        for wrong in (naive, stranger, line("x", metadata={"n": 2**64})):
            with pytest.raises(MessageError):
                await store.append(session.id, [line("good"), wrong])
        assert await store.tail(session.id, 9) == ()

    async def test_appends_at_once_are_all_there_in_order(self, store: Store) -> None:
        session = await store.session_for(key())
        many = await asyncio.gather(
            *(store.append(session.id, [line(f"{n}"), line(f"{n}+")]) for n in range(100))
        )
        kept = await store.messages(session.id, limit=1_000)
        assert [stored.seq for stored in kept] == list(range(1, 201))
        assert [stored for pair in many for stored in pair] == list(kept)

    async def test_a_bad_line_takes_no_other_along(self, store: Store) -> None:
        session = await store.session_for(key())
        ids = [session.id, "nobody", session.id, "nobody", session.id]
        results = await asyncio.gather(
            *(store.append(id, [line("x")]) for id in ids), return_exceptions=True
        )
        assert [type(result) for result in results[1::2]] == [SessionUnknown, SessionUnknown]
        assert [stored.seq for stored in await store.tail(session.id, 9)] == [1, 2, 3]

    async def test_a_cancelled_append_leaves_no_gap(self, store: Store) -> None:
        session = await store.session_for(key())
        for n in range(20):
            task = asyncio.create_task(store.append(session.id, [line(f"{n}"), line(f"{n}")]))
            for _ in range(n % 4):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        (last,) = await store.append(session.id, [line("end")])
        kept = await store.messages(session.id, limit=1_000)
        assert [stored.seq for stored in kept] == list(range(1, last.seq + 1))
        assert len(kept) % 2 == 1
        assert await store.tail(session.id, len(kept)) == kept


class TurnContract(MessageContract):
    """A message is written down once, and answered in one transaction."""

    async def test_a_message_is_accepted_once(self, store: Store) -> None:
        session = await store.session_for(key())
        row = inbox(session.id)
        assert await store.accept(row) is True
        assert await store.accept(inbox(session.id)) is False
        assert await store.waiting() == [row]

    async def test_copies_that_come_at_once_are_one_message(self, store: Store) -> None:
        session = await store.session_for(key())
        copies = [inbox(session.id, heard(id=f"{n % 3}")) for n in range(12)]
        taken = await asyncio.gather(*(store.accept(copy) for copy in copies))
        assert taken == [True] * 3 + [False] * 9
        assert await store.waiting() == copies[:3]

    async def test_each_part_of_an_address_tells_messages_apart(self, store: Store) -> None:
        session = await store.session_for(key())
        message = heard()
        for change in ({}, {"id": "2"}, {"account": "b"}, {"channel_id": "x"}):
            other = message.model_copy(update=change)
            assert await store.accept(inbox(session.id, other)) is True

    async def test_an_accepted_message_waits_whole_until_it_is_answered(self, place: Place) -> None:
        media = (Media.from_bytes(b"\x00", name="x.bin"),)
        async with place() as store:
            session = await store.session_for(key())
            row = inbox(session.id, heard("é", media=media, metadata={"a": [1]}, raw_content="!é"))
            await store.accept(row)
        async with place() as store:
            assert await store.waiting() == [row]

    async def test_attempts_are_counted_on_the_disk(self, place: Place) -> None:
        async with place() as store:
            row = inbox((await store.session_for(key())).id)
            await store.accept(row)
            assert [await store.attempt(row.id), await store.attempt(row.id)] == [1, 2]
        async with place() as store:
            assert [waiting.attempts for waiting in await store.waiting()] == [2]
            with pytest.raises(StoreError, match="no message waits"):
                await store.attempt("nothing")

    async def test_a_turn_is_committed_in_all_its_parts(self, place: Place) -> None:
        async with place() as store:
            session = await store.session_for(key())
            lease = await store.acquire("gateway")
            row = inbox(session.id)
            await store.accept(row)
            said = (line("hello", tokens=2), NewMessage("assistant", "hi", at(1), 3))
            turn = answer(row, lease.epoch, "hi", messages=said, variables={"n": 1})
            stored = await store.commit(turn)
            assert await store.tail(session.id, 9) == stored
        async with place() as store:
            assert await store.tail(session.id, 9) == stored
            assert await store.waiting() == []
            assert [waiting.message for waiting in await store.unsent()] == [reply(row)]
            after = await store.session(session.id)
        assert after is not None
        assert (after.variables, after.totals.messages, after.totals.tokens) == ({"n": 1}, 2, 5)

    async def test_a_turn_that_failed_is_over_too(self, store: Store) -> None:
        session = await store.session_for(key())
        lease = await store.acquire("gateway")
        row = inbox(session.id)
        await store.accept(row)
        await store.commit(answer(row, lease.epoch, "sorry", error="ZeroDivisionError"))
        assert await store.waiting() == []
        assert [unsent.message.content for unsent in await store.unsent()] == ["sorry"]

    async def test_a_turn_is_committed_once(self, store: Store) -> None:
        session = await store.session_for(key())
        lease = await store.acquire("gateway")
        row = inbox(session.id)
        await store.accept(row)
        await store.commit(answer(row, lease.epoch, "hi", messages=(line("hello"),)))
        with pytest.raises(StoreConflict, match="was answered already"):
            await store.commit(answer(row, lease.epoch, messages=(line("hello"),)))
        assert len(await store.tail(session.id, 9)) == 1
        assert len(await store.unsent()) == 1

    async def test_a_turn_of_an_old_lease_changes_nothing(self, store: Store) -> None:
        session = await store.session_for(key())
        old = await store.acquire("gateway")
        await store.release(old)
        row = inbox(session.id)
        await store.accept(row)
        turn = answer(row, old.epoch, "hi", messages=(line("hello"),), variables={"n": 1})
        with pytest.raises(StaleLease):
            await store.commit(turn)
        new = await store.acquire("gateway")
        with pytest.raises(StaleLease, match=f"epoch {old.epoch} is over"):
            await store.commit(turn)
        assert new.epoch > old.epoch
        assert await store.waiting() == [row]
        assert (await store.session(session.id), await store.unsent()) == (session, [])

    async def test_a_conflict_of_variables_leaves_the_turn_open(self, store: Store) -> None:
        session = await store.session_for(key())
        lease = await store.acquire("gateway")
        row = inbox(session.id)
        await store.accept(row)
        await store.set_variables(session.id, {"n": 5})
        turn = answer(row, lease.epoch, "hi", variables={"n": 1}, base=session.variables)
        with pytest.raises(StoreConflict, match="'n'"):
            await store.commit(turn)
        assert await store.waiting() == [row]

    async def test_many_turns_at_once_are_all_committed(self, store: Store) -> None:
        lease = await store.acquire("gateway")
        rows = []
        for n in range(30):
            session = await store.session_for(key(f"user {n}"))
            rows.append(inbox(session.id, heard(id=f"{n}")))
            await store.accept(rows[-1])
        turns = [answer(row, lease.epoch, "a", "b", messages=(line("x"),)) for row in rows]
        await asyncio.gather(*(store.commit(turn) for turn in turns))
        stats = await store.stats()
        assert (stats.inbox, stats.outbox, stats.messages) == (0, 60, 30)

    async def test_a_reply_needs_an_id(self, store: Store) -> None:
        session = await store.session_for(key())
        lease = await store.acquire("gateway")
        row = inbox(session.id)
        turn = answer(row, lease.epoch)
        nameless = row.message.reply("hi")
        with pytest.raises(UsageError, match="has no id"):
            await store.commit(type(turn)(row.id, session.id, lease.epoch, replies=(nameless,)))

    async def test_a_second_gateway_is_refused_and_told_by_whom(self, place: Place) -> None:
        async with place() as here, place() as there:
            lease = await here.acquire("first gateway")
            with pytest.raises(StoreHeld, match="first gateway"):
                await there.acquire("second gateway")
            await here.release(lease)
            assert (await there.acquire("second gateway")).epoch == lease.epoch + 1

    async def test_a_store_that_is_closed_gives_its_lease_back(self, place: Place) -> None:
        async with place() as store:
            first = await store.acquire("gateway")
        async with place() as store:
            assert (await store.acquire("gateway")).epoch == first.epoch + 1

    async def test_others_may_read_and_append_without_a_lease(self, place: Place) -> None:
        async with place() as gateway, place() as notebook:
            session = await gateway.session_for(key())
            await gateway.acquire("gateway")
            await notebook.append(session.id, [line("by hand")])
            (kept,) = await gateway.messages(session.id)
            assert kept.content == "by hand"


class OutboxContract(TurnContract):
    """A reply stays until its channel took it, or it is given up."""

    @pytest.fixture
    async def replies(self, store: Store) -> list[str]:
        session = await store.session_for(key())
        lease = await store.acquire("gateway")
        row = inbox(session.id)
        await store.accept(row)
        await store.commit(answer(row, lease.epoch, "one", "two", "three"))
        return [unsent.id for unsent in await store.unsent()]

    async def test_replies_wait_in_the_order_in_which_they_were_made(
        self, store: Store, replies: list[str]
    ) -> None:
        assert [unsent.message.content for unsent in await store.unsent()] == [
            "one",
            "two",
            "three",
        ]

    async def test_a_reply_that_was_sent_is_gone(self, store: Store, replies: list[str]) -> None:
        await store.sent(replies[1], ["platform-7"])
        assert [unsent.id for unsent in await store.unsent()] == [replies[0], replies[2]]

    async def test_a_reply_that_failed_waits_on(self, store: Store, replies: list[str]) -> None:
        await store.failed(replies[0], "no connection")
        first = (await store.unsent())[0]
        assert (first.id, first.attempts, first.error) == (replies[0], 1, "no connection")

    async def test_a_reply_that_is_given_up_is_a_dead_letter(
        self, place: Place, store: Store, replies: list[str]
    ) -> None:
        await store.bury(replies[0], "blocked by the user")
        async with place() as other:
            (letter,) = await other.dead_letters()
            assert (letter.id, letter.error) == (replies[0], "blocked by the user")
            assert letter.message.content == "one"
            assert len(await other.unsent()) == 2

    async def test_a_mark_on_nothing_is_refused(self, store: Store, replies: list[str]) -> None:
        marks = [store.sent("x", []), store.failed("x", ""), store.bury("x", "")]
        results = await asyncio.gather(
            *marks, store.sent(replies[0], ["1"]), return_exceptions=True
        )
        assert [type(result) for result in results[:3]] == [StoreConflict] * 3
        assert results[3] is None

    async def test_stats_know_what_waits(self, store: Store, replies: list[str]) -> None:
        await store.accept(inbox((await store.session_for(key())).id, heard(id="next")))
        await store.sent(replies[0], [])
        await store.bury(replies[1], "blocked")
        stats = await store.stats()
        assert (stats.inbox, stats.outbox, stats.dead) == (1, 1, 1)


class StoreContract(OutboxContract, ChangeContract):
    """All of it."""
