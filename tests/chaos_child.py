"""One of the processes that `tests.chaos` kills: a gateway, or a plugin kernel.

python -m tests.chaos_child gateway bot.db PLATFORM-PORT LINK-PORT
python -m tests.chaos_child kernel LINK-PORT NAME
"""

import asyncio
import sys
from pathlib import Path

from sessionbot_kit import Gateway, PluginKernel
from sessionbot_kit.backoff import Backoff
from sessionbot_kit.stores.sqlite import SqliteStore
from tests.turn_child import Socket, count, trip


async def gateway(path: str, platform: str, port: str) -> None:
    """Hold the store; whoever is away will be back: nobody needs to be told."""
    async with (
        SqliteStore(Path(path)) as store,
        Gateway(
            store, channels=[Socket(int(platform))], absent_s=3600, plugin_absent_s=3600
        ) as house,
    ):
        await house.listen(port=int(port))
        await asyncio.Event().wait()


async def kernel(port: str, name: str) -> None:
    """Answer whatever the gateway offers, whenever it is there."""
    plugins = PluginKernel(count, trip, name=name, turn_timeout_s=5.0)
    backoff = Backoff(lambda: 0.5, first_s=0.05, most_s=0.5)
    await plugins.attach(f"ws://127.0.0.1:{port}", backoff=backoff)
    await asyncio.Event().wait()


if __name__ == "__main__":
    what, *words = sys.argv[1:]
    asyncio.run(gateway(*words) if what == "gateway" else kernel(*words))
