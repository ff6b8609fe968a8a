"""What is searched for, and how several rankings become one.

    any_of(words_of("When is the rent due?"))        # '"rent" OR "due"'
    fuse([["a", "b"], ["b", "c"]])          # ['b', 'a', 'c']

A question becomes words, each in quotes, so that nothing in it is an operator of the index. The
one rule to remember: a passage that two rankings like beats one that a single one loves
(reciprocal rank fusion: the sum of 1 / (60 + place)).
"""

import re
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from sessionbot_kit.plain_text import visible

K = TypeVar("K", bound=Hashable)

MOST_WORDS: Final = 32
SMOOTHING: Final = 60
LONGEST_WORD: Final = 64

# Words that say nothing of what is asked. What is left out costs recall only if all are left out.
_ENGLISH: Final = """
    a about an and any are as at be been but by can could did do does for from had has have how i if
    in into is it its many may me much my of on or our should so some than that the their them then
    there these they this to was we were what when where which who whom whose why will with would
    you your
"""
_FRENCH: Final = """
    au aux ce ces cette comment dans de des du elle en est et il ils je la le les leur lui mais me
    mes mon ne nous on ou par pas pour qu que quel quelle qui sa se ses son sur ta te tu un une vous
"""
_EMPTY: Final = frozenset((_ENGLISH + _FRENCH).split())


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found, and where it stands."""

    collection: str
    path: str
    first: int
    last: int
    heading: str
    text: str = field(repr=False)
    score: float
    found_by: tuple[str, ...] = ("words",)

    @property
    def citation(self) -> str:
        """File and lines, as `lease.md:12-18`."""
        lines = f"{self.first}-{self.last}" if self.last > self.first else f"{self.first}"
        return f"{self.path}:{lines}"


def words_of(question: str) -> list[str]:
    """The words that say what is asked, each once; all of them if none does."""
    found = re.findall(r"\w+", visible(question).casefold())
    words = list(dict.fromkeys(word[:LONGEST_WORD] for word in found))
    return ([word for word in words if word not in _EMPTY] or words)[:MOST_WORDS]


def any_of(words: Iterable[str]) -> str:
    """A query of the index for passages with any of these words."""
    return " OR ".join('"{}"'.format(word.replace('"', "")) for word in words)


def fuse(rankings: Iterable[Sequence[K]]) -> dict[K, float]:
    """One ranking of several, best first, with its scores."""
    scores: dict[K, float] = {}
    for ranking in rankings:
        for place, item in enumerate(ranking, 1):
            scores[item] = scores.get(item, 0.0) + 1 / (SMOOTHING + place)
    return dict(sorted(scores.items(), key=lambda pair: -pair[1]))
