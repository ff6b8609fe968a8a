"""Everything that happens in the house, as it happens.

    LiveFeed(bot)                     # of all conversations
    LiveFeed(bot, session=some.id)    # of one

It keeps the newest 200 rows and says how many there were before.
"""

from collections import OrderedDict
from typing import Final

from sessionbot_kit.bot import Bot
from sessionbot_kit.events import HouseEvent, Received
from sessionbot_kit.models import IncomingMessage
from sessionbot_kit.tables import Table
from sessionbot_kit.views import look
from sessionbot_kit.views.telling import COLUMNS, Line, line_of
from sessionbot_kit.views.view import Lines, View

MOST_NAMES: Final = 1_000


class LiveFeed(View):
    """The newest events, the newest first."""

    title = "feed"

    def __init__(self, bot: Bot, session: str | None = None) -> None:
        super().__init__()
        self.bot = bot
        self.lines: Lines[Line] = Lines()
        self._watch = bot.feed.open(session)
        self._lost = 0
        self._names: OrderedDict[str, str] = OrderedDict()  # of sessions that have spoken
        self.follow(self._watch, self.take_in)
        self.paint()

    def take_in(self, events: list[HouseEvent]) -> None:
        self.lines.older += self._watch.lost - self._lost
        self._lost = self._watch.lost
        for event in events:
            if isinstance(event, Received):
                self._learn(event.session, event.message)
        lines = map(line_of, events)
        self.lines.add([line._replace(session=self._name(line.session)) for line in lines])
        self.paint()

    def paint(self) -> None:
        self.show(
            look.page(
                look.table(self._title(), COLUMNS, self._rows(), note=self._note(), live=True)
            )
        )

    def text(self) -> str:
        return Table(self._title(), COLUMNS, self.lines.newest[-20:], self._note()).text()

    def static(self) -> str:
        return look.table(self._title(), COLUMNS, self._rows(), note=self._note())

    def close(self) -> None:
        super().close()
        self.bot.feed.close(self._watch)

    def _learn(self, session: str, message: IncomingMessage) -> None:
        self._names[session] = f"{message.channel_type}/{message.channel_id}"
        self._names.move_to_end(session)
        if len(self._names) > MOST_NAMES:
            self._names.popitem(last=False)

    def _name(self, session: str) -> str:
        return self._names.get(session, session)

    def _title(self) -> str:
        return f"What happens in {self.bot.name}"

    def _rows(self) -> list[Line]:
        return self.lines.newest[::-1]

    def _note(self) -> str:
        return f"… {self.lines.older:,} older" if self.lines.older else ""
