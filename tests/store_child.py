"""Another process that uses a store, to be killed or raced by a test.

python -m tests.store_child append bot.db 3      # acknowledges on stdout, a line each, for ever
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path

from sessionbot_kit.store import Change
from sessionbot_kit.stores.sqlite import SqliteStore
from sessionbot_kit.testing.store_people import answer, heard, inbox, key, line

WRITERS = 8


def tell(*words: object) -> None:
    """Say that something is on the disk, in one system call, so that no half of it is heard."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def append(store: SqliteStore, name: str) -> None:
    """Append numbers to a few sessions for ever; each writer counts up."""

    async def write(writer: int) -> None:
        for number in count():
            session = await store.session_for(key(f"user {(writer + number) % 3}"))
            text = f"{name}/{writer}/{number}"
            stored = await store.append(session.id, [line(text), line(f"{text}+")])
            tell(session.id, stored[0].seq, text)

    await asyncio.gather(*(write(writer) for writer in range(WRITERS)))


async def turns(store: SqliteStore, name: str) -> None:
    """Accept and answer messages for ever, in a session a writer."""
    lease = await store.acquire("child")

    async def serve(writer: int) -> None:
        session = await store.session_for(key(f"user {writer}"))
        for number in count():
            row = inbox(session.id, heard(id=f"{name}/{number}", chat=f"{writer}"))
            await store.accept(row)
            tell("accepted", row.id)
            now = await store.session(session.id)
            assert now is not None
            said = {"n": int(str(now.variables.get("n", 0))) + 1}
            await store.commit(
                answer(row, lease.epoch, "hi", messages=(line("x"),), variables=said)
            )
            tell("answered", row.id)

    await asyncio.gather(*(serve(writer) for writer in range(WRITERS)))


async def merge(store: SqliteStore, name: str) -> None:
    """Merge a guest of three lines into a user for ever, one guest after another."""
    for number in count():
        guest = await store.session_for(key(f"guest {name} {number}"))
        user = await store.session_for(key("user"))
        lines = tuple(line(f"{number}") for _ in range(3))
        await store.append(guest.id, lines)
        await store.change(
            Change(guest.id, if_last_seq=3, become=user.id),
            Change(user.id, append=lines, variables={"merged": number}),
        )
        tell("merged", number)


async def meet(store: SqliteStore, name: str) -> None:
    """Ask for the same session 200 times at once, and add a line to it each time."""
    tell("ready")
    await asyncio.to_thread(sys.stdin.readline)
    made = await asyncio.gather(*(store.session_for(key()) for _ in range(200)))
    await asyncio.gather(*(store.append(session.id, [line(name)]) for session in made))
    tell(*{session.id for session in made})


async def follow(store: SqliteStore, name: str) -> None:
    """Append one line for each line on stdin, and acknowledge it."""
    session = await store.session_for(key())
    tell("ready")
    while text := await asyncio.to_thread(sys.stdin.readline):
        await store.append(session.id, [line(text.strip())])
        tell("ack")


async def hold(store: SqliteStore, name: str) -> None:
    """Serve the store until killed; "with child" leaves a forked process behind."""
    await store.acquire(name)
    if name == "with child" and os.fork() == 0:
        os.close(1)
        os.read(0, 1)  # until the test closes the pipe
        os._exit(0)
    tell("held", os.getpid())
    await asyncio.to_thread(sys.stdin.readline)


async def births(folder: Path) -> None:
    """Make one new file after another, for ever."""
    for number in count():
        tell("making", number)
        async with SqliteStore(folder / f"{number}.db"):
            tell("made", number)


async def main(verb: str, path: str, name: str) -> None:
    if verb == "births":
        await births(Path(path))
    verbs: dict[str, Callable[[SqliteStore, str], Awaitable[None]]] = {
        "append": append,
        "turns": turns,
        "merge": merge,
        "meet": meet,
        "follow": follow,
        "hold": hold,
    }
    async with SqliteStore(Path(path)) as store:
        await verbs[verb](store, name)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
