"""The conversations of a bot: choose one, look into it, try another end.

    SessionExplorer(bot)

The list is the newest hundred; what is chosen shows its lines, its tokens, its summaries, its
variables and the dialog that is open. A line can be chosen too: *fork* copies the conversation up
to it, *again* says it once more to such a copy. The one rule to remember: looking changes nothing;
both buttons work on a copy.
"""

from typing import Any

import ipywidgets as widgets
from pydantic import JsonValue

from sessionbot_kit.bot import Bot
from sessionbot_kit.errors import KitError
from sessionbot_kit.events import HouseEvent
from sessionbot_kit.journal import Journal
from sessionbot_kit.models import SessionKey
from sessionbot_kit.sessions import Conversation, SessionTable
from sessionbot_kit.sessions.conversation import spelled
from sessionbot_kit.tables import Table, shown
from sessionbot_kit.views import look
from sessionbot_kit.views.view import View, choose, on_loop

SHOWN_LINES = 60
COLUMNS = ("session", "state", "messages", "tokens")


class SessionExplorer(View):
    """A list of conversations and, beside it, one of them."""

    title = "sessions"

    def __init__(self, bot: Bot) -> None:
        super().__init__()
        self.bot = bot
        self.sessions = SessionTable()
        self.chosen: Conversation | None = None
        self.journals: list[Journal] = []
        self.said = ""  # what the last button did
        wide = widgets.Layout(width="auto", flex="1 1 20em", min_width="12em")
        self.list = widgets.Select(options=[], rows=6, layout=widgets.Layout(width="auto"))
        self.list.add_class("sbk-sessions")
        self.line = widgets.Dropdown(options=[], description="line", layout=wide)
        self.fork = widgets.Button(description="Fork from here", tooltip="Copy up to this line")
        self.again = widgets.Button(description="Say it again", tooltip="To a copy from before it")
        self.list.observe(self._listed, "value")
        self.fork.on_click(on_loop(self.fork_here, self))
        self.again.on_click(on_loop(self.say_again, self))
        buttons = widgets.HBox(
            [self.line, self.fork, self.again], layout=widgets.Layout(flex_flow="row wrap")
        )
        self.widget = widgets.VBox(
            [self.list, self.html, buttons], layout=widgets.Layout(max_width="62em")
        )
        self._choose_soon = on_loop(self._choose, self)
        self._watch = bot.feed.open()
        self.start(self.refresh(), "first look")
        self.follow(self._watch, self.take_in)
        self.paint()

    async def refresh(self) -> None:
        """Read the list, and the one that is chosen, again."""
        if not self.bot.running:
            return
        self.sessions = await self.bot.sessions.list(limit=100)
        options = [
            (_label(session.key, session.totals.messages), session.id) for session in self.sessions
        ]
        choose(self.list, options)
        await self._choose()

    async def take_in(self, events: list[HouseEvent]) -> None:
        await self.refresh()

    async def fork_here(self) -> None:
        """Copy the conversation up to the chosen line."""
        if self.chosen is None or self.line.value is None:
            return
        copy = await self.bot.sessions.fork(self.chosen.id, at=self.line.value)
        self.said = (
            f"Line {self.line.value} of session {self.chosen.seq} is now session {copy.seq}."
        )
        await self.refresh()

    async def say_again(self) -> None:
        """Say a line once more, to a copy of the conversation as it was before it."""
        if self.chosen is None or self.line.value is None:
            return
        lines = {line.seq: line for line in self.chosen.messages}
        line = lines[self.line.value]
        if line.role != "user":
            self.said = f"Line {line.seq} is not what a person said; choose one of theirs."
            return self.paint()
        copy = await self._copy_before(line.seq)
        try:
            answers = await self.bot.hear(line.content, user=copy.user, chat=copy.chat)
        except KitError as error:
            answers = [str(error)]
        self.said = f"{spelled(copy)}: {line.content!r} → {' | '.join(answers) or '(nothing)'}"
        await self.refresh()

    async def _copy_before(self, seq: int) -> SessionKey:
        assert self.chosen is not None
        name = f"again-{self.chosen.seq}-{seq}"
        key = SessionKey(self.bot.name, "loopback", name, name)
        if (old := await self.bot.sessions.get_session(key)) is not None:
            await self.bot.sessions.deactivate(old.id)
        await self.bot.sessions.fork(self.chosen.id, at=seq - 1, key=key)
        return key

    def paint(self) -> None:
        self.show(look.page(*self._parts()))

    def text(self) -> str:
        return Table(self._title(), COLUMNS, self.rows()).text()

    def static(self) -> str:
        return look.table(self._title(), COLUMNS, self.rows())

    def rows(self) -> list[tuple[object, ...]]:
        """The list, without a time of day: the same conversations read the same in every run."""
        return [
            (spelled(one.key), one.state, one.totals.messages, one.totals.tokens)
            for one in self.sessions
        ]

    def _title(self) -> str:
        return f"Conversations of {self.bot.name}"

    def close(self) -> None:
        super().close()
        self.bot.feed.close(self._watch)

    def _parts(self) -> list[str]:
        chosen = self.chosen
        if chosen is None:
            return ['<p class="sbk-dim">No conversation yet. Say something to the bot.</p>']
        parts = [
            f"<h4>{look.words(spelled(chosen.key))}, {chosen.state}</h4>",
            f"<div>{look.gauge(chosen.total_tokens, chosen.token_limit, 'tokens')}</div>",
            self._lines(chosen),
        ]
        if chosen.variables:
            parts.append(look.table("Variables", ("name", "value"), _pairs(chosen.variables)))
        for journal in self.journals:
            parts.append(_dialog(journal))
        if self.said:
            parts.append(f'<p role="status">{look.words(self.said)}</p>')
        return parts

    def _lines(self, chosen: Conversation) -> str:
        rows: list[tuple[object, ...]] = [
            (f"{summary.first}-{summary.last}", "summary", summary.text, summary.tokens)
            for summary in chosen.summaries
        ]
        rows += [
            (str(line.seq), line.role, line.content, line.tokens)
            for line in chosen.messages[-SHOWN_LINES:]
        ]
        return look.table("Lines", ("#", "who", "text", "tokens"), rows, live=True)

    def _listed(self, change: dict[str, Any]) -> None:
        self._choose_soon(change)

    async def _choose(self) -> None:
        id = self.list.value
        if id is None or not self.bot.running:
            return
        self.chosen = await self.bot.sessions.get_session(id)
        self.journals = await self.bot.gateway.store.journals(id)
        if self.chosen is not None:
            lines = [
                (f"{line.seq} {line.role}: {line.content[:40]}", line.seq)
                for line in self.chosen.messages
            ]
            choose(self.line, lines, newest=True)
        self.paint()


def _label(key: SessionKey, messages: int) -> str:
    return f"{spelled(key)}: {messages} messages"


def _pairs(values: Any) -> list[tuple[str, str]]:
    return [(name, _short(value)) for name, value in values.items()]


def _dialog(journal: Journal) -> str:
    rows = [(entry.kind, entry.name, _short(entry.value)) for entry in journal.entries]
    state = "waits for an answer" if journal.open else "runs"
    title = f"Dialog of {journal.plugin}, {state}"
    return look.table(title, ("step", "name", "what came of it"), rows)


def _short(value: JsonValue) -> str:
    text = shown(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
