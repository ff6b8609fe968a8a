"""Whether an answer answers the question, and what is politely said when it does not.

    check = Check("Small or large?", choices=("small", "large"))
    await check("Large ")       # -> Verdict("large")
    await check("green")        # -> Verdict("green", "Please answer small or large.")

A `validate` function may be sync or async. It returns a sentence that says what is wrong, or
False, or raises ValueError; anything else means that the answer is good.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sessionbot_kit.errors import UsageError


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer as it counts, and what is wrong with it, if anything."""

    text: str
    complaint: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """What an answer must be."""

    question: str
    choices: Sequence[str] | None = None
    validate: Callable[[str], Any] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.choices, str) or (self.choices is not None and not self.choices):
            raise UsageError(
                f"choices={self.choices!r} leaves nothing to choose; give a list of texts"
            )

    async def __call__(self, answer: str) -> Verdict:
        if self.choices is not None:
            said = answer.strip().casefold()
            chosen = [choice for choice in self.choices if choice.strip().casefold() == said]
            if not chosen:
                return Verdict(answer, f"Please answer {either(self.choices)}.")
            answer = chosen[0]
        if self.validate is None:
            return Verdict(answer)
        try:
            wrong = self.validate(answer)
            if inspect.isawaitable(wrong):
                wrong = await wrong
        except ValueError:
            wrong = False
        if isinstance(wrong, str):
            return Verdict(answer, wrong)
        return Verdict(
            answer, f"Sorry, that does not fit. {self.question}" if wrong is False else None
        )

    def metadata(self) -> Mapping[str, Any]:
        """What a channel may draw as buttons."""
        return {} if self.choices is None else {"choices": list(self.choices)}


def either(choices: Sequence[str]) -> str:
    """Name the choices as a person would: "small, medium or large"."""
    *others, last = choices
    return f"{', '.join(others)} or {last}" if others else last
