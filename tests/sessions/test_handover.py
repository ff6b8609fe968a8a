"""A conversation changes its owner, or goes on somewhere else."""

import pytest

from sessionbot_kit.errors import AddressMissing, SessionEnded, SessionError, TokenUnknown
from sessionbot_kit.models import SessionKey
from sessionbot_kit.sessions import SessionManager
from tests.sessions.conftest import Begin, Clock


async def test_a_visitor_who_logs_in_keeps_the_conversation(
    sessions: SessionManager, begin: Begin
) -> None:
    visitor = await begin("guest-7")
    await sessions.add_message(visitor.id, "user", "before")
    login = await sessions.login(visitor.id, "ada")
    assert (login.session.id, login.session.key.user) == (visitor.id, "ada")
    assert (login.session.identity, login.session.message_count) == ("authenticated", 1)
    assert (login.session.expires_at, login.report) == (None, None)


async def test_a_user_who_comes_back_as_a_visitor_finds_the_old_conversation(
    sessions: SessionManager, begin: Begin, clock: Clock
) -> None:
    first = await begin("guest-1", chat="browser-1")
    await sessions.add_message(first.id, "user", "yesterday")
    await sessions.login(first.id, "ada")
    clock.go(days=1)
    second = await begin("guest-2", chat="browser-2")
    await sessions.add_message(second.id, "user", "today")
    login = await sessions.login(second.id, "ada")
    assert login.session.id == first.id
    assert [line["content"] for line in login.session.history()] == ["yesterday", "today"]
    assert login.report is not None
    assert (await begin("guest-2", chat="browser-2")).id == first.id


async def test_a_login_may_keep_conversations_apart(sessions: SessionManager, begin: Begin) -> None:
    first, second = await begin("guest-1"), await begin("guest-2", chat="c2")
    await sessions.login(first.id, "ada")
    assert (await sessions.login(second.id, "ada", join=False)).session.id == second.id


async def test_a_token_that_was_planted_before_a_login_opens_nothing_after_it(
    sessions: SessionManager, begin: Begin
) -> None:
    visitor = await begin("guest-7")
    planted = await sessions.issue_token(visitor.id)
    login = await sessions.login(visitor.id, "ada")
    with pytest.raises(TokenUnknown):
        await sessions.check_token(planted)
    assert (await sessions.check_token(login.token)).id == visitor.id
    assert login.token not in repr(login)


async def test_the_same_user_may_log_in_again_and_another_may_not(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await begin("guest-7")
    first = await sessions.login(session.id, "ada")
    second = await sessions.login(session.id, "ada")
    assert (second.session.id, second.token != first.token) == (session.id, True)
    with pytest.raises(SessionError, match="session 1 belongs to ada; log out before bob logs in"):
        await sessions.login(session.id, "bob")


async def test_what_is_known_of_a_visitor_goes_to_the_user(
    sessions: SessionManager, begin: Begin
) -> None:
    visitor = await begin("guest-7")
    await sessions.remember({"color": "red"}, user="guest-7")
    await sessions.login(visitor.id, "ada")
    assert await sessions.recall(user="ada") == {"color": "red"}
    assert await sessions.recall(user="guest-7") == {}


async def test_a_conversation_goes_on_by_mail(sessions: SessionManager, begin: Begin) -> None:
    session = await begin()
    await sessions.add_message(session.id, "user", "Write to me, please.")
    moved = await sessions.transfer(session.id, "email", "ada@example.org")
    assert (moved.session.id, moved.session.message_count) == (session.id, 1)
    assert moved.session.key == SessionKey("default", "email", "ada@example.org", "u1")
    assert moved.session.metadata["transferred_from"] == "web"


async def test_a_mail_that_comes_in_goes_to_the_conversation_that_moved_there(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await begin()
    await sessions.transfer(session.id, "email", "ada@example.org")
    assert (await begin("ada@example.org", "email", "ada@example.org")).id == session.id


async def test_who_goes_on_where_it_began_is_in_the_same_conversation(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await begin()
    await sessions.transfer(session.id, "email", "ada@example.org")
    assert (await begin()).id == session.id


async def test_a_conversation_finds_its_way_back_without_an_address(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await begin(chat="browser-1")
    await sessions.transfer(session.id, "email", "ada@example.org")
    back = await sessions.transfer(session.id, "web")
    assert back.session.key == session.key
    again = await sessions.transfer(session.id, "email")
    assert again.session.key.chat == "ada@example.org"


async def test_without_an_address_that_anybody_knows_nothing_moves(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await begin()
    with pytest.raises(AddressMissing) as error:
        await sessions.transfer(session.id, "email")
    assert str(error.value) == (
        "nobody knows the address of u1 on email; give it: transfer(..., 'email', address=...)"
    )
    assert await sessions.get_session(session.id) == session


async def test_a_conversation_that_was_there_already_becomes_part_of_it(
    sessions: SessionManager, begin: Begin, clock: Clock
) -> None:
    mail = await begin("ada@example.org", "email", "ada@example.org")
    await sessions.add_message(mail.id, "user", "first, by mail")
    clock.go(60)
    session = await begin()
    await sessions.add_message(session.id, "user", "second, on the web")
    moved = await sessions.transfer(session.id, "email", "ada@example.org")
    assert [line["content"] for line in moved.session.history()] == [
        "first, by mail",
        "second, on the web",
    ]
    assert moved.report is not None
    assert moved.report.merged == mail.id
    found = await sessions.get_session(mail.id)
    assert found is not None
    assert found.id == session.id


async def test_two_conversations_that_were_there_both_become_part_of_it(
    sessions: SessionManager, begin: Begin, clock: Clock
) -> None:
    for user in ("42", "u1"):
        await sessions.add_message((await begin(user, "telegram", "7")).id, "user", f"as {user}")
        clock.go(60)
    session = await begin()
    await sessions.add_message(session.id, "user", "here")
    moved = await sessions.transfer(session.id, "telegram", "7", user="42")
    assert [line["content"] for line in moved.session.history()] == ["as 42", "as u1", "here"]
    assert (await begin("42", "telegram", "7")).id == session.id


async def test_a_transfer_replaces_the_token(sessions: SessionManager, begin: Begin) -> None:
    session = await begin()
    old = await sessions.issue_token(session.id)
    moved = await sessions.transfer(session.id, "email", "ada@example.org")
    with pytest.raises(TokenUnknown):
        await sessions.check_token(old)
    assert (await sessions.check_token(moved.token)).id == session.id


async def test_what_has_ended_is_not_transferred(sessions: SessionManager, begin: Begin) -> None:
    session = await begin()
    await sessions.deactivate(session.id)
    with pytest.raises(SessionEnded):
        await sessions.transfer(session.id, "email", "ada@example.org")


async def test_a_moved_conversation_gives_all_its_keys_back_when_it_ends(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await begin()
    await sessions.transfer(session.id, "email", "ada@example.org")
    await sessions.deactivate(session.id)
    assert (await begin()).id != session.id
    assert (await begin("ada@example.org", "email", "ada@example.org")).id != session.id
