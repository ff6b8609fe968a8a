"""All views of a bot in tabs."""

from collections.abc import Mapping

import ipywidgets as widgets

from sessionbot_kit.bot import Bot
from sessionbot_kit.views.view import View


class Dashboard(View):
    """One tab a view."""

    title = "dashboard"

    def __init__(self, bot: Bot, views: Mapping[str, View]) -> None:
        super().__init__()
        self.bot = bot
        self.views = dict(views)
        self.widget = widgets.Tab(
            children=[view.widget for view in self.views.values()], titles=tuple(self.views)
        )

    def text(self) -> str:
        return "\n\n".join(view.text() for view in self.views.values())

    def static(self) -> str:
        return "".join(view.static() for view in self.views.values())
