"""A plugin kernel in a process of its own, to be killed and frozen.

python -m tests.kernel_child ws://127.0.0.1:PORT NAME [TIME-OUT]
"""

import asyncio
import os
import sys
import time

from sessionbot_kit import Chat, PluginKernel, plugin


async def main(url: str, name: str, turn_timeout_s: str = "30") -> None:
    @plugin("!trip", id="trip")
    async def trip(chat: Chat) -> str:
        where = await chat.ask(f"{name}: Where?", name="where")
        return f"{name}: To {where}."

    @plugin("!count")
    async def count(chat: Chat) -> str:
        chat.vars["n"] = int(str(chat.vars.get("n", 0))) + 1
        return f"{name}: {chat.vars['n']}"

    @plugin("!hang")
    async def hang() -> None:
        time.sleep(3600)  # noqa: ASYNC251 - in C, where nothing can be thrown into it

    @plugin("!die")
    async def die() -> None:
        os._exit(3)

    kernel = PluginKernel(trip, count, hang, die, name=name, turn_timeout_s=float(turn_timeout_s))
    await kernel.attach(url)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
