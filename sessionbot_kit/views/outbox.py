"""What is on its way to channels, and what they never took.

    OutboxView(bot)

The one rule to remember: *retry* begins again as if nothing had been tried; *drop* is for good.
"""

import ipywidgets as widgets

from sessionbot_kit.bot import Bot
from sessionbot_kit.events import HouseEvent
from sessionbot_kit.store import OutboxRow
from sessionbot_kit.tables import Table
from sessionbot_kit.views import look
from sessionbot_kit.views.telling import said
from sessionbot_kit.views.view import View, choose, on_loop

COLUMNS = ("state", "channel", "chat", "text", "tries", "error")


class OutboxView(View):
    """Replies that wait, then dead letters, with what to do about them."""

    title = "outbox"

    def __init__(self, bot: Bot) -> None:
        super().__init__()
        self.bot = bot
        self.waiting: list[OutboxRow] = []
        self.dead: list[OutboxRow] = []
        self.choice = widgets.Dropdown(
            options=[], description="letter", layout=widgets.Layout(flex="1 1 20em", width="auto")
        )
        self.retry = widgets.Button(description="Retry", tooltip="Send it once more")
        self.drop = widgets.Button(description="Drop", tooltip="Forget it for good")
        self.retry.on_click(on_loop(self.retry_it, self))
        self.drop.on_click(on_loop(self.drop_it, self))
        self.buttons = widgets.HBox(
            [self.choice, self.retry, self.drop], layout=widgets.Layout(flex_flow="row wrap")
        )
        self.widget = widgets.VBox(
            [self.html, self.buttons], layout=widgets.Layout(max_width="62em")
        )
        self._watch = bot.feed.open()
        self.start(self.refresh(), "first look")
        self.follow(self._watch, self.take_in)
        self.paint()

    async def refresh(self) -> None:
        """Read the outbox again."""
        if not self.bot.running:
            return
        gateway = self.bot.gateway
        self.waiting = gateway.courier.waiting()[:100]
        self.dead = await gateway.store.dead_letters()
        options = [
            (f"{row.message.channel_id}: {said([row.message])[:40]}", row.id) for row in self.dead
        ]
        choose(self.choice, options)
        self.paint()

    async def take_in(self, events: list[HouseEvent]) -> None:
        await self.refresh()

    async def retry_it(self) -> None:
        """Send the chosen dead letter once more."""
        if self.choice.value is not None:
            await self.bot.gateway.retry(self.choice.value)
            await self.refresh()

    async def drop_it(self) -> None:
        """Forget the chosen dead letter."""
        if self.choice.value is not None:
            await self.bot.gateway.store.drop(self.choice.value)
            await self.refresh()

    def paint(self) -> None:
        self.buttons.layout.display = "flex" if self.dead else "none"
        self.show(look.page(look.table(self._title(), COLUMNS, self.rows())))

    def rows(self) -> list[tuple[object, ...]]:
        return [
            (
                state,
                row.message.channel_type,
                row.message.channel_id,
                said([row.message]),
                row.attempts,
                row.error or "",
            )
            for state, rows in (("dead", self.dead), ("waits", self.waiting))
            for row in rows
        ]

    def text(self) -> str:
        return Table(self._title(), COLUMNS, self.rows()).text()

    def static(self) -> str:
        return look.table(self._title(), COLUMNS, self.rows())

    def close(self) -> None:
        super().close()
        self.bot.feed.close(self._watch)

    def _title(self) -> str:
        return f"Outbox of {self.bot.name}"
