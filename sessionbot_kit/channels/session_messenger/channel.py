"""Private chats on the Session network, as a channel of the house.

    identity = Identity.from_phrase(phrase)
    channel = SessionMessenger(identity, folder="data/session_messenger", client_name="Tarot bot")
    async with Bot(tarot, channels=[channel]) as bot:
        ...                                     # people write to identity.session_id

A chat is a person: `channel_id` and `sender_id` are both his Session ID, proven by his signature.
A message is named `author:milliseconds`, by what he signed, so the same message is the same
whatever node gives it to us, and whenever. One rule to remember: a record counts as read only
after `deliver` has returned.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from sessionbot_kit.channel import Deliver, Notice
from sessionbot_kit.channels.session_messenger.events import DAY_MS, Event, MessageId
from sessionbot_kit.channels.session_messenger.files import FileClient
from sessionbot_kit.channels.session_messenger.identity import Identity, short
from sessionbot_kit.channels.session_messenger.incoming import Incoming, Manners
from sessionbot_kit.channels.session_messenger.outgoing import Outgoing
from sessionbot_kit.channels.session_messenger.pace import Pace
from sessionbot_kit.channels.session_messenger.reader import MailboxReader
from sessionbot_kit.channels.session_messenger.seeds import FILE_SERVER, Seed
from sessionbot_kit.channels.session_messenger.signals import CHANNEL_TYPE
from sessionbot_kit.channels.session_messenger.state import State
from sessionbot_kit.channels.session_messenger.swarm import SwarmClient
from sessionbot_kit.errors import ChannelError, MessageError, SettingsError, UsageError
from sessionbot_kit.extension import Plugin, PluginMeta
from sessionbot_kit.models import OutgoingMessage, SendResult

log = logging.getLogger(__name__)

PRUNE_EVERY_S = 3_600.0
MAX_CLIENT_NAME_CHARS = 64


class SessionMessenger(Plugin):
    """The bot's own account on the Session network."""

    meta = PluginMeta(
        id=CHANNEL_TYPE,
        version="1",
        implements={
            "session.receive": "receive",
            "session.send": "send",
            "session.media": "send",
            "session.typing": "typing",
            "session.react": "react",
            "session.delete": "delete",
        },
        secrets=("mnemonic",),
    )

    def __init__(
        self,
        identity: Identity,
        *,
        folder: str | Path = "data/session_messenger",
        client_name: str | None = None,
        seeds: tuple[Seed, ...] | None = None,
        file_server: str = FILE_SERVER,
        proxy: str | None = None,
        pace: Pace | None = None,
        manners: Manners | None = None,
        on_event: Callable[[Event], object] | None = None,
        timeout_s: float = 15.0,
    ) -> None:
        if client_name is not None and not 0 < len(client_name) <= MAX_CLIENT_NAME_CHARS:
            raise SettingsError(
                f"the client name has {len(client_name)} characters; "
                f"give it 1 to {MAX_CLIENT_NAME_CHARS}"
            )
        self.identity = identity
        self.session_id = identity.session_id
        self._folder = Path(folder) / identity.session_id[:10]
        self.client_name = client_name
        self._seeds = seeds
        self._file_server = file_server
        self._proxy = proxy
        self._pace = pace or Pace()
        self._manners = manners or Manners()
        self._on_event = on_event
        self._timeout_s = timeout_s
        self._stack: AsyncExitStack | None = None
        self._stir = asyncio.Event()

    def __repr__(self) -> str:
        return f"SessionMessenger{short(self.session_id)}"

    async def start(self) -> None:
        """Open what is kept on disk and the connections; nothing is sent yet."""
        self._stir = asyncio.Event()  # of this loop: a bot may be started again in another one
        async with AsyncExitStack() as stack:
            self._state = stack.enter_context(State.open(self._folder / "state.db"))
            self._swarm = await stack.enter_async_context(
                SwarmClient(
                    self._state, seeds=self._seeds, proxy=self._proxy, timeout_s=self._timeout_s
                )
            )
            self._files = await stack.enter_async_context(
                FileClient(self._folder / "media", url=self._file_server, proxy=self._proxy)
            )
            self._outgoing = Outgoing(
                self.identity, self._swarm, self._files, self._state, name=self.client_name
            )
            self._stack = stack.pop_all()

    async def stop(self) -> None:
        """Close everything."""
        if self._stack is not None:
            stack, self._stack = self._stack, None
            await stack.aclose()

    async def receive(self, deliver: Deliver, signal: Notice | None = None) -> None:
        """Look into the mailbox, fast while somebody talks, until canceled."""
        self._check_started()
        incoming = Incoming(
            deliver,
            self._state,
            self._files,
            self._outgoing,
            manners=self._manners,
            signal=signal,
            on_event=self._on_event,
        )
        reader = MailboxReader(
            self.identity,
            self._swarm,
            self._state,
            incoming.handle,
            now_ms=self._swarm.clock.now_ms,
            monotonic=time.monotonic,
        )
        prune_at = 0.0
        try:
            while True:
                await self._look(reader)
                if time.monotonic() >= prune_at:
                    self._state.prune(self._swarm.clock.now_ms())
                    await asyncio.to_thread(self._files.prune, 21 * DAY_MS / 1000)
                    prune_at = time.monotonic() + PRUNE_EVERY_S
                await self._rest()
        finally:
            await reader.stop()

    async def send(self, message: OutgoingMessage) -> SendResult:
        """Say something to a person; true when a node of his swarm has signed for it."""
        self._check_started()
        result = await self._outgoing.say(message)
        self._wake()
        return result

    async def typing(self, channel_id: str, *, started: bool = True) -> SendResult:
        """Show, or stop showing, that the bot writes."""
        self._check_started()
        return await self._outgoing.typing(channel_id, started=started)

    async def react(
        self, channel_id: str, message_id: str, emoji: str, *, remove: bool = False
    ) -> SendResult:
        """Put an emoji to a message, or take it away."""
        self._check_started()
        try:
            target = MessageId.parse(message_id)
        except MessageError as error:
            return _refused(str(error))
        return await self._outgoing.react(channel_id, target, emoji, remove=remove)

    async def delete(self, channel_id: str, message_id: str) -> SendResult:
        """Take back what the bot said; the person's own devices delete it when they hear of it."""
        self._check_started()
        try:
            target = MessageId.parse(message_id)
        except MessageError as error:
            return _refused(str(error))
        if target.author != self.session_id:
            return _refused(f"{message_id[:80]} is not ours; only its author takes a message back")
        return await self._outgoing.unsend(channel_id, target)

    async def mark_read(self, channel_id: str, message_ids: tuple[str, ...]) -> SendResult:
        """Tell a person that his messages were read."""
        self._check_started()
        try:
            targets = [MessageId.parse(id) for id in message_ids]
        except MessageError as error:
            return _refused(str(error))
        return await self._outgoing.have_read(channel_id, targets)

    async def approve(self, channel_id: str) -> SendResult:
        """Answer a person's message request with yes."""
        self._check_started()
        return await self._outgoing.approve(channel_id)

    async def _look(self, reader: MailboxReader) -> None:
        try:
            if await reader.look():
                self._pace.stirred(time.monotonic())
        except ChannelError as error:
            self._pace.failed()
            if self._pace.failures == 1:
                log.warning("mailbox not read", extra={"error": str(error)})
            return
        if self._pace.failures:
            log.info("mailbox read again", extra={"failures": self._pace.failures})
        self._pace.worked()

    async def _rest(self) -> None:
        self._stir.clear()
        try:
            async with asyncio.timeout(self._pace.wait_s(time.monotonic())):
                await self._stir.wait()
        except TimeoutError:
            return

    def _wake(self) -> None:
        self._pace.stirred(time.monotonic())
        self._stir.set()

    def _check_started(self) -> None:
        if self._stack is None:
            raise UsageError(f"{self!r} is not started; await its start() first")


def _refused(error: str) -> SendResult:
    return SendResult(ok=False, error=error, permanent=True)
