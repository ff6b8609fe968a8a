"""The configuration file as data: variables, lines, and faults in one sentence."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.config_file import Unset, expand, parse
from sessionbot_kit.errors import SettingsError


def read(text: str, **environ: str) -> dict[str, object]:
    return parse(text, "sessionbot.yml", environ).values


def fault(text: str, **environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        parse(text, "sessionbot.yml", environ)
    return str(caught.value)


def test_a_variable_is_filled_in_wherever_a_text_stands() -> None:
    text = "a: ${X}\nb: {c: [1, 'pre ${X} post']}\n"
    assert read(text, X="here") == {"a": "here", "b": {"c": [1, "pre here post"]}}


def test_a_default_is_taken_when_the_variable_is_unset_or_empty() -> None:
    assert read("a: ${X:-else}\nb: ${Y:-else}\nc: ${Z:-}", Y="") == {
        "a": "else",
        "b": "else",
        "c": "",
    }


def test_a_default_may_hold_another_variable() -> None:
    assert read("a: ${X:-${Y:-z}}", Y="y") == {"a": "y"}
    assert read("a: ${X:-<${Y:-z}>}") == {"a": "<z>"}


def test_an_unset_variable_names_the_key_the_line_and_the_variable() -> None:
    message = fault("home: data\nplugins:\n  telegram:\n    bot_token: ${TELEGRAM_BOT_TOKEN}\n")
    assert message.startswith(
        "plugins.telegram.bot_token (sessionbot.yml line 4) needs the variable TELEGRAM_BOT_TOKEN,"
    )


def test_an_unset_variable_in_a_list_names_its_place() -> None:
    assert "a.1 (sessionbot.yml line 1) needs the variable X" in fault("a: [1, '${X}']")


def test_an_empty_variable_without_default_is_an_empty_text() -> None:
    assert read("a: <${X}>", X="") == {"a": "<>"}


def test_what_a_variable_gives_stays_text_and_is_not_filled_in_again() -> None:
    assert read("a: ${X}\nb: ${Y}", X="0123", Y="${X}") == {"a": "0123", "b": "${X}"}


def test_a_doubled_dollar_writes_a_plain_one() -> None:
    assert read("a: $${X} costs $5 or $X", X="no") == {"a": "${X} costs $5 or $X"}


@pytest.mark.parametrize("text", ["${}", "${X", "${1X}", "${X-a}", "${X:-${Y}", "${X Y}"])
def test_a_dollar_brace_that_names_no_variable_is_refused(text: str) -> None:
    assert "names no variable" in fault(f"a: '{text}'", X="x", Y="y")


@given(st.text().filter(lambda text: "${" not in text))
def test_text_without_a_variable_stays_as_it_is(text: str) -> None:
    assert expand(text, {}) == (text, set(), False)


@given(st.lists(st.tuples(st.text("ab $}"), st.text()), max_size=5))
def test_each_variable_is_replaced_by_exactly_its_value(parts: list[tuple[str, str]]) -> None:
    plain = [(text.replace("$", ""), value) for text, value in parts]
    template = "".join(f"{text}${{V{n}}}" for n, (text, _) in enumerate(plain))
    values = {f"V{n}": value for n, (_, value) in enumerate(plain)}
    assert expand(template, values)[0] == "".join(text + value for text, value in plain)


def test_it_knows_which_values_the_environment_gave() -> None:
    file = parse("a: ${X}\nb: ${Y:-y}\nc: [k, '${X}']\nd: d", "f", {"X": "x"})
    assert file.borrowed == {("a",), ("c", "1")}
    assert file.variables == {"X", "Y"}


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(Unset, match="GONE"):
        expand("${GONE}", {})


def test_keys_are_names_even_when_yaml_thinks_otherwise() -> None:
    assert read("on: 1\n12345: 2\nnull: 3") == {"on": 1, "12345": 2, "null": 3}


def test_dates_stay_text() -> None:
    assert read("since: 2026-11-21") == {"since": "2026-11-21"}


def test_anchors_and_merges_work() -> None:
    text = "a: &base {x: 1, y: 2}\nb:\n  <<: *base\n  y: 3\n"
    assert read(text)["b"] == {"x": 1, "y": 3}


def test_a_key_that_is_set_twice_is_refused_with_both_lines() -> None:
    assert fault("courier:\n  tries: 1\n  tries: 2") == (
        "courier.tries is set twice, on lines 2 and 3 of sessionbot.yml; keep one"
    )


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "---\n"])
def test_an_empty_file_sets_nothing(text: str) -> None:
    assert read(text) == {}


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a: [1, 2", "sessionbot.yml line 1 is not YAML"),
        ("a: b: c", "sessionbot.yml line 1 is not YAML"),
        ("a: 1\n\tb: 2", "sessionbot.yml line 2 is not YAML"),
        ("a: !!python/object:os.system x", "sessionbot.yml line 1 is not YAML"),
        ("a: \x00", "is not YAML"),
        ("- a\n- b", "holds no settings"),
        ("just words", "holds no settings"),
        ("? [a, b]\n: c", "line 1 has a key that is no name"),
        ("a: &a [*a]", "nested too deeply, or holds itself"),
        ("a: " + "[" * 5_000, "nested too deeply"),
        ("a: 1\n---\nb: 2", "is not YAML"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(text: str, part: str) -> None:
    message = fault(text)
    assert part in message
    assert "\n" not in message


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(SettingsError):
        assert isinstance(parse(text, "f", {}).values, dict)
