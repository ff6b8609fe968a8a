"""How much a session may be and do."""

from typing import Any

import pytest

from sessionbot_kit.errors import (
    MessageError,
    SettingsError,
    UsageError,
    VariableQuotaExceeded,
)
from sessionbot_kit.models import Media
from sessionbot_kit.sessions.lifecycle import PROFILES, Clocks
from sessionbot_kit.sessions.limits import SessionLimits, read_config


def test_the_documented_limits_are_the_defaults() -> None:
    assert SessionLimits() == SessionLimits(50, 1_000_000, 10_000_000, 1_000, 60)


def test_a_limit_of_nothing_is_refused() -> None:
    assert SessionLimits(1, 1, 1, 1, 1).loaded == 1
    with pytest.raises(SettingsError, match="per_minute is 0; it must be at least 1"):
        SessionLimits(per_minute=0)


def test_limits_are_read_from_a_table_of_names_and_values() -> None:
    limits, clocks = read_config(
        "name,value\n\nsession-rate-limit, 30\nsession-timeout,900\n"
        "session-authenticated-expiry,86400\nsession-anonymous-expiry,never\ntheme,dark\n\n"
    )
    assert limits == SessionLimits(per_minute=30)
    assert clocks == Clocks(
        idle_after_s=900, anonymous_expires_after_s=None, authenticated_expires_after_s=86400
    )


def test_a_table_without_limits_leaves_the_profile_as_it_is() -> None:
    assert read_config("", PROFILES["mybot"]) == (SessionLimits(), PROFILES["mybot"])


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("session-rate-limit,many", "config.csv: session-rate-limit is 'many'; write a number"),
        ("session-rte-limit,3", "config.csv names 'session-rte-limit', which is none of session-"),
    ],
)
def test_a_wrong_line_is_named(line: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as error:
        read_config(line)
    assert str(error.value).startswith(sentence)


def test_variables_up_to_the_limit_are_accepted() -> None:
    SessionLimits(variable_bytes=20).check_variables({"a": "x" * 13})
    with pytest.raises(VariableQuotaExceeded) as error:
        SessionLimits(variable_bytes=20).check_variables({"a": "x" * 10, "b": 1})
    assert str(error.value) == (
        "the variables take 23 bytes, and a session may have 20; a alone takes 12"
    )


def test_letters_that_take_more_bytes_count_as_such() -> None:
    with pytest.raises(VariableQuotaExceeded):
        SessionLimits(variable_bytes=20).check_variables({"a": "€" * 13})


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), b"bytes"])
def test_a_value_that_is_no_json_is_named(value: Any) -> None:
    with pytest.raises(UsageError, match=r"the variable color cannot be kept \(.*give text"):
        SessionLimits().check_variables({"color": value})


def test_a_file_is_measured_even_if_nobody_says_its_size() -> None:
    limits = SessionLimits(media_bytes=3)
    limits.check_media([Media(data=b"123"), Media(url="https://example.org/x")])
    with pytest.raises(MessageError, match=r"a file has 4 bytes; a file may have 3. Send a link"):
        limits.check_media([Media(data=b"1234")])
