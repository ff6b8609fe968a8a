"""Our side of the web bench, in a process of its own.

python -m benchmarks.web_ours FOLDER       # prints its port
"""

import asyncio
import sys
from pathlib import Path

from sessionbot_kit import Bot
from sessionbot_kit.plugins.echo import echo
from sessionbot_kit.web import WebChannel, serve

TOKEN = "bench"


async def main(folder: Path) -> None:
    """Serve until the process is ended."""
    channel = WebChannel(folder / "files")
    limits = dict.fromkeys(("asks_per_minute", "sessions_per_minute"), 10_000_000)
    async with (
        Bot(echo, store=folder / "ours.db", channels=[channel]) as bot,
        serve(bot, port=0, admin_token=TOKEN, max_chats=2_000, **limits) as door,  # type: ignore[arg-type]  # limits are numbers
    ):
        bot.sessions.rate.per_minute = 10_000_000
        for _ in range(64):
            await bot.sessions.get_or_create_session(
                interface_type="bench", external_user_id=f"u{_}", external_chat_id=f"u{_}"
            )
        sys.stdout.write(door.url.rpartition(":")[2] + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
