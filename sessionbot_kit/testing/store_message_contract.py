"""Lines of any store: appended, numbered without a gap, and read from any place."""

import asyncio

import pytest

from sessionbot_kit.errors import (
    MessageError,
    SessionEnded,
    SessionUnknown,
)
from sessionbot_kit.models import Media
from sessionbot_kit.store import Change, NewMessage, Store
from sessionbot_kit.testing.store_people import NOON, at, key, line, lines
from sessionbot_kit.testing.store_session_contract import Place, SessionContract


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
            pair = [line(f"{n}"), line(f"{n}")]
            task = asyncio.create_task(store.append(session.id, pair))  # parent: this test
            for _ in range(n % 4):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        (last,) = await store.append(session.id, [line("end")])
        kept = await store.messages(session.id, limit=1_000)
        assert [stored.seq for stored in kept] == list(range(1, last.seq + 1))
        assert len(kept) % 2 == 1
        assert await store.tail(session.id, len(kept)) == kept
