"""Tools are typed functions; a model's wish is checked before anything runs."""

from collections.abc import Callable
from typing import Any, Literal

import pytest

from sessionbot_kit.errors import PluginError, UsageError
from sessionbot_kit.tool import tool


@tool
def book(day: Literal["monday", "tuesday"], seats: int = 2) -> str:
    """Book a table."""
    return f"{seats} seats on {day}"


def test_the_schema_comes_from_the_signature() -> None:
    assert book.spec.name == "book"
    assert book.spec.description == "Book a table."
    assert book.spec.parameters["required"] == ["day"]
    assert book.spec.parameters["additionalProperties"] is False
    assert not book.acts
    assert book("monday") == "2 seats on monday"


def test_arguments_are_checked_and_completed() -> None:
    assert book.check('{"day": "monday"}') == {"day": "monday", "seats": 2}
    assert book.check('{"day": "tuesday", "seats": 4}')["seats"] == 4


@pytest.mark.parametrize(
    "arguments",
    [
        *("", "{}", "[]", "not json", '{"day": "sunday"}', '{"day": "monday", "seats": "many"}'),
        *('{"day": "monday", "note": "x"}', '{"day": "' + "x" * 30_000 + '"}', "null", "1e999"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments: str) -> None:
    with pytest.raises(UsageError, match="book"):
        book.check(arguments)


def no_docstring(a: int) -> int:
    return a


def no_type(a) -> None:  # type: ignore[no-untyped-def]  # that is what is tested
    """Do something."""


def many(*a: int) -> None:
    """Do something."""


def shapeless(a: Callable[..., Any], b: "pytest.Item") -> None:
    """Do something."""


@pytest.mark.parametrize("function", [no_docstring, no_type, many, shapeless])
def test_what_cannot_be_a_tool_is_refused_where_it_is_declared(
    function: Callable[..., Any],
) -> None:
    with pytest.raises(PluginError):
        tool(function)


def test_a_tool_may_have_another_name_and_act() -> None:
    sent = tool(name="send_mail", acts=True)(book.function)
    assert (sent.name, sent.acts) == ("send_mail", True)
    with pytest.raises(PluginError, match="names no tool"):
        tool(name="send mail")(book.function)
