"""Tokens with scopes: what each opens, how long, and what nobody gets to see."""

from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import product
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sessionbot_kit.errors import (
    AccessError,
    TokenExpired,
    TokenTooNarrow,
    TokenUnknown,
    UsageError,
)
from sessionbot_kit.stores.sqlite import SqliteStore
from sessionbot_kit.testing import FakeClock
from sessionbot_kit.token_commands import app
from sessionbot_kit.tokens import OPENS, SCOPES, Tokens


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with SqliteStore(tmp_path / "bot.db") as store:
        yield store


async def test_a_token_opens_its_scope_and_says_whose_it_is(store: SqliteStore) -> None:
    secret = await Tokens(store).issue("kernel", label="the notebook")
    info = await Tokens(store).check(secret, "kernel")
    assert (info.scope, info.label, info.expires_at) == ("kernel", "the notebook", None)


@pytest.mark.parametrize(("scope", "door"), list(product(SCOPES, SCOPES)))
async def test_a_token_opens_what_its_scope_says_and_no_more(
    store: SqliteStore, scope: str, door: str
) -> None:
    tokens = Tokens(store)
    secret = await tokens.issue(scope)  # type: ignore[arg-type]  # a parameter is a str
    if door in OPENS[scope]:
        await tokens.check(secret, door)  # type: ignore[arg-type]  # as above
    else:
        with pytest.raises(TokenTooNarrow, match=f"for {scope} alone; use one for {door}"):
            await tokens.check(secret, door)  # type: ignore[arg-type]  # as above


def test_a_shadow_a_watcher_and_a_visitor_open_nothing_else() -> None:
    assert [OPENS[scope] for scope in ("shadow", "watch", "chat")] == [
        {"shadow"}, {"watch"}, {"chat"}
    ]  # fmt: skip


async def test_one_of_several_scopes_is_enough(store: SqliteStore) -> None:
    tokens = Tokens(store)
    secret = await tokens.issue("shadow")
    assert (await tokens.check(secret, ("kernel", "shadow", "watch"))).scope == "shadow"
    with pytest.raises(TokenTooNarrow, match="use one for kernel or watch"):
        await tokens.check(secret, ("kernel", "watch"))


async def test_a_token_expires(store: SqliteStore) -> None:
    clock = FakeClock()
    tokens = Tokens(store, clock=clock.now)
    secret = await tokens.issue("chat", days=1.5)
    info = await tokens.check(secret, "chat")
    assert info.expires_at == clock.now() + timedelta(hours=36)
    clock.turn(hours=36)
    assert not await tokens.stands(info)
    with pytest.raises(TokenExpired, match="expired at 2026-01-02 21:00 UTC; make a new one"):
        await tokens.check(secret, "chat")


@pytest.mark.parametrize("shown", ["", "guess", "\ud800", "ä" * 1000])
async def test_what_nobody_was_given_opens_nothing(store: SqliteStore, shown: str) -> None:
    await Tokens(store).issue("admin")
    with pytest.raises(TokenUnknown, match="not known; make one: sessionbot token new"):
        await Tokens(store, single="the one").check(shown, "chat")


async def test_a_token_that_is_revoked_opens_nothing_any_more(store: SqliteStore) -> None:
    tokens = Tokens(store)
    secret, other = await tokens.issue("admin"), await tokens.issue("admin")
    info = await tokens.check(secret, "admin")
    assert await tokens.stands(info)
    assert await tokens.revoke(info.id[:10]) == info
    assert not await tokens.stands(info)
    with pytest.raises(TokenUnknown):
        await tokens.check(secret, "admin")
    await tokens.check(other, "admin")
    assert len(await tokens.list()) == 1


@pytest.mark.parametrize("id", ["", "nobody"])
async def test_to_revoke_what_is_not_there_is_an_error(store: SqliteStore, id: str) -> None:
    await Tokens(store).issue("chat")
    with pytest.raises(UsageError, match=f"there is no token '{id}'; see sessionbot token list"):
        await Tokens(store).revoke(id)


async def test_the_token_of_the_settings_opens_everything(store: SqliteStore) -> None:
    tokens = Tokens(store, single="s3cret")
    for scope in SCOPES:
        assert (await tokens.check("s3cret", scope)).id == "settings"
    assert await tokens.stands(await tokens.known("s3cret"))
    assert await tokens.list() == []


async def test_tokens_are_nowhere_in_the_file_and_in_no_refusal(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "bot.db") as store:
        secret = await Tokens(store).issue("watch")
        with pytest.raises(AccessError) as refusal:
            await Tokens(store).check(secret, "admin")
        assert len(secret) == 43
        assert secret not in str(refusal.value)
    found = [path for path in tmp_path.iterdir() if secret.encode() in path.read_bytes()]  # noqa: ASYNC240 - a test
    assert found == []


async def test_what_makes_no_token_is_refused(store: SqliteStore) -> None:
    tokens = Tokens(store)
    with pytest.raises(UsageError, match="'root' is no scope of a token; choose one of chat, "):
        await tokens.issue("root")  # type: ignore[arg-type]  # on purpose
    with pytest.raises(UsageError, match="good for 0 days; give more than 0"):
        await tokens.issue("chat", days=0)
    with pytest.raises(UsageError, match="a label of 201 characters is too long"):
        await tokens.issue("chat", label="x" * 201)


def test_tokens_are_made_listed_and_revoked_from_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    store = ("--store", f"sqlite:///{tmp_path / 'bot.db'}")

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, [*arguments, *store])
        assert done.exit_code == 0, done.output
        return done.stdout

    secret = run("new", "shadow", "--label", "Ada", "--days", "7").strip()
    table = run("list")
    assert "shadow" in table and "Ada" in table and secret not in table  # noqa: PT018 - one look
    id = next(line for line in table.splitlines() if "Ada" in line).split()[0]
    assert f'"id":"{id}"' in run("list", "--json")
    assert run("revoke", id) == f"Revoked {id}, shadow, Ada.\n"
    assert "Ada" not in run("list")


def test_a_scope_that_is_none_is_said_at_the_terminal(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["new", "root", "--store", str(tmp_path / "bot.db")])
    assert "'root' is no scope of a token; choose one of chat, admin" in str(done.exception)
