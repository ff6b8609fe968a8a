"""What happens to whole sessions."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from sessionbot_kit.errors import (
    RateLimited,
    SessionEnded,
    SessionError,
    StoreError,
    TokenEnded,
    TokenExpired,
    TokenForeign,
    TokenUnknown,
    UsageError,
)
from sessionbot_kit.models import Media, SessionKey
from sessionbot_kit.sessions import SessionManager, SessionPolicy
from sessionbot_kit.store import Store
from tests.sessions.conftest import Begin, Clock

LONG = "This is a long message to test summarization. " * 10


def on_disk(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.glob("memory.db*")))


async def test_a_conversation_goes_on_after_a_restart(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/memory.db"
    place = {"interface_type": "web", "external_user_id": "u", "external_chat_id": "c"}
    async with SessionManager.open(url) as sessions:
        session = await sessions.get_or_create_session(**place)  # type: ignore[arg-type]  # three names
        await sessions.add_message(session.id, "user", "Hello!")
        await sessions.set_variables(session.id, {"user_name": "Ada"})
        token = await sessions.issue_token(session.id)
    async with SessionManager.open(url) as sessions:
        again = await sessions.check_token(token)
        context = await sessions.build_context(again.id, 20)
    assert (again.id, again.variables) == (session.id, {"user_name": "Ada"})
    assert context.messages == [{"role": "user", "content": "Hello!"}]


async def test_without_an_address_everything_works_and_nothing_stays() -> None:
    async with SessionManager.open() as sessions:
        session = await sessions.get_or_create_session(
            interface_type="web", external_user_id="u", external_chat_id="c"
        )
        await sessions.add_message(session.id, "user", "Hello!")
        assert (await sessions.build_context(session.id)).total_tokens == 2


async def test_plain_settings_may_stand_for_a_policy() -> None:
    async with SessionManager.open(profile="mybot", token_limit=8000) as sessions:
        session = await sessions.get_or_create_session(
            interface_type="web", external_user_id="u", external_chat_id="c"
        )
    assert session.expires_at is not None
    assert (session.token_limit, (session.expires_at - session.created_at).days) == (8000, 1)


async def test_in_a_notebook_it_is_opened_by_await_and_closed_by_hand(tmp_path: Path) -> None:
    sessions = await SessionManager.open(tmp_path / "memory.db")
    await sessions.get_or_create_session(
        interface_type="web", external_user_id="u", external_chat_id="c"
    )
    await sessions.close()
    await sessions.close()
    with pytest.raises(StoreError, match=r"memory\.db is closed"):
        await sessions.get_stats()


async def test_a_store_of_somebody_else_stays_open(sessions: SessionManager) -> None:
    await sessions.close()
    assert (await sessions.get_stats())["total_sessions"] == 0


async def test_a_policy_and_plain_settings_do_not_mix() -> None:
    with pytest.raises(UsageError, match="give a policy or plain settings, not both"):
        async with SessionManager.open(policy=SessionPolicy(), token_limit=8000):
            pass


async def test_a_session_is_closed_once(sessions: SessionManager, begin: Begin) -> None:
    session = await begin()
    assert [await sessions.deactivate(session.id) for _ in range(2)] == [True, False]
    with pytest.raises(SessionEnded):
        await sessions.add_message(session.id, "user", "hello?")


async def test_a_full_session_rolls_over_into_a_new_one(
    sessions: SessionManager, begin: Begin
) -> None:
    old = await begin()
    await sessions.add_message(old.id, "user", "Hello!")
    await sessions.set_variables(old.id, {"name": "Ada"})
    new = await sessions.rollover(old.id, {"by": "gateway"})
    assert (new.key, new.variables, new.message_count) == (old.key, {"name": "Ada"}, 0)
    assert new.metadata == {"rolled_over_from": old.id, "reason": "context_limit", "by": "gateway"}
    assert (await begin()).id == new.id
    closed = await sessions.get_session(old.id)
    assert closed is not None
    assert (closed.state, closed.message_count) == ("closed", 1)


async def test_a_fork_has_the_lines_up_to_a_number_and_shares_nothing(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await begin()
    for number in range(1, 6):
        await sessions.add_message(session.id, "user", f"line {number}")
    fork = await sessions.fork(session.id, at=3)
    await sessions.add_message(fork.id, "user", "another end")
    assert [row["content"] for row in await sessions.history(fork.id)] == [
        "line 1",
        "line 2",
        "line 3",
        "another end",
    ]
    assert len(await sessions.history(session.id)) == 5
    assert fork.metadata["forked_from"] == {"id": session.id, "at": 3}


async def test_a_fork_keeps_the_summaries_of_its_lines(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await begin()
    for _ in range(50):
        session = await sessions.add_message(session.id, "user", LONG)
    whole, half = await sessions.fork(session.id), await sessions.fork(session.id, at=20)
    assert (whole.summaries, whole.total_tokens) == (session.summaries, 1908)
    assert [(s.first, s.last) for s in half.summaries] == [(1, 17)]
    assert [line.seq for line in half.messages] == [18, 19, 20]


async def test_a_fork_of_a_conversation_that_was_cleared_counts_from_one(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await begin()
    for _ in range(25):
        await sessions.add_message(session.id, "user", LONG)
    await sessions.clear_messages(session.id)
    await sessions.add_message(session.id, "user", "afterwards")
    rows = await sessions.history((await sessions.fork(session.id)).id)
    assert [(row["seq"], row["role"]) for row in rows] == [(1, "system"), (2, "user")]
    assert rows[0]["content"].startswith("Previous conversation summary (17 messages):")


async def test_a_fork_of_nothing_is_empty(sessions: SessionManager, begin: Begin) -> None:
    assert (await sessions.fork((await begin()).id)).message_count == 0


async def test_a_conversation_is_exported_and_brought_back_whole(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await begin()
    for _ in range(25):
        await sessions.add_message(session.id, "user", LONG)
    await sessions.set_variables(session.id, {"n": 1})
    file = Media.from_bytes(b"\x89PNG", name="cat.png")
    before = await sessions.add_message(session.id, "assistant", "Look!", media=[file])
    text = await sessions.export(session.id, "jsonl")
    await sessions.deactivate(session.id)
    after = await sessions.import_session(text)
    assert (after.key, after.variables, after.state) == (before.key, {"n": 1}, "active")
    assert (after.summaries, after.total_tokens) == (before.summaries, before.total_tokens)
    assert after.messages[-1].media == (file,)
    assert after.metadata["imported_from"] == session.id


async def test_what_is_imported_needs_a_key_that_is_free(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await begin()
    text = await sessions.export(session.id, "json")
    with pytest.raises(SessionError, match="already; give another with key="):
        await sessions.import_session(text)
    key = SessionKey("default", "web", "c1", "copy")
    assert (await sessions.import_session(text, key=key)).key == key


async def test_four_refusals_of_a_token_are_told_apart(
    sessions: SessionManager, begin: Begin, clock: Clock
) -> None:
    one, two = await begin("one"), await begin("two")
    short = await sessions.issue_token(one.id, lives_s=60)
    token = await sessions.issue_token(one.id)
    assert (await sessions.check_token(token, of=one.seq)).id == one.id
    with pytest.raises(TokenForeign):
        await sessions.check_token(token, of=two.id)
    with pytest.raises(TokenForeign):
        await sessions.check_token(token, of="nobody")
    with pytest.raises(TokenUnknown):
        await sessions.check_token("guess")
    clock.go(60)
    with pytest.raises(TokenExpired):
        await sessions.check_token(short)
    await sessions.deactivate(one.id)
    with pytest.raises(TokenEnded):
        await sessions.check_token(token)


async def test_a_session_that_expired_opens_to_no_token_even_before_anybody_noticed(
    sessions: SessionManager, begin: Begin, clock: Clock
) -> None:
    token = await sessions.issue_token((await begin()).id)
    clock.go(days=7)
    with pytest.raises(TokenEnded):
        await sessions.check_token(token)


async def test_a_rotated_token_replaces_all_others(sessions: SessionManager, begin: Begin) -> None:
    session = await begin()
    old = await sessions.issue_token(session.id)
    new = await sessions.rotate_token(session.id)
    with pytest.raises(TokenUnknown):
        await sessions.check_token(old)
    assert (await sessions.check_token(new)).id == session.id


async def test_a_token_is_nowhere_in_the_file(
    sessions: SessionManager, begin: Begin, tmp_path: Path
) -> None:
    token = await sessions.issue_token((await begin()).id)
    assert token.encode() not in on_disk(tmp_path)


async def test_sixty_messages_a_minute_are_admitted(sessions: SessionManager, begin: Begin) -> None:
    session = await begin()
    for _ in range(60):
        sessions.admit(session.id)
    with pytest.raises(RateLimited):
        sessions.admit(session.id)


async def test_a_user_who_is_erased_is_nowhere(
    sessions: SessionManager, begin: Begin, tmp_path: Path
) -> None:
    session = await begin("ada-lovelace")
    await sessions.add_message(session.id, "user", "my secret wish")
    await sessions.set_variables(session.id, {"wish": "a secret pony"})
    await sessions.remember({"color": "secret red"}, user="ada-lovelace")
    await sessions.issue_token(session.id)
    kept = await begin("bob")
    counts = await sessions.erase("ada-lovelace")
    assert counts["sessions"] == 1
    assert await sessions.get_session(session.id) is None
    assert await sessions.get_session(kept.id) is not None
    assert not {word for word in (b"secret", b"ada-lovelace") if word in on_disk(tmp_path)}


async def test_a_merged_visitor_is_erased_with_the_user(
    sessions: SessionManager, begin: Begin
) -> None:
    visitor, ada = await begin("guest-7"), await begin("ada")
    await sessions.merge(visitor.id, ada.id)
    await sessions.erase("ada")
    assert await sessions.get_session(visitor.id) is None


async def test_the_documented_queries_work_in_the_file(
    sessions: SessionManager, begin: Begin, tmp_path: Path
) -> None:
    session = await begin()
    await sessions.add_message(session.id, "user", "Hello!")
    with sqlite3.connect(tmp_path / "memory.db") as db:
        rows = db.execute(
            "SELECT id, user_id, last_activity FROM sessions "
            "WHERE last_activity > datetime('2026-01-02 03:34:05', '-30 minutes', '-1 second')"
        ).fetchall()
        lines = db.execute(
            "SELECT role, content, timestamp FROM messages WHERE session_id = ? ORDER BY timestamp",
            (session.id,),
        ).fetchall()
    db.close()
    assert [row[:2] for row in rows] == [(session.id, "u1")]
    assert lines == [("user", "Hello!", "2026-01-02 03:04:05.000000")]


async def test_an_unknown_form_of_export_is_refused(sessions: SessionManager, begin: Begin) -> None:
    session = await begin()
    with pytest.raises(UsageError, match="no form 'pdf'; choose one of txt, md, json, jsonl"):
        await sessions.export(session.id, "pdf")  # type: ignore[arg-type]  # the point


async def test_a_manager_works_on_a_store_that_somebody_else_uses_too(
    store: Store, policy: SessionPolicy
) -> None:
    session = await store.session_for(SessionKey("default", "web", "c1", "u1"))
    sessions = SessionManager(store, replace(policy, bot="other"))
    added = await sessions.add_message(session.id, "user", "Hello!")
    assert (added.id, added.message_count) == (session.id, 1)
