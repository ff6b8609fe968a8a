"""What can be wrong with a node, to be tried on purpose.

    network.nodes[0].faults.append(Refuses(503, "Service node is not ready: syncing\\n"))
    network.nodes[1].always = Silent()

A fault in `faults` strikes once, in its turn; `always` strikes until it is None again.
"""

import asyncio
from dataclasses import dataclass, field

from sessionbot_kit.channels.session_messenger.loopback.http import Response


@dataclass(frozen=True, slots=True)
class Refuses:
    """An HTTP status and a text, before anything is read."""

    status: int
    text: str = ""
    content_type: str = "text/plain"

    def response(self) -> Response:
        return Response(self.status, self.text.encode(), self.content_type)


@dataclass(frozen=True, slots=True)
class Codes:
    """A code for every call of a batch, under an HTTP 200."""

    code: int
    body: object = ""


@dataclass(frozen=True, slots=True)
class HangsUp:
    """The line is cut before the answer, or after so many bytes of it."""

    after: int = 0


@dataclass(frozen=True, slots=True)
class Silent:
    """No answer ever comes."""


@dataclass(frozen=True)
class Waits:
    """What was asked is done at once (`begun`), and the answer comes when `until` is set."""

    until: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class KeepsNothing:
    """Stores answer 200, as the real server does when no node of the swarm took the record."""

    timeout: bool = False


@dataclass(frozen=True, slots=True)
class Forgets:
    """A retrieve shows only the first so many records."""

    shown: int


Fault = Refuses | Codes | HangsUp | Silent | Waits | KeepsNothing | Forgets
