"""The cache of a store, under the documented keys."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sessionbot_kit.cache import Cache, session_key, split_key
from sessionbot_kit.caches.memory import MemoryCache
from sessionbot_kit.store import Store
from sessionbot_kit.stores import open_store
from sessionbot_kit.testing import CacheContract


class TestMemoryCache(CacheContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[Store]:
        async with open_store(tmp_path / "memory.db", durability="process") as opened:
            yield opened

    @pytest.fixture
    def cache(self, store: Store) -> Cache:
        return MemoryCache(store)


def test_a_key_names_a_session_and_a_part() -> None:
    assert split_key(session_key("1", "context")) == ("1", "context")


@pytest.mark.parametrize(
    "key", ["", "session", "session:1", "session::variables", "user:1:context"]
)
def test_any_other_key_names_nothing(key: str) -> None:
    assert split_key(key) is None
