"""Which plugins run, and the reason for each that does not."""

from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.catalog import Find, Policy, Wishes, choose
from sessionbot_kit.extension import Plugin, PluginMeta


def find(id: str, *prefixes: str, origin: str = "", needs: tuple[str, ...] = ()) -> Find:
    plugin = Plugin()
    plugin.meta = PluginMeta(id=id, dependencies=needs)
    plugin.prefixes = prefixes
    return Find(origin or f"plugins/{id}.py", plugin)


def reasons(
    *finds: Find,
    enabled: tuple[str, ...] = (),
    disabled: tuple[str, ...] = (),
    policy: Policy = "enable",
) -> dict[str, str]:
    chosen = choose(finds, Wishes(frozenset(enabled), frozenset(disabled), policy))
    return {each.id or each.origin: each.skipped for each in chosen}


def test_without_wishes_all_that_is_found_runs() -> None:
    assert reasons(find("a"), find("b")) == {"a": "", "b": ""}


def test_what_is_disabled_is_left_out_and_who_needs_it_too() -> None:
    assert reasons(
        find("a"), find("b", needs=("a",)), find("c", needs=("b",)), disabled=("a",)
    ) == {
        "a": "it stands in plugins.disabled; take it out there",
        "b": "it needs a, which is left out or not here",
        "c": "it needs b, which is left out or not here",
    }


def test_with_the_other_policy_only_what_is_named_runs_and_what_it_needs() -> None:
    found = reasons(find("a"), find("b", needs=("a",)), find("c"), enabled=("b",), policy="disable")
    assert (found["a"], found["b"]) == ("", "")
    assert found["c"].startswith("nobody named it; add it to plugins.enabled")


def test_what_is_named_and_nowhere_is_told() -> None:
    assert reasons(enabled=("tarot",)) == {
        "tarot": "tarot stands in plugins.enabled and is nowhere; check plugins.paths"
    }


def test_the_first_of_an_id_wins() -> None:
    first, second = choose([find("a", origin="one"), find("a", origin="two")], Wishes())
    assert (first.skipped, second.skipped) == ("", "one has a a too, and comes first")


def test_the_first_of_a_prefix_wins_unless_it_is_left_out() -> None:
    both = find("a", "!go"), find("b", "!run", "!go")
    assert reasons(*both)["b"] == "a wants !go too; change one of them"
    assert reasons(*both, disabled=("a",))["b"] == ""


def test_a_find_that_could_not_be_loaded_keeps_its_reason() -> None:
    assert choose([Find("x.py", skipped="broken")], Wishes())[0].skipped == "broken"


IDS = st.sampled_from("abcdef")


@given(
    st.lists(st.tuples(IDS, st.frozensets(IDS), st.frozensets(st.sampled_from(["!x", "!y"])))),
    st.frozensets(IDS),
    st.frozensets(IDS),
    st.sampled_from(["enable", "disable"]),
)
def test_what_is_chosen_can_run_together(
    made: list[tuple[str, frozenset[str], frozenset[str]]],
    enabled: frozenset[str],
    disabled: frozenset[str],
    policy: Policy,
) -> None:
    finds = [find(id, *prefixes, needs=tuple(needs - {id})) for id, needs, prefixes in made]
    chosen = choose(finds, Wishes(enabled, disabled, policy))
    running = [each.plugin for each in chosen if each.plugin and not each.skipped]
    ids = {plugin.meta.id for plugin in running}
    prefixes = [prefix for plugin in running for prefix in plugin.prefixes]
    assert len(ids) == len(running)
    assert len(set(prefixes)) == len(prefixes)
    assert all(set(plugin.meta.dependencies) <= ids for plugin in running)
    assert not ids & disabled
