"""Settings of sessions."""

from datetime import UTC, datetime

import pytest

from sessionbot_kit.context import SummaryRules
from sessionbot_kit.errors import SettingsError, UsageError
from sessionbot_kit.sessions import PROFILES, SessionLimits, SessionPolicy
from sessionbot_kit.tokenizer import CHARS


def test_without_settings_the_documented_numbers_hold() -> None:
    policy = SessionPolicy()
    assert (policy.clocks, policy.limits) == (PROFILES["botserver"], SessionLimits())
    assert policy.rules == SummaryRules(4000, 0.7, 10, 0.3, 500)
    assert policy.tokenizer is CHARS
    assert policy.clock().tzinfo is UTC
    assert isinstance(policy.clock(), datetime)
    assert policy.new_id() != policy.new_id()


def test_plain_settings_find_their_place() -> None:
    policy = SessionPolicy.of(
        {
            "profile": "mybot",
            "idle_after_s": 60,
            "token_limit": 8000,
            "per_minute": 5,
            "tokenizer": "rs-bpe:cl100k_base",
            "bot": "shop",
        }
    )
    assert policy.clocks.idle_after_s == 60
    assert policy.clocks.anonymous_expires_after_s == 86_400
    assert (policy.rules.token_limit, policy.limits.per_minute) == (8000, 5)
    assert (policy.tokenizer.name, policy.bot) == ("rs-bpe:cl100k_base", "shop")


def test_no_settings_are_the_defaults() -> None:
    policy = SessionPolicy.of({})
    assert (policy.clocks, policy.rules) == (PROFILES["botserver"], SummaryRules())


def test_an_unknown_setting_is_refused() -> None:
    told = "sessions have no setting 'tokens_limit'; choose token_limit"
    with pytest.raises(SettingsError, match=told):
        SessionPolicy.of({"tokens_limit": 1})


@pytest.mark.parametrize("wrong", [{"profile": "x"}, {"threshold": 2}, {"idle_after_s": -1}])
def test_a_setting_that_cannot_work_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        SessionPolicy.of(wrong)
