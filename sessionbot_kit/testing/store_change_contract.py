"""What a change of sessions must do: all of it if its conditions hold, or nothing."""

from collections.abc import Callable

import pytest

from sessionbot_kit.errors import SessionUnknown, StoreConflict
from sessionbot_kit.store import Change, Loaded, Memory, NewSession, Store, TokenRow
from sessionbot_kit.testing.store_people import NOON, at, heard, inbox, key, line, lines, summary

HASH = "ab" * 32


class ChangeContract:
    """Compare and change, names, summaries, tokens, memories, and the end of it all."""

    async def test_a_change_is_made_in_all_its_parts(self, place: Callable[[], Store]) -> None:
        async with place() as store:
            session = await store.session_for(key())
            (changed,) = await store.change(
                Change(
                    session.id,
                    append=(line("welcome", seconds=5),),
                    identity="authenticated",
                    state="idle",
                    variables={"n": 1},
                    context={"prompts": ["be kind"]},
                    metadata={"ttl": 5},
                    expires_at=at(99),
                )
            )
        async with place() as store:
            assert await store.session(session.id) == changed
        assert changed is not None
        assert (changed.identity, changed.state) == ("authenticated", "idle")
        assert (changed.variables, changed.context) == ({"n": 1}, {"prompts": ["be kind"]})
        assert (changed.metadata, changed.expires_at) == ({"ttl": 5}, at(99))
        assert (changed.totals.messages, changed.last_activity) == (1, at(5))
        assert changed.version > session.version

    async def test_what_a_change_does_not_name_stays(self, store: Store) -> None:
        session = await store.session_for(
            key(), new=NewSession(key(), variables={"n": 1}, expires_at=at(5))
        )
        (changed,) = await store.change(Change(session.id, context={"a": 1}))
        assert changed is not None
        assert (changed.variables, changed.expires_at) == ({"n": 1}, at(5))
        (changed,) = await store.change(Change(session.id, expires_at=None))
        assert changed is not None
        assert changed.expires_at is None

    @pytest.mark.parametrize(
        "condition",
        [{"if_version": 7}, {"if_last_seq": 1}, {"if_covered": 2}, {"if_no_inbox": True}],
    )
    async def test_a_condition_that_fails_changes_nothing(
        self, store: Store, condition: dict[str, int]
    ) -> None:
        session = await store.session_for(key())
        other = await store.session_for(key("bob"))
        await store.append(session.id, lines(3))
        await store.accept(inbox(session.id))
        before = await store.session(session.id)
        with pytest.raises(StoreConflict):
            await store.change(
                Change(other.id, state="closed", append=(line("x"),)),
                Change(session.id, forget_through=3, **condition),  # type: ignore[arg-type]  # one
                memories=[Memory("user", "ada", "name", "Ada")],
            )
        assert await store.session(session.id) == before
        assert await store.session(other.id) == other
        assert (await store.memories("user", "ada"), (await store.stats()).messages) == ({}, 3)

    async def test_conditions_that_hold_let_a_change_through(self, store: Store) -> None:
        session = await store.session_for(key())
        await store.append(session.id, lines(3))
        change = Change(
            session.id,
            if_version=0,
            if_last_seq=3,
            if_covered=0,
            if_no_inbox=True,
            summaries=(summary(1, 2),),
        )
        await store.change(change)
        (after,) = await store.change(Change(session.id, if_covered=2, metadata={}))
        assert after is not None
        assert after.version == 1

    async def test_lines_that_are_forgotten_leave_numbers_and_totals_right(
        self, place: Callable[[], Store]
    ) -> None:
        async with place() as store:
            session = await store.session_for(key())
            await store.append(session.id, lines(5, tokens=2))
            (changed,) = await store.change(Change(session.id, forget_through=3))
            assert changed is not None
            assert (changed.totals.messages, changed.totals.tokens) == (2, 4)
            await store.change(Change(session.id, forget_through=99))
        async with place() as store:
            loaded = await _load(store, session.id)
            assert (loaded.last_seq, loaded.tail, loaded.session.totals.messages) == (5, (), 0)
            (next_line,) = await store.append(session.id, [line("again", tokens=3)])
            assert next_line.seq == 6
            stats = await store.stats()
            assert (stats.messages, stats.tokens, stats.active_messages) == (1, 3, 1)

    async def test_lines_can_be_replaced_from_a_place_on(self, store: Store) -> None:
        session = await store.session_for(key())
        await store.append(session.id, lines(5, tokens=2))
        await store.change(
            Change(session.id, truncate_after=2, append=(line("new", tokens=7),), summaries=())
        )
        loaded = await _load(store, session.id)
        assert [stored.content for stored in loaded.tail] == ["line 1", "line 2", "new"]
        assert (loaded.last_seq, loaded.live_tokens, loaded.session.totals.tokens) == (3, 11, 11)
        await store.change(Change(session.id, forget_through=2))
        await store.change(Change(session.id, truncate_after=0, append=(line("one", tokens=4),)))
        loaded = await _load(store, session.id)
        assert [(stored.seq, stored.content) for stored in loaded.tail] == [(1, "one")]
        assert (loaded.session.totals.tokens, (await store.stats()).tokens) == (4, 4)

    async def test_summaries_are_loaded_with_what_is_live(self, place: Callable[[], Store]) -> None:
        async with place() as store:
            session = await store.session_for(key())
            await store.append(session.id, lines(9, tokens=2))
            summaries = (summary(1, 3), summary(4, 6))
            await store.change(Change(session.id, summaries=summaries))
            await store.append(session.id, [line("ten", tokens=5)])
            warm = await _load(store, session.id)
        async with place() as store:
            cold = await _load(store, session.id)
        assert warm == cold
        assert (cold.summaries, cold.live_messages, cold.live_tokens) == (summaries, 4, 11)
        assert cold.last_seq == 10

    async def test_a_session_that_becomes_another_leaves_its_names_to_it(
        self, store: Store
    ) -> None:
        guest = await store.session_for(key("guest"))
        user = await store.session_for(key("ada"))
        row = inbox(guest.id)
        await store.accept(row)
        gone, kept = await store.change(
            Change(guest.id, become=user.id), Change(user.id, append=(line("merged"),))
        )
        assert gone is None
        assert kept is not None
        for ref in (guest.id, guest.seq, guest.key, user.id):
            assert (await _load(store, ref)).session == kept
        assert (await store.session_for(guest.key)).id == user.id
        assert [waiting.session_id for waiting in await store.waiting()] == [user.id]
        await store.append(guest.id, [line("by the old name")])
        assert [stored.content for stored in await store.tail(guest.id, 9)] == [
            "merged",
            "by the old name",
        ]
        assert (await store.stats()).sessions == 1

    async def test_names_are_passed_on_when_a_target_is_merged_too(self, store: Store) -> None:
        ids = [(await store.session_for(key(f"user {n}"))).id for n in range(3)]
        await store.change(Change(ids[0], become=ids[1]))
        await store.change(Change(ids[1], become=ids[2]))
        for n in range(3):
            assert (await _load(store, ids[n])).session.id == ids[2]
            assert (await store.session_for(key(f"user {n}"))).id == ids[2]

    async def test_a_session_that_moves_is_found_at_both_addresses(self, store: Store) -> None:
        session = await store.session_for(key())
        moved = key(interface="email")
        await store.change(Change(session.id, key=moved))
        assert (await store.session_for(moved)).id == session.id
        assert (await store.session_for(key())).id == session.id

    async def test_a_key_of_ones_own_wins_over_an_old_name(self, store: Store) -> None:
        session = await store.session_for(key())
        await store.change(Change(session.id, key=key(interface="email")))
        other = await store.session_for(key("bob"))
        await store.session_for(key())
        await store.change(Change(other.id, key=key()))
        assert (await store.session_for(key())).id == other.id

    async def test_a_session_that_has_ended_leaves_its_keys_free(self, store: Store) -> None:
        old = await store.session_for(key())
        await store.change(Change(old.id, key=key(interface="email")))
        await store.change(Change(old.id, state="closed"))
        for one in (key(), key(interface="email")):
            new = await store.session_for(one)
            assert (new.id != old.id, new.state) == (True, "new")
        assert (await _load(store, old.id)).session.state == "closed"

    async def test_a_key_passes_from_one_session_to_the_next_in_one_call(
        self, store: Store
    ) -> None:
        old = await store.session_for(key())
        _, new = await store.change(
            Change(old.id, state="closed"),
            Change("next", new=NewSession(key(), variables={"n": 1})),
        )
        assert new is not None
        assert await store.session_for(key()) == new
        assert (new.id, new.variables) == ("next", {"n": 1})

    async def test_a_key_or_id_that_is_taken_is_a_conflict(self, store: Store) -> None:
        session = await store.session_for(key())
        for id_, wanted in (("other", key()), (session.id, key("bob"))):
            with pytest.raises(StoreConflict):
                await store.change(Change(id_, new=NewSession(wanted)))
        assert (await store.stats()).sessions == 1

    async def test_a_change_of_an_unknown_session_is_refused(self, store: Store) -> None:
        with pytest.raises(SessionUnknown):
            await store.change(Change("nobody", state="closed"))

    async def test_a_session_that_is_removed_is_gone_with_all_it_had(self, store: Store) -> None:
        session = await store.session_for(key())
        guest = await store.session_for(key("guest"))
        await store.change(Change(guest.id, become=session.id))
        await store.append(session.id, lines(3))
        await store.accept(inbox(session.id))
        tokens = (TokenRow(HASH, session.id, NOON),)
        await store.change(Change(session.id, tokens=tokens, summaries=(summary(1, 2),)))
        assert await store.change(Change(session.id, remove=True)) == (None,)
        for ref in (session.id, session.seq, key(), guest.id, guest.key):
            assert await store.session(ref) is None
        assert (await store.token(HASH), await store.waiting()) == (None, [])
        assert await store.messages(session.id) == ()
        stats = await store.stats()
        assert (stats.sessions, stats.messages, stats.tokens, stats.active) == (0, 0, 0, 0)

    async def test_totals_know_who_is_active_where(self, store: Store) -> None:
        for n, interface in enumerate(("web", "web", "telegram")):
            session = await store.session_for(key(f"user {n}", interface=interface))
            await store.append(session.id, lines(2, tokens=3))
        await store.change(Change(session.id, state="expired"))
        stats = await store.stats()
        assert (stats.sessions, stats.messages, stats.tokens) == (3, 6, 18)
        assert (stats.active, stats.active_messages, stats.by_interface) == (2, 4, {"web": 2})

    async def test_tokens_come_and_go_with_a_change(self, place: Callable[[], Store]) -> None:
        async with place() as store:
            session = await store.session_for(key())
            first = TokenRow(HASH, session.id, NOON, at(60))
            await store.change(Change(session.id, tokens=(first,)))
        async with place() as store:
            assert await store.token(HASH) == first
            second = TokenRow("cd" * 32, session.id, NOON)
            await store.change(Change(session.id, revoke_tokens=True, tokens=(second,)))
            assert (await store.token(HASH), await store.token("cd" * 32)) == (None, second)

    async def test_memories_are_kept_replaced_and_forgotten(
        self, place: Callable[[], Store]
    ) -> None:
        async with place() as store:
            await store.remember(
                Memory("user", "ada", "name", "Ada"), Memory("user", "ada", "likes", ["tea"])
            )
            await store.remember(Memory("bot", "ada", "name", "other scope"))
            await store.remember(
                Memory("user", "ada", "name", "Ada L."), Memory("user", "ada", "likes", None)
            )
        async with place() as store:
            assert await store.memories("user", "ada") == {"name": "Ada L."}
            assert await store.memories("user", "bob") == {}

    async def test_what_was_unloaded_is_read_again(self, store: Store) -> None:
        session = await store.session_for(key())
        await store.append(session.id, lines(3))
        before = await _load(store, session.id)
        assert store.loaded() == {session.id: before}
        store.unload(session.id)
        assert store.loaded() == {}
        assert await _load(store, session.id) == before
        store.unload()
        assert await store.session_for(key()) == before.session

    async def test_a_user_who_is_erased_has_been_nowhere(self, store: Store) -> None:
        ada = await store.session_for(key("ada"))
        guest = await store.session_for(key("guest"))
        bob = await store.session_for(key("bob"))
        for session in (ada, guest, bob):
            await store.append(session.id, lines(2))
            await store.accept(inbox(session.id, heard(chat=session.key.chat)))
        await store.change(Change(guest.id, become=ada.id))
        await store.remember(Memory("user", "ada", "name", "Ada"), Memory("user", "bob", "n", 1))
        counts = await store.erase("ada")
        assert (counts["sessions"], counts["messages"], counts["inbox"]) == (1, 2, 2)
        assert await store.sessions() == [await store.session(bob.id)]
        assert (await store.memories("user", "ada"), await store.memories("user", "bob")) == (
            {},
            {"n": 1},
        )
        stats = await store.stats()
        assert (stats.sessions, stats.messages, stats.inbox) == (1, 2, 1)


async def _load(store: Store, ref: object) -> Loaded:
    loaded = await store.load(ref)  # type: ignore[arg-type]  # names of all three kinds
    assert loaded is not None
    return loaded
