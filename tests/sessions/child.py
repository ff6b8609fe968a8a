"""Another process that hands conversations over until it dies in the middle of it.

python -m tests.sessions.child merge memory.db 0.004    # dies 4 ms after it said "ready"

It says on stdout what it is about to do and what is done, a line each.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import count

from sessionbot_kit.models import SessionKey
from sessionbot_kit.sessions import SessionManager, SessionPolicy
from sessionbot_kit.store import NewMessage
from sessionbot_kit.stores import open_store

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """Goes on by a minute each time somebody looks."""

    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now


def tell(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def ready(seconds: float) -> None:
    """From now on, die after so long: at once, wherever that is, as by kill -9."""
    tell("ready")
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)


async def open_at(sessions: SessionManager, interface: str, chat: str, user: str) -> str:
    session = await sessions.session_for(SessionKey("default", interface, chat, user))
    await sessions.add_message(session.id, "user", f"{interface}/{chat}/{user}")
    return session.id


async def merge(sessions: SessionManager, clock: Clock, seconds: float) -> None:
    """Merge one guest after another into ada."""
    ada = await open_at(sessions, "web", "home", "ada")
    guests = [await open_at(sessions, "web", "home", f"guest-{n}") for n in range(30)]
    for number, guest in enumerate(guests):
        await sessions.set_variables(guest, {f"guest-{number}": True})
        await sessions.remember({f"seen-{number}": True}, user=f"guest-{number}")
        tell("token", guest, await sessions.issue_token(guest))
    tell("ada", ada)
    ready(seconds)
    for guest in guests:
        await sessions.merge(guest, ada)
        tell("merged", guest)
    await forever()


async def transfer(sessions: SessionManager, clock: Clock, seconds: float) -> None:
    """Move ada from one address to the next, where somebody talks already."""
    ada = await open_at(sessions, "web", "home", "ada")
    others = [await open_at(sessions, "email", f"a{n}", "ada") for n in range(30)]
    tell("ada", ada)
    tell("token", ada, await sessions.issue_token(ada))
    ready(seconds)
    for number, other in enumerate(others):
        moved = await sessions.transfer(ada, "email", f"a{number}", user="ada")
        tell("moved", number, other, moved.token)
    await forever()


async def cleanup(sessions: SessionManager, clock: Clock, seconds: float) -> None:
    """Expire and remove many sessions, some of which are spoken to again."""
    for number in range(60):
        await open_at(sessions, "web", "home", f"user-{number}")
    clock.now += timedelta(days=8)
    ready(seconds)
    for round in count():
        await sessions.cleanup()
        tell("swept", round)
        number = round % 60
        session = await sessions.session_for(SessionKey("default", "web", "home", f"user-{number}"))
        line = NewMessage("user", f"again {round}", clock(), 2)
        await sessions.store.append(session.id, [line])
        tell("said", session.id, f"again {round}")
        clock.now += timedelta(days=11)


async def forever() -> None:
    await asyncio.Event().wait()


Verb = Callable[[SessionManager, Clock, float], Awaitable[None]]
VERBS: dict[str, Verb] = {"merge": merge, "transfer": transfer, "cleanup": cleanup}


async def main(verb: str, path: str, seconds: float) -> None:
    clock = Clock()
    async with open_store(f"sqlite:///{path}", clock=clock) as store:
        await VERBS[verb](SessionManager(store, SessionPolicy(clock=clock)), clock, seconds)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
