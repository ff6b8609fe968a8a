"""Secrets are wrapped where they enter, and found again in any text."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from sessionbot_kit.secrecy import (
    MIN_CHARS,
    Redactor,
    conceal,
    is_secret_name,
    mask,
    reveal,
    secrets_in,
)

NAMES = st.sampled_from(["bot_token", "name", "apiKey", "groups", "password", "n"])
LEAVES = st.none() | st.booleans() | st.integers() | st.text("aB:/@ é", max_size=8)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


SECRET_NAMES = """
    token bot_token BOT_TOKEN botToken api-key apikey APIKey secret client_secret mnemonic
    db.password token2 keys X-Api-Key passphrase
"""


@pytest.mark.parametrize("name", SECRET_NAMES.split())
def test_a_secret_is_known_by_its_name(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["keyboard", "monkey", "name", "tokenizer", "chat", "", "hockey"])
def test_a_name_that_only_sounds_like_a_secret_is_none(name: str) -> None:
    assert not is_secret_name(name)


def test_a_count_of_tokens_is_no_secret_but_a_list_of_them_is() -> None:
    shown = mask(conceal({"max_tokens": 500, "tokens": ["abcd"], "token": 123456}))
    assert shown == {"max_tokens": 500, "tokens": ["***"], "token": "***"}


def test_all_that_lies_under_a_secret_name_is_secret() -> None:
    assert mask(conceal({"secrets": {"a": ["b", {"c": "d"}]}})) == {
        "secrets": {"a": ["***", {"c": "***"}]}
    }


def test_the_caller_may_name_further_secrets() -> None:
    concealed = conceal({"a": ["x", "y"]}, lambda path: path == ("a", "1"))
    assert mask(concealed) == {"a": ["x", "***"]}


def test_a_url_with_a_password_is_secret() -> None:
    concealed = conceal({"db": "postgresql://bob:hunter2@host/db", "site": "https://host/a@b"})
    assert isinstance(concealed["db"], SecretStr)
    assert concealed["site"] == "https://host/a@b"
    assert mask("postgresql://bob:hunter2@host/db") == "postgresql://bob:***@host/db"


def test_a_password_in_a_url_is_known_as_it_is_written_and_as_it_is_meant() -> None:
    assert set(secrets_in("redis://:p%40ss@host")) == {"p%40ss", "p@ss"}


@given(TREES)
def test_what_is_concealed_is_revealed_unchanged(tree: Any) -> None:
    assert reveal(conceal(tree)) == tree


@given(st.dictionaries(NAMES, TREES, max_size=3))
def test_no_secret_shows_in_a_repr_or_when_masked(tree: dict[str, Any]) -> None:
    secret = "ZQX-sentinel"
    tree["mnemonic"] = [secret, {"deep": secret}]
    concealed = conceal(tree)
    assert secret not in repr(concealed)
    assert secret not in json.dumps(mask(concealed), default=repr)
    assert secret in set(secrets_in(concealed))


def test_a_known_secret_is_blotted_out_wherever_it_stands() -> None:
    redact = Redactor(["123:ABC"])
    assert redact("POST https://api.telegram.org/bot123:ABC/send") == (
        "POST https://api.telegram.org/bot***/send"
    )


@given(st.text(min_size=MIN_CHARS), st.text(), st.text())
def test_a_secret_is_found_in_each_spelling(secret: str, before: str, after: str) -> None:
    if secret in "***" or "***" in secret:
        return
    redact = Redactor([secret])
    for spelled in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]):
        assert spelled not in redact(f"{before}{spelled}{after}").replace("***", "")


def test_a_secret_in_a_url_is_found_though_it_is_quoted() -> None:
    assert Redactor(["a b/c&d"])(f"?t={quote('a b/c&d', safe='')}&u=a+b%2Fc%26d") == "?t=***&u=***"


def test_the_longest_secret_is_blotted_out_first() -> None:
    assert Redactor(["abcd", "abcdefgh"])("abcdefgh abcd") == "*** ***"


def test_short_secrets_do_not_blot_out_words() -> None:
    assert Redactor(["on", ""])("turn done") == "turn done"


def test_a_redactor_learns() -> None:
    redact = Redactor()
    assert redact("hunter2") == "hunter2"
    redact.add("hunter2")
    assert redact("hunter2") == "***"
