"""The SQLite store: what every store does, and what only a file can do."""

from pathlib import Path

import pytest

from sessionbot_kit.stores.sqlite import SqliteStore
from sessionbot_kit.testing import Place, StoreContract


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        return lambda: SqliteStore(tmp_path / "bot.db")
