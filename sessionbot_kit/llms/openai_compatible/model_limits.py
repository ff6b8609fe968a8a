"""How long a model server may take, and how much it may say: every wait and size has a bound.

ModelLimits(first_token_s=300)         # a large model on a slow disk
"""

from dataclasses import dataclass, fields

from sessionbot_kit.errors import SettingsError


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """How long a server may take, and how much it may say."""

    connect_s: float = 5.0
    first_token_s: float = 120.0  # a large model is read from the disk first
    next_token_s: float = 30.0
    total_s: float = 600.0
    tries: int = 4
    first_wait_s: float = 0.5
    longest_wait_s: float = 20.0
    answer_chars: int = 200_000
    body_bytes: int = 16_000_000
    line_bytes: int = 1_000_000
    embed_batch: int = 64

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self)):
            if getattr(self, name) <= 0:
                raise SettingsError(f"{name} is {getattr(self, name)}; give a number above 0")
