"""The Session messenger: what sealing costs, how soon a message is answered, what polls leave."""

import asyncio
import os
import random
import time
from tempfile import TemporaryDirectory

from nacl import bindings

from benchmarks.harness import Section, at_most
from sessionbot_kit.bot import Bot
from sessionbot_kit.channels.session_messenger import compose
from sessionbot_kit.channels.session_messenger.channel import SessionMessenger
from sessionbot_kit.channels.session_messenger.envelope import pack, pad, unpack
from sessionbot_kit.channels.session_messenger.events import understand
from sessionbot_kit.channels.session_messenger.identity import Identity
from sessionbot_kit.channels.session_messenger.loopback import LoopbackNetwork
from sessionbot_kit.channels.session_messenger.protobuf import encode
from sessionbot_kit.channels.session_messenger.signals import CHANNEL_TYPE
from sessionbot_kit.extension import plugin
from sessionbot_kit.models import IncomingMessage, OutgoingMessage

NOW = 1_767_225_600_000
TEXT = "x" * 200
TALK = 20

POLLS = """
import asyncio, gc, sys, tempfile
from pathlib import Path
from sessionbot_kit.channels.session_messenger.identity import Identity
from sessionbot_kit.channels.session_messenger.loopback import LoopbackNetwork
from sessionbot_kit.channels.session_messenger.reader import MailboxReader
from sessionbot_kit.channels.session_messenger.state import State
from sessionbot_kit.channels.session_messenger.swarm import SwarmClient
import time

def held():
    gc.collect()
    return sys.getallocatedblocks()

async def main(polls):
    with tempfile.TemporaryDirectory() as folder:
        async with LoopbackNetwork(limits_rate=False) as network:
            with State.open(Path(folder) / "state.db") as state:
                async with SwarmClient(state, seeds=network.seeds) as swarm:
                    reader = MailboxReader(
                        Identity(bytes(16)), swarm, state, None,
                        now_ms=network.now_ms, monotonic=time.monotonic,
                    )
                    for node in network.nodes:
                        node.calls = type("Nothing", (), {"append": lambda self, name: None})()
                    for _ in range(1_000):
                        await reader.look()
                    before = held()
                    for _ in range(polls):
                        await reader.look()
                    print(held() - before)

asyncio.run(main({polls}))
"""


async def main(section: Section) -> None:
    ada, bob = Identity(b"a" * 16), Identity(b"b" * 16)
    seal = section.table("200 bytes of text", unit="us", against="the bare primitives")
    seal.time("the bare primitives", lambda: bare(ada, bob))
    seal.time("sealed, wrapped, opened, understood", lambda: ours(ada, bob), goal=at_most(3.0))
    await seal.measure()

    empty = section.table("10,000 polls of an empty mailbox", unit="blocks", rounds=1)
    polls = 500 if section.quick else 10_000
    empty.process(
        "what they leave in memory",
        ["-c", POLLS.replace("{polls}", str(polls))],
        goal=at_most(500.0, "blocks"),
    )
    await empty.measure()

    talk = section.table("A message in the swarm until the plugin has it", unit="s", rounds=1)
    waits = await talking(3 if section.quick else TALK)
    talk.sample("median, while somebody talks", lambda: waits[len(waits) // 2])
    talk.sample("longest, while somebody talks", lambda: waits[-1], goal=at_most(1.2, "s"))
    await talk.measure()


def bare(ada: Identity, bob: Identity) -> bytes:
    """Sign, seal, open and verify, with nothing around it."""
    padded = PADDED
    signed = bindings.crypto_sign(padded, ada._sign_key)
    ephemeral = os.urandom(32)
    public = bindings.crypto_scalarmult_base(ephemeral)
    sealed = public + bindings.crypto_box(signed, public[:24], bob.x25519, ephemeral)
    opened = bindings.crypto_box_open(sealed[32:], public[:24], public, bob._x25519_key)
    return bindings.crypto_sign_open(opened, ada.ed25519)


def ours(ada: Identity, bob: Identity) -> object:
    content = compose.say(TEXT, timestamp=NOW, name="Bot")
    record = pack(content, sender=ada, recipient=bob.session_id, timestamp=NOW)
    return understand(unpack(record, bob), me=bob.session_id, now=NOW)


async def talking(messages: int) -> list[float]:
    """How long each message of a talk was on its way, sorted; the person pauses as people do."""
    came: asyncio.Queue[float] = asyncio.Queue()

    @plugin
    async def clock(message: IncomingMessage) -> None:
        came.put_nowait(time.monotonic())

    ada, bot = Identity(b"a" * 16), Identity(b"b" * 16)
    pause = random.Random(1)
    with TemporaryDirectory() as folder:
        async with LoopbackNetwork() as network:
            person = SessionMessenger(ada, folder=f"{folder}/ada", **network.address)
            channel = SessionMessenger(bot, folder=f"{folder}/bot", **network.address)
            await person.start()
            try:
                async with Bot(clock, channels=[channel]):
                    waits = []
                    for number in range(messages + 1):
                        await asyncio.sleep(pause.uniform(0.5, 3.0))
                        await person.send(
                            OutgoingMessage(
                                channel_type=CHANNEL_TYPE,
                                channel_id=bot.session_id,
                                content=str(number),
                            )
                        )
                        sent = time.monotonic()
                        waits.append(await came.get() - sent)
            finally:
                await person.stop()
    return sorted(waits[1:])  # the first one wakes the bot up


PADDED = pad(encode(compose.say(TEXT, timestamp=NOW, name="Bot")))

if __name__ == "__main__":
    Section("session_messenger", "The Session messenger", uses=("PyNaCl", "httpx")).run(main)
