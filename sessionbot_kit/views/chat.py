"""A chat box: what a person and the bot say to each other, and a field to say more.

    ChatBox(bot)                      # you
    ChatBox(bot, user="ada")          # somebody else: a second conversation, side by side

It shows the conversation, not the widget's own calls: what `bot.hear` says in a cell appears too.
The one rule to remember: Enter and the button send; leaving the field does not.
"""

import asyncio
from typing import Any

import ipywidgets as widgets

from sessionbot_kit.bot import Bot
from sessionbot_kit.errors import KitError
from sessionbot_kit.events import Failed, HouseEvent, Received, Said, Stepped
from sessionbot_kit.views import look
from sessionbot_kit.views.telling import said
from sessionbot_kit.views.view import Lines, View

ENTER_S = 0.15  # the field's text may follow the key in a message of its own


class ChatBox(View):
    """One person's conversation with the bot."""

    title = "chat"

    def __init__(self, bot: Bot, user: str = "you") -> None:
        super().__init__()
        self.bot = bot
        self.user = user
        self.lines: Lines[tuple[str, str, str]] = Lines()  # kind, who, text
        self._session: str | None = None
        self._open: set[str] = set()  # turns that are not over
        self._entered = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self.field = widgets.Text(
            placeholder=f"Say something to {bot.name} as {user}, then press Enter",
            continuous_update=False,
            layout=widgets.Layout(flex="1 1 12em", width="auto", min_width="8em"),
        )
        self.button = widgets.Button(description="Send", layout=widgets.Layout(width="6em"))
        row = widgets.HBox([self.field, self.button], layout=widgets.Layout(flex_flow="row wrap"))
        self.widget = widgets.VBox([self.html, row], layout=widgets.Layout(max_width="46em"))
        self.widget.add_class("sbk-chat")
        self._listen()
        self.paint()

    def paint(self) -> None:
        rows = [
            look.bubble(who, text, mine=kind == "heard", bad=kind == "failed")
            for kind, who, text in self.lines.newest
        ]
        if self._open:
            rows.append('<p class="sbk-dim">… is answering</p>')
        if not rows:
            rows.append(f'<p class="sbk-dim">{look.words(self._greeting())}</p>')
        label = f"Conversation of {self.user} with {self.bot.name}"
        self.show(look.page(look.log(label, rows, older=self.lines.older)))

    def text(self) -> str:
        head = f"Chat of {self.user} with {self.bot.name}"
        return "\n".join([head, *(f"{who}: {text}" for _, who, text in self.lines.newest)])

    def static(self) -> str:
        rows = [(who, text) for _, who, text in self.lines.newest]
        return look.table(f"Chat of {self.user} with {self.bot.name}", ("who", "says"), rows)

    async def say(self, text: str) -> None:
        """Say something as this person; the answer appears when it is there."""
        try:
            await self.bot.hear(text, user=self.user)
        except KitError as error:
            self.lines.add([("failed", self.bot.name, str(error))])
            self.paint()

    def take_in(self, events: list[HouseEvent]) -> None:
        """Take in what has happened, and paint."""
        for event in events:
            self._take(event)
        self.paint()

    def _take(self, event: HouseEvent) -> None:
        if isinstance(event, Received) and event.message.sender_id == self.user:
            self._session = event.session
            self._open.add(event.turn)
            self.lines.add([("heard", self.user, event.message.content)])
        if event.session != self._session or self._session is None:
            return
        if isinstance(event, Stepped | Said) and (words := said(event.replies)):
            self.lines.add([("said", self.bot.name, words)])
        if isinstance(event, Failed):
            self.lines.add([("failed", self.bot.name, event.error)])
        if isinstance(event, Said):
            self._open.discard(event.turn)

    def _greeting(self) -> str:
        plugins = self.bot.kernel.registry.routes()
        prefixes = sorted({prefix for route in plugins for prefix in route.prefixes})
        return f"Nothing said yet. Try {prefixes[0]}" if prefixes else "Nothing said yet."

    def _listen(self) -> None:
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            self.field.disabled = self.button.disabled = True
            return
        self.follow(self.bot.feed.open(), self.take_in)
        self.field.on_msg(self._from_the_page)
        self.field.observe(self._field_changed, "value")
        self.button.on_click(lambda _: self._send_soon())

    def _from_the_page(self, _: object, content: dict[str, Any], __: object) -> None:
        if content.get("event") == "submit":  # the Enter key
            self._send_soon()

    def _field_changed(self, change: dict[str, Any]) -> None:
        # Leaving the field changes its value too; then nobody has pressed Enter.
        if self._entered and change["new"]:
            self._send()

    def _send_soon(self) -> None:
        self._entered = True
        self._on_loop(lambda: asyncio.get_running_loop().call_later(ENTER_S, self._send_late))

    def _send_late(self) -> None:
        if self._entered and self.field.value:
            self._send()
        self._entered = False

    def _send(self) -> None:
        text, self._entered = self.field.value, False
        self.field.value = ""
        self._on_loop(lambda: self.start(self.say(text), "saying"))

    def _on_loop(self, work: Any) -> None:
        # JupyterLab may call from a thread of its own.
        if self._loop is not None:
            self._loop.call_soon_threadsafe(work)
