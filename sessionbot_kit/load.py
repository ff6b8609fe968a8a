"""Many sessions at once, on a store of their own: what `sessionbot bench` measures.

    figures = await load(sessions=1_000, messages=10, clients=64)
    figures.messages_per_s, figures.p99_ms

The one rule to remember: a message counts when it is on the disk.
"""

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from sessionbot_kit.sessions import SessionManager


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of it."""

    sessions: int
    messages: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def messages_per_s(self) -> float:
        return self.messages / self.seconds


async def load(*, sessions: int, messages: int, clients: int, folder: Path) -> Figures:
    """Fill so many sessions with so many messages, by clients that do not wait for each other."""
    took: list[float] = []
    with tempfile.TemporaryDirectory(dir=folder) as place:
        async with SessionManager.open(f"sqlite:///{place}/load.db") as manager:
            names = iter(range(sessions))

            async def client() -> None:
                for number in names:  # whoever is free takes the next one
                    user = f"user-{number}"
                    session = await manager.get_or_create_session(
                        interface_type="bench", external_user_id=user, external_chat_id=user
                    )
                    for line in range(messages):
                        began = perf_counter()
                        await manager.add_message(session.id, "user", f"Message {line}")
                        took.append(perf_counter() - began)

            began = perf_counter()
            async with asyncio.TaskGroup() as group:
                for _ in range(min(clients, sessions)):
                    group.create_task(client())
            seconds = perf_counter() - began
    took.sort()
    return Figures(
        sessions,
        len(took),
        seconds,
        took[len(took) // 2] * 1000,
        took[min(len(took) - 1, len(took) * 99 // 100)] * 1000,
    )
