"""What goes wrong on platforms, one kind each; a loopback has them in the order given.

    loopback.troubles += [Busy(2.5), Down(), Unheard()]      # of the next three requests
    loopback.arrivals.append(Twice())                        # of the next message

When they are used up, all goes well.
"""

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Busy:
    """Too many requests: the platform says when to come back (429 with Retry-After)."""

    retry_after: float


@dataclass(frozen=True, slots=True)
class Refused:
    """The platform will never take this one."""

    error: str = "this chat is closed"


@dataclass(frozen=True, slots=True)
class Down:
    """The platform cannot be reached."""


@dataclass(frozen=True, slots=True)
class Unheard:
    """The platform did what was asked for, and its answer is lost on the way."""


@dataclass(frozen=True, slots=True)
class Slow:
    """The platform answers only when the test lets it."""

    until: asyncio.Event


@dataclass(frozen=True, slots=True)
class Twice:
    """The platform gives the message out a second time."""


@dataclass(frozen=True, slots=True)
class Late:
    """The platform gives the message out after the one that follows it."""


Trouble = Busy | Refused | Down | Unheard | Slow
Arrival = Twice | Late
