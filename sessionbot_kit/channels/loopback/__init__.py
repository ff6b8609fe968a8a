"""A platform in memory: for tests, notebooks and the first ten minutes, and for bad days.

loopback = Loopback()
receipt = await loopback.hear("!echo hello", user="alice")
loopback.said_to("alice")                   # what stands in the chat now, oldest first
loopback.troubles.append(Busy(2.5))         # the next send is told to come back later
"""

from sessionbot_kit.channels.loopback.channel import Loopback, Request
from sessionbot_kit.channels.loopback.faults import (
    Arrival,
    Busy,
    Down,
    Late,
    Refused,
    Slow,
    Trouble,
    Twice,
    Unheard,
)

__all__ = [
    "Arrival",
    "Busy",
    "Down",
    "Late",
    "Loopback",
    "Refused",
    "Request",
    "Slow",
    "Trouble",
    "Twice",
    "Unheard",
]
