"""A manager with a clock that stands still until it is told to go on."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sessionbot_kit.ids import uuid7
from sessionbot_kit.sessions import SessionManager
from sessionbot_kit.sessions.conversation import Conversation
from sessionbot_kit.sessions.policy import SessionPolicy
from sessionbot_kit.store import Store
from sessionbot_kit.stores import open_store

Begin = Callable[..., Awaitable[Conversation]]


class Clock:
    """Time in a test."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def go(self, seconds: float = 0, *, days: float = 0) -> None:
        self.now += timedelta(days=days, seconds=seconds)


def ids() -> Iterator[str]:
    """Ids that are the same in every run."""
    number = 0
    while True:
        number += 1
        yield uuid7(1_767_323_045_000 + number, number.to_bytes(10, "big"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def policy(clock: Clock, tmp_path: Path) -> SessionPolicy:
    numbered = ids()
    return SessionPolicy(
        clock=clock, new_id=lambda: next(numbered), templates=tmp_path / "templates"
    )


@pytest.fixture
async def store(tmp_path: Path, clock: Clock) -> AsyncIterator[Store]:
    url = f"sqlite:///{tmp_path}/memory.db"
    async with open_store(url, clock=clock, durability="process") as opened:
        yield opened


@pytest.fixture
def sessions(store: Store, policy: SessionPolicy) -> SessionManager:
    return SessionManager(store, policy)


@pytest.fixture
def begin(sessions: SessionManager) -> Begin:
    """A conversation of u1 on the web, unless somebody else is named."""

    async def begin(
        user: str = "u1", interface: str = "web", chat: str = "c1", **more: Any
    ) -> Conversation:
        return await sessions.get_or_create_session(
            interface_type=interface, external_user_id=user, external_chat_id=chat, **more
        )

    return begin
