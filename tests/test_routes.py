import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.routes import Route, choose, first_word

ECHO = Route("echo", prefixes=("!echo",))
CHAT = Route("chat", default=True)


def answered(content: str, *routes: Route) -> tuple[str, str] | None:
    choice = choose(content, [("here", route) for route in routes])
    return (choice.route.plugin, choice.content) if choice else None


def test_the_first_word_decides() -> None:
    assert answered("!echo hello you", CHAT, ECHO) == ("echo", "hello you")


def test_the_default_gets_the_whole_text() -> None:
    assert answered("hello !echo", CHAT, ECHO) == ("chat", "hello !echo")


def test_nobody_answers_what_nobody_wants() -> None:
    assert answered("hello", ECHO) is None


@pytest.mark.parametrize("text", ["!echo hello", "!echo\nhello", "!echo\thello", "  !echo hello"])
def test_any_white_space_ends_the_first_word(text: str) -> None:
    assert answered(text, ECHO) == ("echo", "hello")


def test_a_longer_word_is_another_word() -> None:
    assert answered("!echoes hello", ECHO) is None


def test_a_prefix_alone_leaves_nothing() -> None:
    assert answered("!echo", ECHO) == ("echo", "")


def test_only_the_one_space_after_the_prefix_goes() -> None:
    assert answered("!echo  two  spaces ", ECHO) == ("echo", " two  spaces ")


def test_an_empty_text_goes_to_the_default() -> None:
    assert answered("", ECHO, CHAT) == ("chat", "")
    assert answered(" \n", ECHO, CHAT) == ("chat", " \n")


def test_among_several_the_lower_priority_answers_and_then_the_id() -> None:
    other = Route("other", prefixes=("!echo",), priority=10)
    same = Route("a", prefixes=("!echo",))
    assert answered("!echo hi", ECHO, other, same) == ("other", "hi")
    assert answered("!echo hi", ECHO, same) == ("a", "hi")


def test_a_prefix_goes_before_a_default_of_any_priority() -> None:
    eager = Route("eager", default=True, priority=0)
    assert answered("!echo hi", eager, ECHO) == ("echo", "hi")


def test_the_choice_says_who_serves_it() -> None:
    choice = choose("!echo hi", [("first", CHAT), ("second", ECHO)])
    assert choice is not None
    assert choice.by == "second"


@given(st.text())
def test_the_first_word_and_the_rest_lose_one_space_at_most(text: str) -> None:
    word, rest = first_word(text)
    assert word.split() == ([word] if word else [])
    assert text.endswith(rest)
    stripped = text[: len(text) - len(rest)]
    assert stripped.strip() == word


def test_the_prefix_may_come_again_in_the_text() -> None:
    assert answered("!echo say !echo", ECHO) == ("echo", "say !echo")


def test_of_two_kernels_with_one_plugin_the_first_answers() -> None:
    choice = choose("!echo hi", [("first", ECHO), ("second", ECHO)])
    assert choice is not None
    assert choice.by == "first"
