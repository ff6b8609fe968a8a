"""A view: a widget that follows the house, and reads well where there are no widgets.

    class LiveFeed(View): ...
    feed = LiveFeed(bot)
    feed                    # the last line of a cell; a widget in a notebook, a text elsewhere
    feed.close()

A view paints at once when something happens, then waits a tenth of a second and paints all that
came meanwhile: however much happens, it costs ten updates a second. The one rule to remember: a
view never prints and never holds up the house; what it cannot show in time it counts.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Generic, Protocol, TypeVar

import ipywidgets as widgets

from sessionbot_kit.crew import Crew

PAINT_EVERY_S = 0.1
MOST_ROWS = 200

Item = TypeVar("Item")


class Source(Protocol[Item]):
    """What can be followed: a watch of the feed, a listener on the wire."""

    async def next(self) -> Item: ...
    def take(self) -> list[Item]: ...


class View:
    """What all views have in common. Subclasses paint, and say what they show in plain words."""

    title = "View"

    def __init__(self) -> None:
        self.html = widgets.HTML()
        self.widget: widgets.Widget = self.html
        self.paints = 0
        self._crew = Crew(f"view {self.title}")
        self._painted = ""
        self._catch_up: list[Callable[[], None]] = []

    def close(self) -> None:
        """Stop following; what is shown stays as it is."""
        self._crew.cancel()

    def text(self) -> str:
        """The same in plain words: the text of a cell, of a log, of a diff."""
        raise NotImplementedError

    def static(self) -> str:
        """The same as HTML without a widget, for pages that only show notebooks."""
        return f"<pre>{self.text()}</pre>"

    def show(self, html: str) -> None:
        """Put HTML into the widget, if it is new."""
        if html != self._painted:
            self._painted = html
            self.paints += 1
            self.html.value = html

    def follow(self, source: Source[Item], take_in: Callable[[list[Item]], object]) -> None:
        """Paint what comes from a source, at most ten times a second."""

        async def following() -> None:
            while True:
                news = [await source.next(), *source.take()]
                painted = take_in(news)
                if isinstance(painted, Awaitable):
                    await painted
                await asyncio.sleep(PAINT_EVERY_S)

        def catch_up() -> None:
            if news := source.take():
                take_in(news)

        if not inspect.iscoroutinefunction(take_in):
            self._catch_up.append(catch_up)
        self.start(following(), "following")

    def catch_up(self) -> None:
        """Take in what has happened up to now, before the next tenth of a second."""
        for catch_up in self._catch_up:
            catch_up()

    def start(self, work: Coroutine[Any, Any, Any], what: str) -> None:
        """Do something beside; without a running loop there is no beside, and nothing is done."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            work.close()
            return
        self._crew.start(work, what)

    def __repr__(self) -> str:
        self.catch_up()
        return self.text()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        self.catch_up()
        bundle = dict(self.widget._repr_mimebundle_() or {})
        return bundle | {"text/plain": self.text(), "text/html": self.static()}


class Lines(Generic[Item]):
    """The newest so many, and how many there were before them."""

    def __init__(self, most: int = MOST_ROWS) -> None:
        self.older = 0
        self.newest: list[Item] = []
        self._most = most

    def add(self, items: list[Item]) -> None:
        self.newest += items
        if (more := len(self.newest) - self._most) > 0:
            self.older += more
            del self.newest[:more]


def on_loop(work: Callable[[], Coroutine[Any, Any, Any]], view: View) -> Callable[[object], None]:
    """A callback for a widget. JupyterLab may call it in a thread of its own: the loop is ours."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return lambda _: None

    def called(_: object) -> None:
        loop.call_soon_threadsafe(lambda: view.start(work(), "a button"))

    return called


def choose(widget: Any, options: Sequence[tuple[str, object]], *, newest: bool = False) -> None:
    """Give a list its options, and keep what was chosen if it is still there."""
    if list(options) == list(widget.options):
        return
    values = [value for _, value in options]
    before = widget.value
    widget.options = options
    if newest or before not in values:
        before = values[-1 if newest else 0] if values else None
    widget.value = before
