"""An entry point is written into a pyproject.toml, and nothing else changes there."""

import tomllib

import pytest

from sessionbot_kit.entry_point import with_entry
from sessionbot_kit.errors import UsageError

PROJECT = '# mine\n[project]\nname = "my-bot"  # a bot\nversion = "1"\n'
TABLE = '[project.entry-points."sessionbot_kit.plugins"]'


def entries(text: str) -> dict[str, str]:
    found: dict[str, str] = tomllib.loads(text)["project"]["entry-points"]["sessionbot_kit.plugins"]
    return found


def test_the_first_one_gets_a_table_at_the_end() -> None:
    text = with_entry(PROJECT, "greet", "my_bot.greet:greet")
    assert text == f'{PROJECT}\n{TABLE}\ngreet = "my_bot.greet:greet"\n'


@pytest.mark.parametrize("header", [TABLE, f"{TABLE} # mine", TABLE.replace('"', "'")])
def test_the_next_one_joins_the_others(header: str) -> None:
    before = f'{PROJECT}\n{header}\necho = "a:b"\n\n[tool.x]\ny = 1\n'
    text = with_entry(before, "größe 2", "my_bot:two")
    assert entries(text) == {"größe 2": "my_bot:two", "echo": "a:b"}
    assert text.replace('"größe 2" = "my_bot:two"\n', "") == before


def test_one_that_is_there_changes_nothing() -> None:
    text = with_entry(PROJECT, "greet", "my_bot.greet:greet")
    assert with_entry(text, "greet", "my_bot.greet:greet") == text


def test_one_that_means_something_else_is_not_written_over() -> None:
    text = with_entry(PROJECT, "greet", "my_bot.greet:greet")
    with pytest.raises(UsageError, match=r"greet = 'my_bot.greet:greet' already; change it to"):
        with_entry(text, "greet", "other:greet")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[project", "cannot be read: .*; mend it first"),
        (
            '[project]\nname = "x"\nentry-points = {"sessionbot_kit.plugins" = {}}\n',
            "laid out in a way that is not understood here; add greet = ",
        ),
    ],
)
def test_what_is_not_understood_is_left_alone(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        with_entry(text, "greet", "my_bot.greet:greet")
