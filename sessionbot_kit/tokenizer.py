"""How many tokens a text has: an estimate that needs nothing, or the count of a model's own.

    CHARS.count("Hello!")                          # 2: four characters are about one token
    tokenizer("rs-bpe:o200k_base").count("Hello!") # needs the extra [tokens]

The one rule to remember: a conversation is counted with one tokenizer from its first message to
its last, and remembers its name, because counts of two kinds do not add up.
"""

import importlib
from dataclasses import dataclass
from typing import Protocol

from sessionbot_kit.errors import UsageError
from sessionbot_kit.models import mend_text


class Tokenizer(Protocol):
    """Counts tokens. `name` is kept with a session, because counts of two kinds do not add up."""

    @property
    def name(self) -> str: ...

    def count(self, text: str) -> int: ...


@dataclass(frozen=True, slots=True)
class CharTokenizer:
    """Four characters are about one token: needs nothing, and is the same everywhere."""

    name: str = "chars/4"

    def count(self, text: str) -> int:
        return -(-len(mend_text(text)) // 4)


@dataclass(frozen=True, slots=True)
class BpeTokenizer:
    """Counts as the models of one family do; made by `tokenizer("rs-bpe:o200k_base")`."""

    name: str
    encoding: "_Encoding"

    def count(self, text: str) -> int:
        return self.encoding.count(mend_text(text))  # it raises on a lone surrogate


class _Encoding(Protocol):
    def count(self, text: str) -> int: ...


CHARS = CharTokenizer()
ENCODINGS = ("o200k_base", "cl100k_base")


def tokenizer(name: str = CHARS.name) -> Tokenizer:
    """The tokenizer that a setting names: chars/4, rs-bpe, or rs-bpe:cl100k_base."""
    if name == CHARS.name:
        return CHARS
    package, _, encoding = name.partition(":")
    encoding = encoding or ENCODINGS[0]
    if package != "rs-bpe" or encoding not in ENCODINGS:
        known = ", ".join([CHARS.name, *(f"rs-bpe:{known}" for known in ENCODINGS)])
        raise UsageError(f"there is no tokenizer {name!r}; choose one of {known}")
    try:
        encodings = importlib.import_module("rs_bpe.bpe").openai
    except ImportError as error:
        raise UsageError(
            f"the tokenizer {name} is not installed; pip install 'sessionbot-kit[tokens]'"
        ) from error
    return BpeTokenizer(f"{package}:{encoding}", getattr(encodings, encoding)())
