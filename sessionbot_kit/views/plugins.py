"""The plugins of a bot: versions, what they answer to, how often, their errors and their swaps.

PluginRoom(bot)
"""

from collections import Counter

from sessionbot_kit.bot import Bot, answers_to
from sessionbot_kit.events import Failed, HouseEvent, Offered, Said, Swapped
from sessionbot_kit.tables import Table
from sessionbot_kit.views import look
from sessionbot_kit.views.telling import line_of
from sessionbot_kit.views.view import Lines, View

COLUMNS = ("plugin", "version", "answers to", "turns", "errors", "last error")
SWAPS = "Swaps, the newest first"
SWAP_COLUMNS = ("what", "plugin", "details")
HISTORY = 20


class PluginRoom(View):
    """Counts from the moment it was opened; a new version counts anew."""

    title = "plugins"

    def __init__(self, bot: Bot) -> None:
        super().__init__()
        self.bot = bot
        self.turns: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.last_error: dict[str, str] = {}
        self.swaps: Lines[tuple[str, str, str]] = Lines(HISTORY)
        self._offered: dict[str, str] = {}  # turn -> plugin, while it runs
        self._watch = bot.feed.open()
        self.follow(self._watch, self.take_in)
        self.paint()

    def take_in(self, events: list[HouseEvent]) -> None:
        for event in events:
            match event:
                case Offered(turn=turn, plugin=plugin):
                    self._offered[turn] = plugin
                case Said(turn=turn):
                    if plugin_of := self._offered.pop(turn, None):
                        self.turns[plugin_of] += 1
                case Failed(turn=turn, error=error):
                    plugin_of = self._offered.get(turn) or "(a channel)"
                    self.errors[plugin_of] += 1
                    self.last_error[plugin_of] = error
                case Swapped():
                    self._swapped(event)
        self.paint()

    def paint(self) -> None:
        history = look.table(SWAPS, SWAP_COLUMNS, self.history())
        self.show(
            look.page(
                look.table(self._title(), COLUMNS, self.rows()),
                self._graph(),
                history,
            )
        )

    def rows(self) -> list[tuple[object, ...]]:
        return [
            (
                (id := plugin.meta.id),
                plugin.meta.version,
                answers_to(plugin),
                self.turns[id],
                self.errors[id],
                self.last_error.get(id, ""),
            )
            for plugin in self.bot.kernel.registry.all_plugins()
        ]

    def needs(self) -> dict[str, tuple[str, ...]]:
        return {
            plugin.meta.id: (*plugin.meta.dependencies, *plugin.meta.optional_dependencies)
            for plugin in self.bot.kernel.registry.all_plugins()
        }

    def history(self) -> list[tuple[str, str, str]]:
        return self.swaps.newest[::-1]

    def text(self) -> str:
        plugins = Table(self._title(), COLUMNS, self.rows()).text()
        if not self.swaps.newest:
            return plugins
        return f"{plugins}\n\n{Table(SWAPS, SWAP_COLUMNS, self.history()).text()}"

    def static(self) -> str:
        return look.table(self._title(), COLUMNS, self.rows()) + self._graph()

    def close(self) -> None:
        super().close()
        self.bot.feed.close(self._watch)

    def _graph(self) -> str:
        needs = self.needs()
        if not any(needs.values()):
            return ""
        return f"<h4>Who needs whom</h4>{look.graph(needs)}"

    def _title(self) -> str:
        return f"Plugins of {self.bot.name}"

    def _swapped(self, event: Swapped) -> None:
        line = line_of(event)
        self.swaps.add([(line.what, line.who, line.text)])
        if event.error is not None:
            self.errors[event.plugin] += 1
            self.last_error[event.plugin] = event.error
        else:
            del self.turns[event.plugin], self.errors[event.plugin]
            self.last_error.pop(event.plugin, None)
