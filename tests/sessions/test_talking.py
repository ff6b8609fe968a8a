"""What is said in a session, and what a language model gets to read of it."""

import asyncio
from dataclasses import replace

import pytest

from sessionbot_kit.context import SummaryRules
from sessionbot_kit.errors import MessageError, SessionEnded, UsageError
from sessionbot_kit.models import Media
from sessionbot_kit.sessions import Conversation, SessionLimits, SessionManager, SessionPolicy
from sessionbot_kit.store import NewMessage, Store
from sessionbot_kit.tokenizer import tokenizer
from tests.sessions.conftest import Begin, Clock

LONG = "This is a long message to test summarization. " * 10


async def say(sessions: SessionManager, ref: str, count: int, text: str = LONG) -> Conversation:
    for _ in range(count):
        session = await sessions.add_message(ref, "user", text)
    return session


async def test_a_message_is_added_and_counted(sessions: SessionManager, begin: Begin) -> None:
    session = await begin()
    for number in range(5):
        await sessions.add_message(session.id, "user", f"Test message {number}")
        session = await sessions.add_message(session.id, "assistant", f"Response {number}")
    assert (session.message_count, session.total_tokens) == (10, 35)
    assert [line.seq for line in session.messages] == list(range(1, 11))
    assert session.state == "active"


async def test_fifty_long_messages_end_with_two_summaries_and_sixteen_messages(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await say(sessions, (await begin()).id, 24)
    assert session.summaries == ()
    session = await say(sessions, session.id, 26)
    assert [(s.first, s.last) for s in session.summaries] == [(1, 17), (18, 34)]
    assert (len(session.messages), session.total_tokens) == (16, 1908)
    assert session.message_count == 50


async def test_fifty_long_messages_after_ten_short_ones_end_with_nineteen(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await begin()
    for number in range(5):
        await sessions.add_message(session.id, "user", f"Test message {number}")
        await sessions.add_message(session.id, "assistant", f"Response {number}")
    session = await say(sessions, session.id, 24)
    assert session.summaries == ()
    assert len((await say(sessions, session.id, 1)).summaries) == 1
    session = await say(sessions, session.id, 25)
    assert (len(session.summaries), len(session.messages), session.total_tokens) == (2, 19, 2259)


async def test_summaries_are_there_after_a_restart(sessions: SessionManager, begin: Begin) -> None:
    session = await say(sessions, (await begin()).id, 50)
    sessions.store.unload()
    assert await sessions.get_session(session.id) == session


async def test_a_context_has_the_summaries_first_and_fits_a_prompt(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await say(sessions, (await begin()).id, 50)
    context = await sessions.build_context(session.id, 10)
    assert [m["role"] for m in context.messages] == ["system"] * 2 + ["user"] * 10
    assert context.messages[-1] == {"role": "user", "content": LONG}
    assert (context.total_tokens, context.has_summaries, context.omitted) == (1218, True, 6)


async def test_a_context_keeps_to_a_token_budget(sessions: SessionManager, begin: Begin) -> None:
    session = await say(sessions, (await begin()).id, 50)
    context = await sessions.build_context(session.id, 20, token_budget=400)
    assert (context.total_tokens, context.omitted) == (68 + 2 * 115, 14)


async def test_a_context_has_at_most_fifty_messages_and_says_what_it_leaves_out(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await say(sessions, (await begin()).id, 60, "hi")
    context = await sessions.build_context(session.id, 1000)
    assert (len(context.messages), context.omitted) == (50, 10)


async def test_a_context_may_reach_further_back_than_memory(
    store: Store, policy: SessionPolicy, begin: Begin
) -> None:
    sessions = SessionManager(store, replace(policy, limits=SessionLimits(history=1000)))
    session = await say(sessions, (await begin()).id, 500, "hi")
    context = await sessions.build_context(session.id, 450)
    assert (len(context.messages), context.omitted) == (450, 50)


async def test_any_async_function_may_write_the_summaries(
    store: Store, policy: SessionPolicy, begin: Begin
) -> None:
    async def poet(messages: list[dict[str, str]]) -> str:
        return f"{len(messages)} lines of {messages[0]['role']}, like rain"

    sessions = SessionManager(store, replace(policy, summarize=poet))
    session = await say(sessions, (await begin()).id, 25)
    assert session.summaries[0].text == "17 lines of user, like rain"


async def test_a_summarizer_that_fails_costs_no_message(
    store: Store, policy: SessionPolicy, begin: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(messages: list[dict[str, str]]) -> str:
        raise RuntimeError("no model today")

    sessions = SessionManager(store, replace(policy, summarize=broken))
    session = await say(sessions, (await begin()).id, 26)
    assert (session.message_count, session.summaries) == (26, ())
    assert [(r.name, r.message) for r in caplog.records] == [
        ("sessionbot_kit.session-manager", "summary failed")
    ] * 2


async def test_a_summarizer_that_hangs_is_given_up(
    store: Store, policy: SessionPolicy, begin: Begin
) -> None:
    async def hangs(messages: list[dict[str, str]]) -> str:
        await asyncio.Event().wait()
        return "never"

    sessions = SessionManager(store, replace(policy, summarize=hangs, summary_timeout_s=0.001))
    session = await say(sessions, (await begin()).id, 25)
    assert (session.message_count, session.summaries) == (25, ())


async def test_what_somebody_else_appended_is_summarized_when_asked(
    sessions: SessionManager, begin: Begin, clock: Clock
) -> None:
    session = await begin()
    line = NewMessage("user", LONG, clock.now, 115)
    await sessions.store.append(session.id, [line] * 25)
    assert [(s.first, s.last) for s in (await sessions.summarize(session.seq)).summaries] == [
        (1, 17)
    ]


class Slow:
    """A summarizer that waits until it may go on."""

    def __init__(self) -> None:
        self.called, self.may_go_on = asyncio.Event(), asyncio.Event()
        self.calls = 0

    async def __call__(self, messages: list[dict[str, str]]) -> str:
        self.calls += 1
        self.called.set()
        await self.may_go_on.wait()
        return "summary"


async def test_people_go_on_talking_while_a_summary_is_written(
    store: Store, policy: SessionPolicy, begin: Begin
) -> None:
    slow = Slow()
    sessions = SessionManager(store, replace(policy, summarize=slow, summary_timeout_s=50))
    session = await say(sessions, (await begin()).id, 24)
    async with asyncio.TaskGroup() as group:
        group.create_task(say(sessions, session.id, 1))
        await slow.called.wait()
        meanwhile = await say(sessions, session.id, 1, "and another thing")
        assert (meanwhile.message_count, meanwhile.summaries) == (26, ())
        slow.may_go_on.set()
    after = await sessions.get_session(session.id)
    assert after is not None
    assert [(s.first, s.last) for s in after.summaries] == [(1, 17)]
    assert (len(after.messages), slow.calls) == (9, 1)


async def test_a_summary_does_not_bring_back_what_was_cleared_meanwhile(
    store: Store, policy: SessionPolicy, begin: Begin
) -> None:
    slow = Slow()
    sessions = SessionManager(store, replace(policy, summarize=slow, summary_timeout_s=50))
    session = await say(sessions, (await begin()).id, 24)
    async with asyncio.TaskGroup() as group:
        group.create_task(say(sessions, session.id, 1))
        await slow.called.wait()
        await sessions.clear_messages(session.id)
        slow.may_go_on.set()
    after = await sessions.get_session(session.id)
    assert after is not None
    assert (after.summaries, after.messages, after.total_tokens) == ((), (), 0)


async def test_many_summaries_become_a_summary_of_summaries(
    store: Store, policy: SessionPolicy, begin: Begin
) -> None:
    rules = SummaryRules(token_limit=2000, max_summaries=3)
    sessions = SessionManager(store, replace(policy, rules=rules))
    session = await say(sessions, (await begin()).id, 100)
    first, *_ = session.summaries
    assert (first.level > 1, first.first) == (True, 1)
    assert first.text.startswith(f"Previous conversation summary ({first.messages} messages):")
    assert_covered(session)


def assert_covered(session: Conversation) -> None:
    covered = [n for s in session.summaries for n in range(s.first, s.last + 1)]
    assert covered + [line.seq for line in session.messages] == list(
        range(1, session.message_count + 1)
    )


async def test_many_speak_at_once_and_nothing_is_lost(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await begin()
    async with asyncio.TaskGroup() as group:
        for _ in range(60):
            group.create_task(sessions.add_message(session.id, "user", LONG))
    after = await sessions.get_session(session.id)
    assert after is not None
    assert after.message_count == 60
    assert_covered(after)


async def test_what_was_said_is_cleared_and_the_rest_stays(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await say(sessions, (await begin()).id, 50)
    await sessions.set_variables(session.id, {"n": 1})
    cleared = await sessions.clear_messages(session.id)
    assert (cleared.message_count, cleared.messages, cleared.variables) == (0, (), {"n": 1})
    assert (len(cleared.summaries), cleared.total_tokens) == (2, 68)
    assert (await sessions.clear_messages(session.id, include_summaries=True)).total_tokens == 0


async def test_numbers_go_on_after_a_clear_and_nothing_is_summarized_too_soon(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await say(sessions, (await begin()).id, 20)
    await sessions.clear_messages(session.id)
    session = await say(sessions, session.id, 10)
    assert [line.seq for line in session.messages] == list(range(21, 31))
    assert (session.summaries, session.total_tokens) == ((), 1150)
    session = await say(sessions, session.id, 15)
    assert [(s.first, s.last) for s in session.summaries] == [(21, 37)]


async def test_history_is_a_list_of_dicts(
    sessions: SessionManager, begin: Begin, clock: Clock
) -> None:
    session = await say(sessions, (await begin()).id, 3, "hi")
    rows = await sessions.history(session.id)
    assert rows[0] == {
        "seq": 1,
        "role": "user",
        "content": "hi",
        "tokens": 1,
        "timestamp": clock.now,
    }
    assert [row["seq"] for row in await sessions.history(session.id, limit=2)] == [2, 3]


async def test_tool_calls_and_errors_are_counted(sessions: SessionManager, begin: Begin) -> None:
    session = await begin()
    await sessions.record_tool_call(session.id)
    await sessions.record_tool_call(session.id, "weather")
    session = await sessions.record_error(session.id, ValueError("a secret"))
    assert (session.tool_calls_count, session.error_count) == (2, 1)
    assert session.metadata["tool_calls"] == {"weather": 1}
    assert "a secret" not in str(session.metadata)


async def test_counts_that_are_made_at_once_add_up(sessions: SessionManager, begin: Begin) -> None:
    session = await begin()
    await asyncio.gather(*(sessions.record_tool_call(session.id) for _ in range(8)))
    after = await sessions.get_session(session.id)
    assert after is not None
    assert after.tool_calls_count == 8


async def test_an_unknown_role_is_refused(sessions: SessionManager, begin: Begin) -> None:
    session = await begin()
    with pytest.raises(UsageError) as error:
        await sessions.add_message(session.id, "bot", "hi")  # type: ignore[arg-type]  # the point
    assert str(error.value) == (
        "there is no role 'bot'; choose one of user, assistant, system, tool"
    )


async def test_a_file_of_more_than_ten_megabytes_is_refused(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await begin()
    file = Media.from_bytes(b"x" * 10_000_001, name="film.mp4")
    with pytest.raises(MessageError, match=r"film.mp4 has 10,000,001 bytes; a file may have"):
        await sessions.add_message(session.id, "user", "look", media=[file])


async def test_nobody_speaks_in_a_session_that_has_ended(
    sessions: SessionManager, begin: Begin, clock: Clock
) -> None:
    session = await begin()
    clock.go(days=7)
    with pytest.raises(SessionEnded, match=r"session 1 is expired; get_or_create_session"):
        await sessions.add_message(session.id, "user", "hello?")


async def test_one_tokenizer_counts_a_session_from_its_first_message_to_its_last(
    store: Store, policy: SessionPolicy
) -> None:
    bpe = SessionManager(store, replace(policy, tokenizer=tokenizer("rs-bpe:o200k_base")))
    session = await bpe.get_or_create_session(
        interface_type="web", external_user_id="u", external_chat_id="c"
    )
    assert session.metadata["tokenizer"] == "rs-bpe:o200k_base"
    later = SessionManager(store, policy)  # the setting has changed back
    assert (await later.add_message(session.id, "user", "hello world")).total_tokens == 2


async def test_bots_share_nothing(sessions: SessionManager, begin: Begin) -> None:
    sales, support = await begin(bot="sales"), await begin(bot="support")
    await sessions.add_message(sales.id, "user", "I want a discount")
    await sessions.set_context(sales.id, knowledge=["products"])
    await sessions.set_context(support.id, knowledge=["policies"])
    found = await sessions.get_session(support.id)
    assert found is not None
    assert (found.messages, found.knowledge) == ((), ["policies"])
