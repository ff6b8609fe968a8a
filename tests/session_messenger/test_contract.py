"""The channel keeps what every channel promises; the person has a client that others wrote."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sessionbot_kit.channels.session_messenger.channel import SessionMessenger
from sessionbot_kit.channels.session_messenger.events import MessageId
from sessionbot_kit.channels.session_messenger.identity import Identity
from sessionbot_kit.channels.session_messenger.loopback import LoopbackNetwork
from sessionbot_kit.channels.session_messenger.pace import Pace
from sessionbot_kit.models import Media
from sessionbot_kit.testing import ChannelContract, Line

from .other_client import OtherClient, running_peer
from .vectors import KEYS

ADA = KEYS[0]["session_id"]


class Ada:
    """A person with `session-python`, and the bot's channel on the same network."""

    chat = ADA

    def __init__(
        self, client: OtherClient, network: LoopbackNetwork, channel: SessionMessenger
    ) -> None:
        self.channel = channel
        self._client = client
        self._network = network
        self._said: dict[str, Any] = {}
        self._events: list[dict[str, Any]] = []

    async def says(self, text: str, *files: Media) -> str:
        bot = self.channel.session_id
        attached = [
            {"data": file.to_base64(), "name": file.name, "mime": file.mime} for file in files
        ]
        sent = await self._client.does("say", to=bot, text=text, files=attached)
        id = str(MessageId(ADA, sent["timestamp"]))
        self._said[id] = sent
        return id

    async def screen(self) -> list[Line]:
        self._events += await self._client.does("poll")
        bot = self.channel.session_id
        gone = {event.get("targetTimestamp") for event in self._events}
        reactions = await self._reactions()
        mine = [Line(id, "", False, (), tuple(reactions.get(id, ()))) for id in self._said]
        return mine + [
            Line(str(MessageId(bot, event["timestamp"])), event["body"], True, files_of(event))
            for event in self._events
            if is_line(event) and event["from"] == bot and event["timestamp"] not in gone
        ]

    async def notices(self) -> list[str]:
        self._events += await self._client.does("poll")
        return [event["type"] for event in self._events]

    async def does(self, kind: str, message_id: str, content: str) -> None:
        bot, target = self.channel.session_id, MessageId.parse(message_id)
        time, client = target.timestamp, self._client
        match kind:
            case "deleted":
                hash = self._said[message_id]["syncMessageHash"]
                await client.does("unsend", to=bot, timestamp=time, hash=hash)
            case "reacted":
                await client.does(
                    "react", timestamp=time, author=target.author, emoji=content, remove=False
                )
            case "read":
                await client.does("read", to=bot, timestamps=[time])
            case "typing":
                await client.does("type", to=bot, started=True)

    async def _reactions(self) -> dict[str, list[str]]:
        """What stands at each message; its poller drops reactions, so the records are opened."""
        shown: dict[str, list[str]] = {}
        for kept in self._network.swarm_of(ADA)[1][0].mailbox.of(ADA):
            record = base64.b64encode(kept.data).decode()
            if (reaction := (await self._client.does("open", record=record))["reaction"]) is None:
                continue
            stands = shown.setdefault(str(MessageId(reaction["author"], reaction["id"])), [])
            if reaction["removed"]:
                stands.remove(reaction["emoji"])
            else:
                stands.append(reaction["emoji"])
        return shown


def files_of(event: dict[str, Any]) -> tuple[tuple[str, bytes], ...]:
    return tuple((file["name"], base64.b64decode(file["data"])) for file in event["files"])


def is_line(event: dict[str, Any]) -> bool:
    return event["type"] == "data" and bool(event["body"] or event["files"])


class TestSessionMessenger(ChannelContract):
    signals = frozenset({"deleted", "reacted", "typing", "read"})

    @pytest.fixture
    async def peer(self, bob: Identity, tmp_path: Path) -> AsyncIterator[Ada]:
        async with LoopbackNetwork(limits_rate=False) as network, running_peer(network) as client:
            pace = Pace(fast_s=0.02, slow_s=0.02)
            channel = SessionMessenger(bob, folder=tmp_path, pace=pace, **network.address)
            yield Ada(client, network, channel)
            assert not network.refusals
