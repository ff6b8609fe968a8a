"""What is secret, and how it is kept out of sight.

    section = conceal({"bot_token": "t0psecret", "groups": [1, 2]})
    section["bot_token"]                # SecretStr('**********'), in every repr and traceback
    reveal(section)["bot_token"]        # 't0psecret', for the one who owns it
    redact = Redactor(["t0psecret"])
    redact("POST /bott0psecret/send")   # 'POST /bot***/send'

A value is secret by its name (token, password, mnemonic, ...), or because it is a URL with a
password in it, or because the caller says so. The one rule to remember: **a secret is wrapped
where it enters the house**, so that no repr has to think of it.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from pydantic import Secret, SecretStr

HIDDEN = "***"
MIN_CHARS = 4  # a shorter secret would blot out ordinary words, and is no secret for long

_ONE = {
    *("token", "secret", "password", "passwd", "passphrase", "pwd", "mnemonic", "key", "apikey"),
    *("credential", "authorization", "cookie", "dsn"),
}
_MANY = {f"{word}s" for word in _ONE}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_URL_PASSWORD = re.compile(r"(?P<head>[A-Za-z][\w+.-]*://[^\s/?#:@]*:)(?P<password>[^\s/?#@]+)@")

Place = tuple[str, ...]


def is_secret_name(name: str, *, number: bool = False) -> bool:
    """Tell from its name whether a value is secret; `max_tokens: 500` is a count, not a secret."""
    words = {word.lower() for word in _WORD.findall(name)}
    return bool(words & _ONE) or (not number and bool(words & _MANY))


def conceal(value: Any, secret: Callable[[Place], bool] = lambda path: False) -> Any:
    """Copy a value with its secrets wrapped; `secret` names the paths of further ones."""
    return _conceal(value, secret, (), inherited=False)


def _conceal(value: Any, secret: Callable[[Place], bool], path: Place, *, inherited: bool) -> Any:
    if path:
        number = isinstance(value, int | float)
        inherited = inherited or is_secret_name(path[-1], number=number) or secret(path)
    match value:
        case dict():
            return {
                str(name): _conceal(inner, secret, (*path, str(name)), inherited=inherited)
                for name, inner in value.items()
            }
        case list() | tuple():
            return [
                _conceal(inner, secret, (*path, str(n)), inherited=inherited)
                for n, inner in enumerate(value)
            ]
        case str():
            return SecretStr(value) if inherited or _URL_PASSWORD.search(value) else value
        case int() | float() if inherited and not isinstance(value, bool):
            return Secret[Any](value)
    return value


def reveal(value: Any) -> Any:
    """Copy a value with its secrets in the clear."""
    match value:
        case SecretStr() | Secret():
            return value.get_secret_value()
        case dict():
            return {name: reveal(inner) for name, inner in value.items()}
        case list() | tuple():
            return [reveal(inner) for inner in value]
    return value


def mask(value: Any) -> Any:
    """Copy a value with `***` where a secret is, to be shown."""
    match value:
        case SecretStr() | Secret():
            return HIDDEN
        case dict():
            return {name: mask(inner) for name, inner in value.items()}
        case list() | tuple():
            return [mask(inner) for inner in value]
        case str():
            return _URL_PASSWORD.sub(rf"\g<head>{HIDDEN}@", value)
    return value


def secrets_in(value: Any) -> Iterator[str]:
    """Yield every secret inside a value as text: what is wrapped, and passwords of URLs."""
    match value:
        case SecretStr() | Secret():
            text = str(value.get_secret_value())
            yield text
            yield from secrets_in(text)
        case dict():
            for inner in value.values():
                yield from secrets_in(inner)
        case list() | tuple():
            for inner in value:
                yield from secrets_in(inner)
        case str():
            for found in _URL_PASSWORD.finditer(value):
                yield found["password"]
                yield unquote(found["password"])


class Redactor:
    """Puts `***` where a known secret stands in a text, however it is spelled there."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._spellings: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Know more secrets; those of less than four characters are not looked for."""
        for secret in secrets:
            if len(secret) >= MIN_CHARS:
                self._spellings |= _spellings(secret)
        if self._spellings:
            longest_first = sorted(self._spellings, key=lambda text: (-len(text), text))
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def __call__(self, text: str) -> str:
        return self._pattern.sub(HIDDEN, text) if self._pattern else text


def _spellings(secret: str) -> set[str]:
    quoted = (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    return {secret, *quoted, repr(secret)[1:-1], quote(secret, safe=""), quote_plus(secret)}
