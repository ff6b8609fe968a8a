"""A whole bot in a process of its own, which dies where it is told to.

python bot_process.py SEED_URL CERTIFICATE FILE_SERVER FOLDER [DIES_WHEN]

SIGTERM ends it in order. SIGINT would not do: whoever runs tests in the background may have told
all their children to ignore it.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from sessionbot_kit.bot import Bot
from sessionbot_kit.channel import Deliver, Notice, Receipt
from sessionbot_kit.channels.session_messenger.channel import SessionMessenger
from sessionbot_kit.channels.session_messenger.identity import Identity
from sessionbot_kit.channels.session_messenger.incoming import Manners
from sessionbot_kit.channels.session_messenger.pace import Pace
from sessionbot_kit.channels.session_messenger.seeds import Seed
from sessionbot_kit.extension import plugin
from sessionbot_kit.models import IncomingMessage, OutgoingMessage, SendResult

SEED = b"a bot that dies."
DRAIN_S = 60.0  # an answer on its way arrives, however busy the machine is
DIES_WHEN = sys.argv[5] if len(sys.argv) > 5 else ""


def reach(moment: str) -> None:
    """Die here, if this is the moment: at once, without a word."""
    if moment == DIES_WHEN:
        os.kill(os.getpid(), signal.SIGKILL)


@plugin("!echo")
async def echo(message: IncomingMessage) -> str:
    reach("in the turn")
    return message.content


class Mortal(SessionMessenger):
    async def start(self) -> None:
        await super().start()
        store = self._swarm.store

        async def watched(recipient: str, record: bytes, *, ttl: int) -> str:
            hash = await store(recipient, record, ttl=ttl)
            reach("after the swarm has the answer")
            return hash

        vars(self._swarm)["store"] = watched

    async def receive(self, deliver: Deliver, signal: Notice | None = None) -> None:
        async def watched(message: IncomingMessage) -> Receipt:
            reach("before it is stored")
            receipt = await deliver(message)
            reach("after it is stored")
            return receipt

        await super().receive(watched, signal)

    async def send(self, message: OutgoingMessage) -> SendResult:
        reach("before the answer is sent")
        result = await super().send(message)
        reach("after the answer is sent")
        return result


def main(seed: str, certificate: str, files: str, folder: str) -> None:
    channel = Mortal(
        Identity(SEED),
        folder=folder,
        seeds=(Seed(seed, Path(certificate).read_text()),),
        file_server=files,
        pace=Pace(fast_s=0.01, slow_s=0.01),
        manners=Manners(approve_requests=False),
    )
    store = f"sqlite:///{folder}/bot.db"
    asyncio.run(live(Bot(echo, store=store, channels=[channel], drain_s=DRAIN_S)))


async def live(bot: Bot) -> None:
    told_to_end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told_to_end.set)
    async with bot:
        await told_to_end.wait()


if __name__ == "__main__":
    main(*sys.argv[1:5])
