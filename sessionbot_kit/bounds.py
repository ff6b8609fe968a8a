"""How much may wait inside the house, and what happens when that is full.

    Gateway(store, bounds=Bounds(turns_per_session=100))

Somebody who writes faster than they are answered is refused (RateLimited): nothing is stored, so
their channel does not acknowledge it. When too many turns wait in all, channels wait to hand over
more. A chat whose replies cannot be sent gets no new ones made until there is room.
"""

from dataclasses import dataclass, fields

from sessionbot_kit.errors import UsageError


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that waits in memory; what is on the disk has no bound."""

    turns_per_session: int = 1_000
    turns: int = 10_000
    replies_per_chat: int = 1_000
    replies: int = 10_000

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 1:
                raise UsageError(
                    f"Bounds.{field.name} is {getattr(self, field.name)}; give 1 or more"
                )
