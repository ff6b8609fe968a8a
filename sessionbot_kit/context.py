"""What a language model gets to read of a conversation: tokens, the window, summaries.

    rules = SummaryRules(token_limit=4000)
    plan = plan_summary(rules, live_messages=25, live_tokens=2875, last_seq=25)
    text = extract(messages[plan.first - 1 : plan.last])      # or let a language model write it
    summaries = lay(summaries, plan.accept(text, now))
    window = build_window(summaries, live, max_messages=20, token_budget=3000)

A conversation is numbered 1, 2, 3 ... and never loses a number. A summary names the numbers that it
stands for; the messages after the last summary are *live*. The one rule to remember: **every
message is either live or covered by exactly one summary, and what a window leaves out of both, it
counts in `omitted`.**
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sessionbot_kit.errors import UsageError
from sessionbot_kit.models import StoredMessage
from sessionbot_kit.tokenizer import CHARS, Tokenizer

HEADING = "Previous conversation summary"
TOPICS = 3
TOPIC_WORDS = 5

_SUMMARY = re.compile(
    rf"{HEADING} \((\d+) messages\):\n"
    r"- User messages: (\d+)\n- Assistant messages: (\d+)\n- Topics discussed: (.*)(?:\.\.\.|…)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Summary:
    """A text that stands for the messages `first` to `last`; level 2 was made of summaries."""

    first: int
    last: int
    text: str
    tokens: int
    messages: int
    level: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class SummaryRules:
    """When a conversation is summarized, and how much of it stays word for word."""

    token_limit: int = 4000
    threshold: float = 0.7
    min_messages: int = 10
    keep: float = 0.3
    summary_max_tokens: int = 500
    max_summaries: int = 8

    def __post_init__(self) -> None:
        for name in ("token_limit", "min_messages", "summary_max_tokens", "max_summaries"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not 0 < self.threshold <= 1:
            raise UsageError(f"threshold is {self.threshold}; give a share between 0 and 1")
        if not 0 <= self.keep < 1:
            raise UsageError(f"keep is {self.keep}; give a share from 0 to below 1")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to summarize next: the messages `first` to `last`, or, if it has some, `summaries`."""

    first: int
    last: int
    messages: int
    max_tokens: int
    summaries: tuple[Summary, ...] = ()

    def accept(self, text: str, created_at: datetime, counter: Tokenizer = CHARS) -> Summary:
        """Make a summary of the text that somebody wrote; what is too long is cut."""
        text = shorten(text, self.max_tokens, counter)
        level = 1 + max((summary.level for summary in self.summaries), default=0)
        tokens = counter.count(text)
        return Summary(self.first, self.last, text, tokens, self.messages, level, created_at)


def plan_summary(
    rules: SummaryRules,
    summaries: Sequence[Summary] = (),
    *,
    live_messages: int,
    live_tokens: int,
    last_seq: int,
) -> Plan | None:
    """Summarize the oldest live messages? Only above the threshold, and not a short talk."""
    tokens = live_tokens + sum(summary.tokens for summary in summaries)
    if tokens / rules.token_limit <= rules.threshold or live_messages < rules.min_messages:
        return None
    count = live_messages - math.ceil(rules.keep * live_messages)
    if count == 0:
        return None
    first = last_seq - live_messages + 1
    return Plan(first, first + count - 1, count, rules.summary_max_tokens)


def plan_fold(rules: SummaryRules, summaries: Sequence[Summary]) -> Plan | None:
    """Make one summary of all but the newest, when they are many or take half of the room."""
    tokens = sum(summary.tokens for summary in summaries)
    heavy = tokens > rules.token_limit * rules.threshold / 2
    if len(summaries) < 3 or not (heavy or len(summaries) > rules.max_summaries):
        return None
    old = tuple(summaries[:-1])
    messages = sum(summary.messages for summary in old)
    return Plan(old[0].first, old[-1].last, messages, rules.summary_max_tokens, old)


def lay(summaries: Iterable[Summary], new: Summary) -> tuple[Summary, ...]:
    """Add a summary; it replaces those that it was made of, and may not cut one in two."""
    kept = [old for old in summaries if not (new.first <= old.first and old.last <= new.last)]
    for old in kept:
        if old.first <= new.last and new.first <= old.last:
            raise UsageError(
                f"a summary of {new.first} to {new.last} would cut the one of "
                f"{old.first} to {old.last}; summarize whole ranges"
            )
    return tuple(sorted([*kept, new], key=lambda summary: summary.first))


def shorten(text: str, max_tokens: int, counter: Tokenizer = CHARS) -> str:
    """The longest beginning that has at most so many tokens; a cut shows as an ellipsis."""
    if counter.count(text) <= max_tokens:
        return text
    low, high = 0, len(text) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if counter.count(text[:middle] + "…") <= max_tokens:
            low = middle
        else:
            high = middle - 1
    return text[:low] + "…"


def extract(messages: Iterable[Mapping[str, str]]) -> str:
    """Summarize without a model: who said how much, and how the first topics began.

    A message that is itself such a summary counts as all that it stands for.
    """
    tally = _Tally()
    for message in messages:
        role, content = message["role"], message["content"]
        if role == "system" and (found := _SUMMARY.fullmatch(content)):
            tally.add(*(int(number) for number in found.group(1, 2, 3)))
            tally.topics += [topic for topic in found[4].split(", ") if topic]
            continue
        tally.add(1, role == "user", role == "assistant")
        if role == "user" and (words := content.split()[:TOPIC_WORDS]):
            tally.topics.append(" ".join(words))
    topics = ", ".join(list(dict.fromkeys(tally.topics))[:TOPICS])
    return (
        f"{HEADING} ({tally.messages} messages):\n- User messages: {tally.user}\n"
        f"- Assistant messages: {tally.assistant}\n- Topics discussed: {topics}..."
    )


@dataclass(slots=True)
class _Tally:
    messages: int = 0
    user: int = 0
    assistant: int = 0
    topics: list[str] = field(default_factory=list)

    def add(self, messages: int, user: int, assistant: int) -> None:
        self.messages += messages
        self.user += user
        self.assistant += assistant


@dataclass(frozen=True, slots=True)
class ContextWindow:
    """What goes into a prompt. `omitted` counts the messages that it neither has nor sums up."""

    messages: list[dict[str, str]] = field(default_factory=list)
    total_tokens: int = 0
    has_summaries: bool = False
    omitted: int = 0


def build_window(
    summaries: Sequence[Summary],
    live: Sequence[StoredMessage],
    *,
    live_messages: int | None = None,
    max_messages: int = 20,
    token_budget: int | None = None,
    counter: Tokenizer = CHARS,
) -> ContextWindow:
    """Choose what fits: the newest message, then summaries, then older messages, newest first.

    `live` may be only the newest of the `live_messages`. The summaries come out first, as system
    messages. What was chosen is never dearer than the budget.
    """
    if max_messages < 0 or (token_budget is not None and token_budget < 0):
        raise UsageError("max_messages and token_budget of a window cannot be negative")
    room = math.inf if token_budget is None else token_budget
    said = [
        (message.tokens or counter.count(message.content), message.role, message.content)
        for message in reversed(live[max(0, len(live) - max_messages) :])
    ]
    newest = _fitting([tokens for tokens, _, _ in said[:1]], room)
    room -= sum(tokens for tokens, _, _ in said[:newest])
    notes = _fitting([summary.tokens for summary in reversed(summaries)], room)
    kept = tuple(summaries[len(summaries) - notes :])
    room -= sum(summary.tokens for summary in kept)
    older = _fitting([tokens for tokens, _, _ in said[1:]], room) if newest else 0
    chosen = said[: newest + older][::-1]
    texts = [("system", summary.text) for summary in kept]
    texts += [(role, content) for _, role, content in chosen]
    everything = sum(summary.messages for summary in summaries)
    everything += len(live) if live_messages is None else live_messages
    return ContextWindow(
        messages=[{"role": role, "content": content} for role, content in texts],
        total_tokens=sum(s.tokens for s in kept) + sum(tokens for tokens, _, _ in chosen),
        has_summaries=bool(kept),
        omitted=everything - sum(summary.messages for summary in kept) - len(chosen),
    )


def _fitting(costs: Sequence[int], room: float) -> int:
    """How many of these fit, in this order and without a gap."""
    for number, cost in enumerate(costs):
        room -= cost
        if room < 0:
            return number
    return len(costs)
