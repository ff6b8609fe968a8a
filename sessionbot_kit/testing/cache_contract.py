"""What every cache of sessions must do, as tests that anybody's cache can be held to.

    from sessionbot_kit.testing import CacheContract

    class TestMine(CacheContract):
        @pytest.fixture
        async def store(self, tmp_path):
            async with MyStore(tmp_path) as store:
                yield store

        @pytest.fixture
        def cache(self, store):
            return MyCache(store)

`store` is an open store that writes to `cache`.
"""

import json
from datetime import UTC, datetime

import pytest

from sessionbot_kit.cache import Cache, session_key
from sessionbot_kit.models import Session, SessionKey
from sessionbot_kit.store import Change, NewMessage, Store

NOW = datetime(2026, 1, 2, tzinfo=UTC)


class CacheContract:
    """All of it."""

    @pytest.fixture
    async def session(self, store: Store) -> Session:
        made = await store.session_for(SessionKey("default", "web", "c1", "u1"))
        await store.append(made.id, [NewMessage("user", "Hello!", NOW, 2)])
        await store.change(Change(made.id, variables={"n": 1}, context={"tools": ["clock"]}))
        await store.load(made.id)
        return made

    async def test_each_session_has_the_four_documented_keys(
        self, cache: Cache, session: Session
    ) -> None:
        assert await cache.keys("session:*") == [
            f"session:{session.id}:{part}"
            for part in ("context", "last_activity", "messages", "variables")
        ]
        found = await cache.keys(f"session:{session.id}:var*")
        assert found == [session_key(session.id, "variables")]
        assert await cache.keys("other:*") == []
        assert await cache.keys("session:[0-9]*") == []

    async def test_what_is_cached_is_json(self, cache: Cache, session: Session) -> None:
        async def read(part: str) -> object:
            return json.loads(await cache.get(session_key(session.id, part)) or "null")

        assert await read("variables") == {"n": 1}
        assert await read("context") == {"tools": ["clock"]}
        assert await read("last_activity") == NOW.isoformat()
        (line,) = json.loads(await cache.get(session_key(session.id, "messages")) or "[]")
        assert (line["seq"], line["role"], line["content"]) == (1, "user", "Hello!")

    async def test_what_was_let_go_is_read_from_the_disk_again(
        self, cache: Cache, store: Store, session: Session
    ) -> None:
        key = session_key(session.id, "variables")
        assert [await cache.delete(key), await cache.delete(key)] == [True, False]
        assert await cache.get(key) is None
        loaded = await store.load(session.id)
        assert loaded is not None
        assert loaded.session.variables == {"n": 1}
        assert json.loads(await cache.get(key) or "") == {"n": 1}

    async def test_it_never_shows_what_is_not_committed_and_never_lags(
        self, cache: Cache, store: Store, session: Session
    ) -> None:
        await store.set_variables(session.id, {"n": 2})
        text = await cache.get(session_key(session.id, "variables"))
        assert text is None or json.loads(text) == {"n": 2}

    @pytest.mark.parametrize(
        "key", ["", "session", "session:1", "session::variables", "user:1:context"]
    )
    async def test_any_other_key_is_not_cached(
        self, cache: Cache, session: Session, key: str
    ) -> None:
        assert await cache.get(key) is None
        assert not await cache.delete(key)
