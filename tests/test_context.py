"""What a language model gets to read: the window, and the summaries before it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.context import (
    ContextWindow,
    Plan,
    Summary,
    SummaryRules,
    build_window,
    extract,
    lay,
    plan_fold,
    plan_summary,
    shorten,
)
from sessionbot_kit.errors import UsageError
from sessionbot_kit.models import Role, StoredMessage
from sessionbot_kit.tokenizer import CHARS

NOW = datetime(2026, 1, 2, tzinfo=UTC)
LONG = "This is a long message to test summarization. " * 10


def line(seq: int, content: str, role: Role = "user") -> StoredMessage:
    return StoredMessage(
        session_id="s",
        seq=seq,
        role=role,
        content=content,
        tokens=CHARS.count(content),
        timestamp=NOW,
    )


def summary(first: int, last: int, text: str = "text", level: int = 1) -> Summary:
    return Summary(first, last, text, CHARS.count(text), last - first + 1, level, NOW)


def spoken(messages: Sequence[StoredMessage]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


@dataclass
class Talk:
    """A conversation in memory that follows every plan at once."""

    rules: SummaryRules = field(default_factory=SummaryRules)
    live: list[StoredMessage] = field(default_factory=list)
    summaries: tuple[Summary, ...] = ()
    last: int = 0
    cleared: int = 0
    triggers: list[int] = field(default_factory=list)

    def add(self, content: str, role: Role = "user") -> None:
        self.last += 1
        self.live.append(line(self.last, content, role))
        self.summarize()

    def summarize(self) -> None:
        tokens = sum(message.tokens for message in self.live)
        plan = plan_summary(
            self.rules,
            self.summaries,
            live_messages=len(self.live),
            live_tokens=tokens,
            last_seq=self.last,
        )
        if plan is not None:
            self.triggers.append(self.last)
            text = extract(spoken(self.live[: plan.messages]))
            self.summaries = lay(self.summaries, plan.accept(text, NOW))
            self.live = self.live[plan.messages :]
        if (fold := plan_fold(self.rules, self.summaries)) is not None:
            text = extract([{"role": "system", "content": old.text} for old in fold.summaries])
            self.summaries = lay(self.summaries, fold.accept(text, NOW))

    def clear(self) -> None:
        self.live, self.cleared = [], self.last

    @property
    def tokens(self) -> int:
        return sum(s.tokens for s in self.summaries) + sum(m.tokens for m in self.live)

    def numbers(self) -> list[int]:
        covered = [seq for s in self.summaries for seq in range(s.first, s.last + 1)]
        return sorted(covered + [message.seq for message in self.live])


def test_fifty_long_messages_are_summarized_twice() -> None:
    talk = Talk()
    for _ in range(50):
        talk.add(LONG)
    assert talk.triggers == [25, 42]
    assert (len(talk.summaries), len(talk.live), talk.tokens) == (2, 16, 1908)


def test_fifty_long_messages_after_ten_short_ones_are_summarized_twice() -> None:
    talk = Talk()
    for number in range(5):
        talk.add(f"Test message {number}")
        talk.add(f"Response {number}", "assistant")
    assert talk.tokens == 35
    for _ in range(50):
        talk.add(LONG)
    assert talk.triggers[0] == 35
    assert (len(talk.summaries), len(talk.live), talk.tokens) == (2, 19, 2259)


def test_the_summary_has_the_documented_text() -> None:
    talk = [line(1, "one two three four five six"), line(2, "fine", "assistant"), line(3, "bye")]
    assert extract(spoken([*talk, line(4, "note", "system"), line(5, "42", "tool")])) == (
        "Previous conversation summary (5 messages):\n"
        "- User messages: 2\n"
        "- Assistant messages: 1\n"
        "- Topics discussed: one two three four five, bye..."
    )


def test_topics_are_the_first_three_different_ones() -> None:
    talk = [line(n, text) for n, text in enumerate(["b", "a", "b", "  ", "d", "e"], 1)]
    assert extract(spoken(talk)).endswith("\n- Topics discussed: b, a, d...")


def test_the_words_of_a_topic_are_joined_by_one_space() -> None:
    assert extract(spoken([line(1, " one\n two\tthree ")])).endswith(": one two three...")


def test_a_summary_of_nothing_still_has_its_form() -> None:
    assert extract([]).endswith(
        "(0 messages):\n- User messages: 0\n- Assistant messages: 0\n- Topics discussed: ..."
    )


@pytest.mark.parametrize(
    ("messages", "tokens", "due"),
    [(10, 2801, True), (10, 2800, False), (9, 4000, False), (500, 2801, True), (0, 0, False)],
)
def test_only_above_the_threshold_and_from_ten_messages_on_is_summarized(
    messages: int, tokens: int, due: bool
) -> None:
    plan = plan_summary(
        SummaryRules(), live_messages=messages, live_tokens=tokens, last_seq=messages
    )
    assert (plan is not None) == due


@pytest.mark.parametrize(("messages", "kept"), [(10, 3), (11, 4), (20, 6), (21, 7), (35, 11)])
def test_three_tenths_stay_word_for_word_rounded_up(messages: int, kept: int) -> None:
    plan = plan_summary(
        SummaryRules(), live_messages=messages, live_tokens=4000, last_seq=100 + messages
    )
    assert plan == Plan(101, 100 + messages - kept, messages - kept, 500)


def test_the_tokens_of_older_summaries_weigh_too() -> None:
    old = [summary(1, 10, "x" * 400)]
    ten = {"live_messages": 10, "last_seq": 20}
    assert plan_summary(SummaryRules(), old, live_tokens=2700, **ten) is None
    assert plan_summary(SummaryRules(), old, live_tokens=2701, **ten) is not None


def test_when_all_is_kept_there_is_nothing_to_summarize() -> None:
    rules = SummaryRules(min_messages=1)
    assert plan_summary(rules, live_messages=1, live_tokens=4000, last_seq=1) is None
    assert plan_summary(rules, live_messages=2, live_tokens=4000, last_seq=2) == Plan(1, 1, 1, 500)


def test_a_talk_may_be_summarized_to_its_end() -> None:
    plan = plan_summary(SummaryRules(keep=0), live_messages=10, live_tokens=4000, last_seq=10)
    assert plan == Plan(1, 10, 10, 500)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"token_limit": 0}, "token_limit is 0; it must be at least 1"),
        ({"min_messages": 0}, "min_messages is 0; it must be at least 1"),
        ({"summary_max_tokens": -1}, "summary_max_tokens is -1; it must be at least 1"),
        ({"max_summaries": 0}, "max_summaries is 0; it must be at least 1"),
        ({"threshold": 0}, "threshold is 0; give a share between 0 and 1"),
        ({"threshold": 1.1}, "threshold is 1.1; give a share between 0 and 1"),
        ({"keep": -0.1}, "keep is -0.1; give a share from 0 to below 1"),
        ({"keep": 1}, "keep is 1; give a share from 0 to below 1"),
    ],
)
def test_rules_that_cannot_work_are_refused(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError) as error:
        SummaryRules(**wrong)
    assert str(error.value) == sentence


def test_rules_may_go_to_their_limits() -> None:
    rules = SummaryRules(1, threshold=1, min_messages=1, keep=0, summary_max_tokens=1)
    assert (rules.token_limit, SummaryRules(max_summaries=1).max_summaries) == (1, 1)


def test_a_summary_knows_what_it_covers() -> None:
    made = Plan(3, 9, 7, 500).accept("They spoke of pizza.", NOW)
    assert made == Summary(3, 9, "They spoke of pizza.", 5, 7, 1, NOW)


def test_a_summary_that_is_too_long_is_cut() -> None:
    made = Plan(1, 9, 9, 10).accept("word " * 100, NOW)
    assert (made.tokens, made.text) == (10, ("word " * 100)[:39] + "…")


class Words:
    name = "words"

    def count(self, text: str) -> int:
        return len(text.split())


def test_a_summary_is_cut_and_counted_with_the_tokenizer_of_its_conversation() -> None:
    made = Plan(1, 9, 9, 2).accept("alphabet betas gamma", NOW, Words())
    assert (made.text, made.tokens) == ("alphabet betas…", 2)


def test_a_summary_of_summaries_is_one_level_higher() -> None:
    old = (summary(1, 4, level=2), summary(5, 9))
    assert Plan(1, 9, 9, 500, old).accept("all", NOW).level == 3


@given(st.text(max_size=200), st.integers(1, 60))
def test_a_cut_text_is_the_longest_beginning_that_fits(text: str, most: int) -> None:
    short = shorten(text, most)
    assert CHARS.count(short) <= most
    assert (short == text) == (CHARS.count(text) <= most)
    if short != text:
        assert short.endswith("…")
        assert text.startswith(short[:-1])
        assert CHARS.count(text[: len(short)] + "…") > most or len(short) == len(text)


def test_summaries_are_folded_when_they_are_many() -> None:
    eight = [summary(n, n) for n in range(1, 9)]
    assert plan_fold(SummaryRules(), eight) is None
    nine = (*eight, summary(9, 9))
    assert plan_fold(SummaryRules(), nine) == Plan(1, 8, 8, 500, nine[:-1])


def test_summaries_are_folded_when_they_take_more_than_half_of_the_room() -> None:
    three = [summary(1, 1), summary(2, 2), summary(3, 5, "x" * 4 * 1398)]
    assert plan_fold(SummaryRules(), three) is None
    three.append(summary(6, 6))
    assert plan_fold(SummaryRules(), three) == Plan(1, 5, 5, 500, tuple(three[:-1]))


def test_two_summaries_are_never_folded() -> None:
    assert plan_fold(SummaryRules(), [summary(1, 1, "x" * 9000), summary(2, 2)]) is None
    assert plan_fold(SummaryRules(max_summaries=1), [summary(1, 1), summary(2, 2)]) is None


def test_a_fold_counts_only_the_messages_that_its_summaries_stand_for() -> None:
    gap = (summary(1, 2), summary(9, 10), summary(11, 11))
    assert plan_fold(SummaryRules(max_summaries=2), gap) == Plan(1, 10, 4, 500, gap[:-1])


def test_a_summary_of_summaries_counts_what_they_stand_for() -> None:
    first = extract(spoken([line(1, "red"), line(2, "no", "assistant"), line(3, "blue")]))
    second = extract(spoken([line(4, "red"), line(5, "green"), line(6, "black")]))
    both = extract([{"role": "system", "content": text} for text in (first, second)])
    assert both == (
        "Previous conversation summary (6 messages):\n- User messages: 5\n"
        "- Assistant messages: 1\n- Topics discussed: red, blue, green..."
    )


def test_a_cut_summary_still_counts_as_all_that_it_stands_for() -> None:
    text = extract(spoken([line(1, "x" * 999), line(2, "no", "assistant")]))
    again = extract([{"role": "system", "content": shorten(text, 60)}])
    assert again.startswith("Previous conversation summary (2 messages):\n- User messages: 1\n")


def test_what_a_person_says_is_never_taken_for_a_summary() -> None:
    text = extract(spoken([line(1, "hi")] * 5))
    assert "(1 messages)" in extract([{"role": "user", "content": text}])


def test_a_new_summary_replaces_those_that_it_was_made_of() -> None:
    old = (summary(1, 4), summary(5, 9), summary(10, 12))
    assert lay(old, summary(1, 9, "all", 2)) == (summary(1, 9, "all", 2), summary(10, 12))


def test_summaries_stay_in_the_order_of_the_conversation() -> None:
    assert lay([summary(5, 9)], summary(1, 4)) == (summary(1, 4), summary(5, 9))


@pytest.mark.parametrize(("first", "last"), [(3, 7), (9, 12), (6, 7), (1, 5), (9, 9)])
def test_a_summary_may_not_cut_another_one_in_two(first: int, last: int) -> None:
    with pytest.raises(UsageError) as error:
        lay([summary(5, 9)], summary(first, last))
    assert "would cut the one of 5 to 9; summarize whole ranges" in str(error.value)


def test_a_window_has_the_summaries_first_as_system_messages() -> None:
    window = build_window([summary(1, 2, "before")], [line(3, "now")])
    assert window == ContextWindow(
        [{"role": "system", "content": "before"}, {"role": "user", "content": "now"}], 3, True, 0
    )


def test_an_empty_conversation_has_an_empty_window() -> None:
    assert build_window([], []) == ContextWindow([], 0, False, 0)


def test_a_window_has_the_newest_twenty_messages_unless_asked_for_more() -> None:
    talk = [line(n, str(n)) for n in range(1, 26)]
    window = build_window([], talk)
    assert [m["content"] for m in window.messages] == [str(n) for n in range(6, 26)]
    assert (window.total_tokens, window.omitted) == (20, 5)
    assert build_window([], talk, max_messages=25).omitted == 0


def test_messages_that_were_not_even_loaded_count_as_omitted() -> None:
    assert build_window([summary(1, 9)], [line(99, "x")], live_messages=90).omitted == 89


def test_a_window_of_no_messages_has_the_summaries_alone() -> None:
    window = build_window([summary(1, 2)], [line(3, "x")], max_messages=0)
    assert (len(window.messages), window.has_summaries, window.omitted) == (1, True, 1)


def test_the_newest_message_comes_before_the_summaries_and_they_before_older_messages() -> None:
    notes = [summary(1, 2, "aaaa"), summary(3, 4, "bbbb")]
    talk = [line(5, "cccc"), line(6, "dddd")]
    chosen = [build_window(notes, talk, token_budget=n).messages for n in range(5)]
    assert ["".join(m["content"][0] for m in messages) for messages in chosen] == [
        "",
        "d",
        "bd",
        "abd",
        "abcd",
    ]


def test_what_does_not_fit_ends_the_window_there() -> None:
    talk = [line(1, "tiny"), line(2, "x" * 400), line(3, "tiny")]
    window = build_window([], talk, token_budget=50)
    assert (len(window.messages), window.omitted) == (1, 2)


def test_when_the_newest_message_does_not_fit_no_older_one_is_shown_as_the_newest() -> None:
    window = build_window([summary(1, 1)], [line(2, "a"), line(3, "x" * 400)], token_budget=50)
    assert (window.messages, window.omitted) == ([{"role": "system", "content": "text"}], 2)


def test_a_message_that_nobody_counted_is_counted_now() -> None:
    uncounted = line(1, "x" * 40).model_copy(update={"tokens": 0})
    assert build_window([], [uncounted]).total_tokens == 10


@pytest.mark.parametrize("wrong", [{"max_messages": -1}, {"token_budget": -1}])
def test_a_negative_window_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"^max_messages and .* of a window cannot be negative$"):
        build_window([], [], **wrong)


steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["user", "assistant", "system", "tool"]), st.text(max_size=30)),
        st.just("clear"),
        st.just("summarize"),
    ),
    max_size=60,
)
small_rules = st.builds(
    SummaryRules,
    token_limit=st.integers(1, 120),
    threshold=st.floats(0.1, 1),
    min_messages=st.integers(1, 12),
    keep=st.floats(0, 0.9),
    summary_max_tokens=st.integers(1, 60),
    max_summaries=st.integers(1, 5),
)


@given(steps, small_rules, st.integers(0, 30), st.none() | st.integers(0, 200))
def test_summaries_and_tail_cover_every_message_exactly_once(
    steps: list[Any], rules: SummaryRules, most: int, budget: int | None
) -> None:
    talk = Talk(rules)
    gone: set[int] = set()
    for step in steps:
        if step == "clear":
            gone |= {message.seq for message in talk.live}
            talk.clear()
        elif step == "summarize":
            talk.summarize()
        else:
            talk.add(step[1], step[0])
    covered = talk.numbers()
    assert len(covered) == len(set(covered))
    assert set(covered) | gone == set(range(1, talk.last + 1))
    assert len(talk.summaries) <= rules.max_summaries + 1 or len(talk.summaries) < 3
    assert all(s.tokens <= rules.summary_max_tokens for s in talk.summaries)
    assert [m.seq for m in talk.live] == list(range(talk.last - len(talk.live) + 1, talk.last + 1))
    standing = sum(s.messages for s in talk.summaries) + len(talk.live) + len(gone)
    assert standing == talk.last
    check_window(talk, most, budget)


def check_window(talk: Talk, most: int, budget: int | None) -> None:
    window = build_window(talk.summaries, talk.live, max_messages=most, token_budget=budget)
    notes = sum(1 for m in window.messages if m["content"] in {s.text for s in talk.summaries})
    words = [m for m in window.messages if m in spoken(talk.live)]
    assert window.total_tokens <= (math.inf if budget is None else budget)
    assert len(window.messages) <= len(talk.summaries) + most
    shown = len(window.messages)
    whole = len(talk.summaries) + len(talk.live)
    assert (window.omitted > 0) == (shown < whole)
    assert notes + len(words) >= shown
