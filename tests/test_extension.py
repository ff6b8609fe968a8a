from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.errors import PluginError
from sessionbot_kit.extension import FunctionPlugin, PluginMeta, check_asks, plugin, start_order


def test_a_decorated_function_is_a_plugin_and_still_a_function() -> None:
    @plugin("!shout", "!yell", priority=10)
    def shout(message: str) -> str:
        """Say it louder.

        More words that /help does not need.
        """
        return message.upper()

    assert isinstance(shout, FunctionPlugin)
    assert (shout.meta.id, shout.meta.priority) == ("shout", 10)
    assert shout.meta.implements == {"chat.message": "answer"}
    assert repr(shout) == "plugin shout: !shout, !yell"
    assert shout.prefixes == ("!shout", "!yell")
    assert shout.summary == "Say it louder."
    assert not shout.default
    assert shout(message="hey") == "HEY"


def test_a_plugin_without_a_prefix_takes_what_is_left_over() -> None:
    @plugin
    def anything(message: str) -> str:
        return message

    assert anything.default
    assert anything.prefixes == ()
    assert repr(anything) == "plugin anything: everything that no other plugin takes"


def test_a_plugin_may_have_a_prefix_and_be_the_default() -> None:
    @plugin("!ask", default=True, id="oracle")
    def ask() -> None: ...

    assert (ask.meta.id, ask.default, ask.prefixes) == ("oracle", True, ("!ask",))


def test_asking_for_what_is_not_offered_is_refused_where_it_is_declared() -> None:
    with pytest.raises(PluginError) as refused:

        @plugin("!echo")
        def echo(msg: str) -> None: ...

    assert str(refused.value) == 'echo asks for "msg"; it may ask for message, chat'


def test_asking_for_everything_is_refused() -> None:
    with pytest.raises(PluginError, match=r"echo asks for \*args; name what it needs"):

        @plugin("!echo")
        def echo(*args: Any) -> None: ...


def test_what_has_a_default_need_not_be_offered() -> None:
    def roll(message: str, sides: int = 6) -> None: ...

    assert check_asks(roll, "roll") == ("message",)


@pytest.mark.parametrize("bad", ["", "two words", " !echo", 7])
def test_a_prefix_is_one_word(bad: Any) -> None:
    with pytest.raises(PluginError, match="is not a prefix; give one word, such as '!echo'"):
        plugin(bad)


@pytest.mark.parametrize("bad", ["", "1st", "two words", "a/b"])
def test_an_id_begins_with_a_letter_and_has_no_spaces(bad: str) -> None:
    with pytest.raises(PluginError, match="does not name a plugin"):
        PluginMeta(id=bad)


def ids(*metas: PluginMeta) -> list[str]:
    return [meta.id for meta in start_order(metas)]


def test_dependencies_start_first_whatever_their_priority() -> None:
    late = PluginMeta(id="base", priority=99)
    early = PluginMeta(id="top", priority=1, dependencies=("base",))
    assert ids(early, late) == ["base", "top"]


def test_among_equals_the_lower_priority_starts_first_and_then_the_id() -> None:
    metas = [PluginMeta(id="c"), PluginMeta(id="b"), PluginMeta(id="a", priority=60)]
    assert ids(*metas) == ["b", "c", "a"]


def test_an_optional_dependency_orders_only_when_it_is_there() -> None:
    top = PluginMeta(id="a", optional_dependencies=("z",))
    assert ids(top) == ["a"]
    assert ids(top, PluginMeta(id="z")) == ["z", "a"]


def test_a_missing_dependency_is_named() -> None:
    with pytest.raises(PluginError) as refused:
        ids(PluginMeta(id="tarot", dependencies=("cards",)))
    assert str(refused.value) == "tarot needs cards, which is not here; add cards"


def test_a_disabled_dependency_is_named() -> None:
    with pytest.raises(PluginError) as refused:
        start_order([PluginMeta(id="tarot", dependencies=("cards",))], disabled=["cards"])
    assert str(refused.value) == "tarot needs cards, which is disabled; enable cards"


def test_a_circle_is_named_link_by_link() -> None:
    with pytest.raises(PluginError) as refused:
        ids(
            PluginMeta(id="a", dependencies=("b",)),
            PluginMeta(id="b", dependencies=("c",)),
            PluginMeta(id="c", dependencies=("b",)),
        )
    assert str(refused.value) == "plugins need each other in a circle: b -> c -> b; cut one arrow"


def test_an_unknown_point_is_refused_and_a_declared_one_is_not() -> None:
    wants = PluginMeta(id="crow", implements={"nest.build": "build"})
    with pytest.raises(PluginError, match=r"crow implements nest\.build, which nobody declares"):
        ids(wants)
    assert ids(wants, PluginMeta(id="nest", extension_points=("nest.build",))) == ["crow", "nest"]


@given(st.data())
def test_in_any_order_every_plugin_starts_once_and_after_what_it_needs(data: st.DataObject) -> None:
    names = [f"p{n}" for n in range(data.draw(st.integers(0, 8)))]
    metas = []
    for position, name in enumerate(names):
        needs = data.draw(st.sets(st.sampled_from(names[:position]))) if position else set()
        priority = data.draw(st.integers(0, 3))
        metas.append(PluginMeta(id=name, dependencies=tuple(needs), priority=priority))
    order = ids(*data.draw(st.permutations(metas)))
    assert sorted(order) == names
    for meta in metas:
        assert all(order.index(need) < order.index(meta.id) for need in meta.dependencies)


def test_a_plugin_says_nothing_of_itself_unless_it_has_words_for_it() -> None:
    @plugin("!hush", version="2")
    def hush() -> None: ...

    assert (hush.summary, hush.meta.version, hush.meta.priority) == ("", "2", 50)
    assert plugin("!other")(lambda_like).meta.version == "0"


def lambda_like() -> None: ...


def test_a_refusal_lists_what_there_is() -> None:
    with pytest.raises(PluginError, match=r"name what it needs: message, chat$"):

        @plugin("!all")
        def everything(**offered: Any) -> None: ...

    with pytest.raises(PluginError, match=r"use one of: basic\.keyword, chat\.after, "):
        ids(PluginMeta(id="crow", implements={"nest.build": "build"}))
