"""Widgets that watch a bot: a chat, what happens, conversations, plugins, the wire, the outbox.

    from sessionbot_kit import views

    views.chat(bot)                   # talk to it; also what a bot shows as a cell's last line
    views.chat(bot, user="ada")
    views.feed(bot)                   # everything that happens
    views.sessions(bot)               # look into conversations, fork them
    views.plugins(bot)                # versions, errors, swaps, who needs whom
    views.wire(bot)  views.outbox(bot)  views.health(bot)
    views.dashboard(bot)              # all of these
    views.differences(attachment)     # what a shadow would have said

They are plain ipywidgets: nothing is fetched from anywhere, and where there are no widgets each
has a text and a static table. Asking twice gives the same view, so that a cell run again, or a
second cell, shows one thing twice. The one rule to remember: a view shows, it never decides;
nothing in the house knows that it is there.
"""

from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from sessionbot_kit.bot import Bot
from sessionbot_kit.kernel import Attachment
from sessionbot_kit.views.chat import ChatBox
from sessionbot_kit.views.dashboard import Dashboard
from sessionbot_kit.views.differences import DifferenceView
from sessionbot_kit.views.feed import LiveFeed
from sessionbot_kit.views.health import HealthView
from sessionbot_kit.views.outbox import OutboxView
from sessionbot_kit.views.plugins import PluginRoom
from sessionbot_kit.views.sessions import SessionExplorer
from sessionbot_kit.views.view import View
from sessionbot_kit.views.wire import WireView

__all__ = [
    "View",
    "chat",
    "close",
    "dashboard",
    "differences",
    "feed",
    "health",
    "outbox",
    "plugins",
    "register",
    "sessions",
    "wire",
    "withdraw",
]

Kind = TypeVar("Kind", bound=View)

_open: WeakKeyDictionary[object, dict[tuple[object, ...], View]] = WeakKeyDictionary()


def chat(bot: Bot, user: str = "you") -> ChatBox:
    """A conversation of `user` with the bot."""
    return _the(bot, ChatBox, user)


def feed(bot: Bot, session: str | None = None) -> LiveFeed:
    """Everything that happens, in one conversation or in all."""
    return _the(bot, LiveFeed, session)


def sessions(bot: Bot) -> SessionExplorer:
    """The conversations, and one of them from near."""
    return _the(bot, SessionExplorer)


def plugins(bot: Bot) -> PluginRoom:
    """The plugins: versions, routes, errors, swaps, and who needs whom."""
    return _the(bot, PluginRoom)


def wire(bot: Bot) -> WireView:
    """What crosses between the gateway and kernels of other processes."""
    return _the(bot, WireView, bot.wire if bot.running else None)  # another port is another view


def outbox(bot: Bot) -> OutboxView:
    """Replies that wait, and dead letters."""
    return _the(bot, OutboxView)


def health(bot: Bot) -> HealthView:
    """Lag, queues and rates."""
    return _the(bot, HealthView)


def differences(attachment: Attachment) -> DifferenceView:
    """What a shadow would have said, beside what was said."""
    return _the(attachment, DifferenceView)


def dashboard(bot: Bot) -> Dashboard:
    """All views, in tabs."""
    return _the(
        bot,
        Dashboard,
        make=lambda: Dashboard(
            bot,
            {
                "Chat": chat(bot),
                "Feed": feed(bot),
                "Sessions": sessions(bot),
                "Plugins": plugins(bot),
                "Wire": wire(bot),
                "Outbox": outbox(bot),
                "Health": health(bot),
            },
        ),
    )


def close(watched: object) -> None:
    """Stop all views of a bot, or of a shadow, from following it."""
    for view in _open.pop(watched, {}).values():
        view.close()


def register(shell: Any) -> None:
    """From now on a bot that is the last line of a cell shows its chat."""
    formatter = shell.display_formatter.mimebundle_formatter
    formatter.for_type(Bot, lambda bot: chat(bot)._repr_mimebundle_())


def withdraw(shell: Any) -> None:
    """A bot that is the last line of a cell shows its name again."""
    shell.display_formatter.mimebundle_formatter.pop(Bot, None)


def _the(
    watched: object, kind: type[Kind], *which: object, make: Callable[[], Kind] | None = None
) -> Kind:
    views = _open.setdefault(watched, {})
    view = views.get((kind, *which))
    if not isinstance(view, kind):
        view = make() if make is not None else kind(watched, *which)  # type: ignore[call-arg]  # each takes its bot
        views[kind, *which] = view
    return view
