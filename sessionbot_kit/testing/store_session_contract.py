"""Sessions of any store: found by any name, made once, and listed."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from sessionbot_kit.errors import (
    MessageError,
    StoreConflict,
)
from sessionbot_kit.models import SessionKey
from sessionbot_kit.store import Change, NewSession, Store
from sessionbot_kit.testing.store_people import NOON, at, becomes_true, key, line

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
