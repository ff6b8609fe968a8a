"""What a session, a user and a bot have."""

import asyncio
from pathlib import Path

import pytest

from sessionbot_kit.errors import MessageError, UsageError, VariableQuotaExceeded
from sessionbot_kit.sessions import SessionManager, Template
from sessionbot_kit.sessions.template import read_template
from tests.sessions.conftest import Begin


async def test_variables_stay_across_messages(sessions: SessionManager, begin: Begin) -> None:
    session = await begin()
    await sessions.set_variables(session.id, {"user_name": "Ada", "n": 1})
    await sessions.add_message(session.id, "user", "hi")
    sessions.store.unload()
    assert await sessions.variables(session.id) == {"user_name": "Ada", "n": 1}


async def test_only_the_named_variables_change(sessions: SessionManager, begin: Begin) -> None:
    session = await begin()
    await sessions.set_variables(session.id, {"a": 1, "b": 2})
    changed = await sessions.set_variables(session.id, {"b": 3}, drop=["a", "unknown"])
    assert changed.variables == {"b": 3}


async def test_variables_that_are_set_at_once_are_all_kept(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await begin()
    async with asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(sessions.set_variables(session.id, {f"v{number}": number}))
    assert len(await sessions.variables(session.id)) == 8


async def test_more_than_a_megabyte_of_variables_is_refused_and_changes_nothing(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await begin()
    await sessions.set_variables(session.id, {"a": "x" * 600_000})
    with pytest.raises(VariableQuotaExceeded, match="a session may have 1,000,000"):
        await sessions.set_variables(session.id, {"b": "x" * 500_000})
    assert list(await sessions.variables(session.id)) == ["a"]


async def test_two_sessions_never_see_the_context_of_each_other(
    sessions: SessionManager, begin: Begin
) -> None:
    one, two = await begin("one"), await begin("two")
    async with asyncio.TaskGroup() as group:
        group.create_task(sessions.set_context(one.id, knowledge=["policies"]))
        group.create_task(sessions.set_context(two.id, knowledge=["products"]))
    found = [await sessions.get_session(session.id) for session in (one, two)]
    assert [session.knowledge for session in found if session] == [["policies"], ["products"]]


async def test_each_part_of_a_context_is_set_by_itself(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await begin()
    await sessions.set_context(session.id, tools=["clock"], prompts=["Be kind.", "Be brief."])
    session = await sessions.set_context(session.id, llm={"model": "small", "temperature": 0})
    assert (session.tools, session.llm) == (["clock"], {"model": "small", "temperature": 0})
    assert (session.prompts, session.knowledge) == (["Be kind.", "Be brief."], [])


async def test_a_state_is_merged_deeply_or_value_by_value(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await begin()
    await sessions.update_state(
        session.id, {"variables": {"order": {"size": 1}, "n": 1}, "preferences": {"dark": True}}
    )
    deep = await sessions.update_state(session.id, {"variables": {"order": {"extra": "basil"}}})
    assert deep.variables == {"order": {"size": 1, "extra": "basil"}, "n": 1}
    flat = await sessions.update_state(session.id, {"variables": {"order": {}}}, deep=False)
    assert (flat.variables, flat.preferences) == ({"order": {}, "n": 1}, {"dark": True})


async def test_the_preferences_stay_when_the_messages_go(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await begin()
    await sessions.update_state(session.id, {"preferences": {"language": "en"}})
    cleared = await sessions.clear_messages(session.id, include_summaries=True)
    assert cleared.preferences == {"language": "en"}


async def test_memories_of_users_bots_and_sessions_never_mix(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await begin("x")
    await sessions.set_variables(session.id, {"n": 0})
    await sessions.remember({"n": 1}, user="x")
    await sessions.remember({"n": 2}, bot="x")
    assert await sessions.recall(user="x") == {"n": 1}
    assert await sessions.recall(bot="x") == {"n": 2}
    assert await sessions.variables(session.id) == {"n": 0}


async def test_a_memory_is_forgotten_by_none(sessions: SessionManager) -> None:
    await sessions.remember({"a": 1, "b": [2]}, user="u")
    await sessions.remember({"a": None}, user="u")
    assert await sessions.recall(user="u") == {"b": [2]}


async def test_a_memory_has_one_owner(sessions: SessionManager) -> None:
    for owner in ({}, {"user": "u", "bot": "b"}):
        with pytest.raises(UsageError, match="give one of user= and bot="):
            await sessions.remember({"a": 1}, **owner)


PIZZA = """
knowledge: [policies, products]
tools: [order_status]
llm: {model: small, temperature: 0.2}
prompts: [You help customers of a pizza shop.]
variables: {language: en}
message: Hello! How can I help?
"""


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "customer_support.yml").write_text(PIZZA)
    (folder / "empty.yml").write_text("")
    return folder


async def test_a_template_sets_up_context_variables_and_the_first_message(
    sessions: SessionManager, begin: Begin, templates: Path
) -> None:
    session = await begin()
    await sessions.set_variables(session.id, {"language": "fr"})
    session = await sessions.load_template(session.id, "customer_support")
    assert (session.knowledge, session.tools) == (["policies", "products"], ["order_status"])
    assert session.llm == {"model": "small", "temperature": 0.2}
    assert session.variables == {"language": "fr"}  # what was there already stays
    assert [(m.role, m.content, m.tokens) for m in session.messages] == [
        ("assistant", "Hello! How can I help?", 6)
    ]


async def test_a_template_of_a_cell_is_loaded_too(sessions: SessionManager, begin: Begin) -> None:
    session = await sessions.load_template((await begin()).id, Template(tools=("clock",)))
    assert (session.tools, session.messages) == (["clock"], ())


def test_an_empty_template_adds_nothing(templates: Path) -> None:
    assert read_template(templates, "empty") == Template()


@pytest.mark.parametrize("name", ["../secrets", "a/b", "", "x.yml", "a b"])
def test_the_name_of_a_template_leads_nowhere_else(templates: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"is no name of a template; use letters, digits, _ and -"):
        read_template(templates, name)


def test_a_template_that_does_not_exist_is_answered_with_those_that_do(templates: Path) -> None:
    with pytest.raises(UsageError, match=r"no template 'sales'; it has customer_support, empty"):
        read_template(templates, "sales")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("a: [", "is not YAML"), ("- a", "is not a list of names and values")],
)
def test_a_template_that_cannot_be_read_is_named(templates: Path, text: str, sentence: str) -> None:
    (templates / "bad.yml").write_text(text)
    with pytest.raises(UsageError, match=f"bad.yml {sentence}"):
        read_template(templates, "bad")


def test_a_template_with_an_unknown_name_is_refused(templates: Path) -> None:
    (templates / "bad.yml").write_text("tool: [x]")
    with pytest.raises(MessageError, match="Template cannot be made: tool: Extra inputs"):
        read_template(templates, "bad")
