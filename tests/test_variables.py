"""Variables in a plugin's hands: a copy that knows what has changed."""

import copy
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.errors import UsageError
from sessionbot_kit.variables import MAX_BYTES, Variables, become

json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=12,
)
variables = st.dictionaries(st.text(max_size=3), json, max_size=5)


def containers(data: Any) -> list[Any]:
    """Every container, by the way that leads to it."""
    inner = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    here = [data] if isinstance(data, dict | list) else []
    return here + [found for value in inner for found in containers(value)]


@given(json, json)
def test_it_becomes_the_other(data: Any, other: Any) -> None:
    wanted = copy.deepcopy(other)
    assert become(data, other) == wanted


@given(variables, variables)
def test_containers_of_the_same_kind_are_changed_in_place(data: Any, other: Any) -> None:
    held = {key: value for key, value in data.items() if isinstance(value, dict | list)}
    become(data, other)
    for key, value in held.items():
        if type(other.get(key)) is type(value):
            assert data[key] is value


def test_a_list_within_a_list_is_changed_in_place_too() -> None:
    inner: list[int] = [1]
    data = [inner, 2]
    become(data, [[3, 4], 5, 6])
    assert data == [[3, 4], 5, 6]
    assert data[0] is inner


def test_what_is_longer_than_the_other_is_cut() -> None:
    data = [1, 2, 3]
    assert become(data, [7]) == [7]


@given(variables)
def test_nothing_was_changed_until_something_is(data: Any) -> None:
    held = Variables(data)
    assert held.changes() is None
    assert held.open() == data
    assert held.changes() is None


@given(variables, variables)
def test_what_was_changed_is_told_once_and_whole(data: Any, other: Any) -> None:
    held = Variables(data)
    become(held.open(), copy.deepcopy(other))
    assert held.changes() in (other, None if other == data else other)
    assert held.changes() is None


def test_the_source_is_nobodys_to_change() -> None:
    source: dict[str, Any] = {"list": [1]}
    held = Variables(source)
    inner: Any = held.open()["list"]
    inner.append(2)
    told = held.changes()
    assert told == {"list": [1, 2]}
    inner.append(3)
    assert (source, told) == ({"list": [1]}, {"list": [1, 2]})


@given(variables, variables)
def test_renewed_it_shows_the_new_values_in_the_same_place(data: Any, other: Any) -> None:
    held = Variables(data)
    opened = held.open()
    held.renew(other)
    assert held.open() is opened
    assert (opened, held.source) == (other, other)
    assert held.changes() is None


def test_renewed_before_anybody_looked_it_shows_the_new_values() -> None:
    held = Variables({"n": 1})
    held.renew({"n": 2})
    assert held.open() == {"n": 2}
    assert held.changes() is None


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (object(), r"chat\.vars\['it'\] holds a value of type object; keep text"),
        (datetime(2026, 1, 2), r"chat\.vars\['it'\] holds a value of type datetime; keep text"),
        ({"ids": [1, UUID(int=1)]}, r"chat\.vars\['it'\]\['ids'\]\[1\] holds a value of type UUID"),
        ([float("nan")], r"chat\.vars\['it'\]\[0\] is nan"),
        ({"x": {7: "seven"}}, r"chat\.vars\['it'\]\['x'\] has the key 7"),
    ],
)
def test_what_is_not_json_is_refused_and_named(value: Any, told: str) -> None:
    held = Variables({})
    held.open()["it"] = value
    for _ in range(2):
        with pytest.raises(UsageError, match=told):
            held.changes()


def test_a_tuple_is_kept_as_a_list() -> None:
    held = Variables({})
    held.open()["it"] = (1, 2)  # type: ignore[assignment]  # JSON has no other word for it
    assert held.changes() == {"it": [1, 2]}


def test_a_megabyte_is_enough() -> None:
    held = Variables({})
    held.open()["x"] = "x" * (MAX_BYTES - len('{"x":""}'))
    assert held.changes() is not None
    held.open()["x"] = "x" * (MAX_BYTES - len('{"x":""}') + 1)
    with pytest.raises(UsageError, match="1,000,001 bytes; at most 1,000,000"):
        held.changes()
