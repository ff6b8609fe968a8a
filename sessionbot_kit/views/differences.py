"""What a shadow would have said, beside what was said.

    attachment = await PluginKernel(tarot).attach(url, token=..., shadow=True)
    views.differences(attachment)

Words that only one side has are marked, in words too: struck out is what the shadow leaves out,
underlined is what it adds.
"""

import difflib
import re

from sessionbot_kit.differences import Difference, Differences
from sessionbot_kit.kernel import Attachment
from sessionbot_kit.tables import safe
from sessionbot_kit.views import look
from sessionbot_kit.views.view import View

COLUMNS = ("", "message", "live", "shadow")


class DifferenceView(View):
    """The last turns that were answered twice, the newest first."""

    title = "differences"

    def __init__(self, attachment: Attachment) -> None:
        super().__init__()
        self.differences = attachment.differences
        self.follow(_Counter(self.differences), lambda _: self.paint())
        self.paint()

    def paint(self) -> None:
        self.show(look.page(self.static()))

    def text(self) -> str:
        return self.differences.table().text()

    def static(self) -> str:
        return look.table("Live and shadow", COLUMNS, self.rows(), note=self._note(), live=True)

    def rows(self) -> list[tuple[object, ...]]:
        return [
            ("same" if one.same else "differs", one.text, *_sides(one))
            for one in reversed(self.differences.kept())
        ]

    def _note(self) -> str:
        seen, same = self.differences.seen, self.differences.same
        return f"{seen:,} turns, {same:,} the same"


class _Counter:
    """How many there were, as something to follow."""

    def __init__(self, differences: Differences) -> None:
        self._differences = differences
        self._seen = differences.seen

    async def next(self) -> int:
        self._seen = await self._differences.more_than(self._seen)
        return self._seen

    def take(self) -> list[int]:
        return []


def _sides(one: Difference) -> tuple[look.Markup, look.Markup]:
    live = "\n".join(one.live) or (f"({one.live_error})" if one.live_error else "(nothing)")
    more = [f"(would do {one.would_do})"] if one.would_do is not None else []
    more += [f"({one.error})"] if one.error is not None else []
    return marked(live, "\n".join([*one.shadow, *more]) or "(nothing)")


def marked(left: str, right: str) -> tuple[look.Markup, look.Markup]:
    """Two texts, with the words marked that only one of them has."""
    left, right = left[: look.LONGEST_TEXT], right[: look.LONGEST_TEXT]
    a, b = (re.findall(r"\s+|[^\s]+", text) for text in (left, right))
    sides: tuple[list[str], list[str]] = ([], [])
    for kind, a0, a1, b0, b1 in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        for side, words, tag in ((sides[0], a[a0:a1], "del"), (sides[1], b[b0:b1], "ins")):
            text = safe("".join(words))
            side.append(text if kind == "equal" or not text else f"<{tag}>{text}</{tag}>")
    return look.Markup("".join(sides[0])), look.Markup("".join(sides[1]))
