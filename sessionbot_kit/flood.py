"""What happens to messages that come too fast: they are kept, and the first of them is answered.

    flood = Flood(sessions.admit, uncounted=("loopback",))
    flood.refusal(session_id, "telegram")     # None: welcome
    flood.refusal(session_id, "telegram")     # "That was quick. ...": to be said once
    flood.refusal(session_id, "telegram")     # "": nothing to say, the line is kept all the same

The one rule to remember: who is told to wait is told once, until one of their messages is let in
again; an answer to each would be a second flood.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Final

from sessionbot_kit.errors import RateLimited

MAX_TOLD: Final = 10_000

TOO_FAST: Final = (
    "That was quick. I have kept what you wrote, and I answer again in {seconds} s; "
    "please send it again then."
)


class Flood:
    """Counts what comes in, session by session."""

    def __init__(self, admit: Callable[[str], None], *, uncounted: Collection[str] = ()) -> None:
        self._admit = admit
        self._uncounted = uncounted
        self._told: OrderedDict[str, None] = OrderedDict()

    def refusal(self, session_id: str, channel_type: str) -> str | None:
        """None if a message may be answered; else what to say instead, which may be nothing."""
        if channel_type in self._uncounted:
            return None
        try:
            self._admit(session_id)
        except RateLimited as refused:
            return self._say(session_id, refused.retry_after)
        self._told.pop(session_id, None)
        return None

    def _say(self, session_id: str, wait_s: float) -> str:
        if session_id in self._told:
            return ""
        self._told[session_id] = None
        if len(self._told) > MAX_TOLD:
            self._told.popitem(last=False)
        return TOO_FAST.format(seconds=max(1, math.ceil(wait_s)))
