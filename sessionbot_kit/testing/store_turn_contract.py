"""Turns and the outbox of any store: written down once, answered in one transaction."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from sessionbot_kit.errors import (
    StaleLease,
    StoreConflict,
    StoreError,
    StoreHeld,
    UsageError,
)
from sessionbot_kit.models import Media
from sessionbot_kit.store import NewMessage, Store
from sessionbot_kit.testing.store_message_contract import MessageContract
from sessionbot_kit.testing.store_people import answer, at, heard, inbox, key, line, reply
from sessionbot_kit.testing.store_session_contract import Place


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

    async def test_what_a_channel_calls_a_reply_is_kept(
        self, store: Store, replies: list[str]
    ) -> None:
        await store.sent(replies[1], ["platform-7", "platform-8"])
        assert await store.ids_of(replies[1]) == ("platform-7", "platform-8")
        assert await store.ids_of(replies[0]) == ()
        assert await store.ids_of("never said") is None

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

    async def test_a_dead_letter_is_sent_again_or_dropped(
        self, store: Store, replies: list[str]
    ) -> None:
        for id_ in replies:
            await store.bury(id_, "blocked")
        await store.retry(replies[0])
        await store.drop(replies[1])
        assert [(row.id, row.attempts, row.error) for row in await store.unsent()] == [
            (replies[0], 0, None)
        ]
        assert [letter.id for letter in await store.dead_letters()] == [replies[2]]
        for verb in (store.retry, store.drop):
            with pytest.raises(StoreConflict, match="no such dead letter"):
                await verb(replies[0])

    async def test_what_is_over_is_forgotten_after_a_while(
        self, store: Store, replies: list[str]
    ) -> None:
        await store.sent(replies[0], ["1"])
        assert await store.prune(datetime(2001, 1, 1, tzinfo=UTC)) == 0
        session = await store.session_for(key())
        assert await store.accept(inbox(session.id)) is False
        assert await store.prune(datetime.now(UTC) + timedelta(minutes=1)) == 2
        assert await store.accept(inbox(session.id)) is True
        assert [row.id for row in await store.unsent()] == replies[1:]

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
