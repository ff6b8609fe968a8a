"""Takes what people did to the gateway: words with their files, and tells of everything else.

A message is done with when the gateway has stored it, and not before; while the gateway cannot,
it is offered again. A file that cannot be had does not hold its message up: the words come, and
`metadata["files_missing"]` says what was there and why it is not.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pydantic import JsonValue

from sessionbot_kit.channel import Deliver, Notice
from sessionbot_kit.channels.session_messenger.content import AttachmentPointer
from sessionbot_kit.channels.session_messenger.events import Event, Said
from sessionbot_kit.channels.session_messenger.files import FileClient
from sessionbot_kit.channels.session_messenger.outgoing import Outgoing
from sessionbot_kit.channels.session_messenger.signals import CHANNEL_TYPE, signals_of
from sessionbot_kit.channels.session_messenger.state import State
from sessionbot_kit.errors import ChannelError, MessageError, RecordError, StoreError
from sessionbot_kit.models import IncomingMessage, Media

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0


@dataclass(frozen=True, slots=True)
class Manners:
    """How a bot behaves towards people who write to it."""

    account: str = "default"
    approve_requests: bool = True
    send_receipts: bool = False
    max_media_bytes: int = 25_000_000  # of all files of a message together
    deliver_tries: int = 5  # for faults that are not the store's; those are waited out


class Incoming:
    """One for each time that the channel listens."""

    def __init__(
        self,
        deliver: Deliver,
        state: State,
        files: FileClient,
        outgoing: Outgoing,
        *,
        manners: Manners,
        signal: Notice | None = None,
        on_event: Callable[[Event], object] | None = None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._deliver = deliver
        self._state = state
        self._files = files
        self._outgoing = outgoing
        self._manners = manners
        self._signal = signal
        self._on_event = on_event
        self._pause = pause

    async def handle(self, event: Event) -> None:
        """Do what an event asks for; returns when it is safe to forget the record."""
        if isinstance(event, Said):
            await self._hear(event)
        try:
            await self._tell(event)
        except Exception:  # somebody else's code
            log.exception("observer failed", extra={"event": type(event).__name__})

    async def _tell(self, event: Event) -> None:
        if self._on_event is not None:
            self._on_event(event)
        if self._signal is not None:
            for signal in signals_of(event, account=self._manners.account):
                await self._signal(signal)

    async def _hear(self, said: Said) -> None:
        sender = said.id.author
        # Before the message is handed over: its answer must know how long it may last.
        self._remember(sender, name=said.name, expiry=said.expiry)
        media, missing = await self._fetch(said.attachments)
        metadata: dict[str, JsonValue] = {}
        if missing:
            metadata["files_missing"] = missing
        if said.expiry is not None:
            metadata["expires_after_s"] = said.expiry.seconds
        message = IncomingMessage(
            id=str(said.id),
            channel_type=CHANNEL_TYPE,
            account=self._manners.account,
            channel_id=sender,
            sender_id=sender,
            sender_name=said.name,
            content=said.text,
            timestamp=datetime.fromtimestamp(said.id.timestamp / 1000, UTC),
            reply_to=str(said.quote) if said.quote else None,
            media=media,
            metadata=metadata,
        )
        if await self._hand_over(message):
            await self._be_polite(said)

    async def _hand_over(self, message: IncomingMessage) -> bool:
        """Offer a message until it is stored; False when the gateway will not have it."""
        wait_s, faults = FIRST_PAUSE_S, 0
        while True:
            try:
                await self._deliver(message)
                return True
            except StoreError as error:
                log.warning("message not stored", extra={"error": str(error)})
            except Exception:  # the gateway is somebody else's code, too
                faults += 1
                log.exception("message not taken", extra={"id": message.id, "fault": faults})
                if faults >= self._manners.deliver_tries:
                    log.error("message set aside", extra={"id": message.id})
                    return False
            await self._pause(wait_s)
            wait_s = min(wait_s * 2, LONGEST_PAUSE_S)

    async def _fetch(
        self, pointers: tuple[AttachmentPointer, ...]
    ) -> tuple[tuple[Media, ...], list[JsonValue]]:
        media: list[Media] = []
        missing: list[JsonValue] = []
        room = self._manners.max_media_bytes
        for pointer in pointers:
            room -= pointer.size or 0
            try:
                if room < 0:
                    raise RecordError(
                        f"the files of a message may have {self._manners.max_media_bytes:,} "
                        "bytes together"
                    )
                media.append(await self._files.download(pointer))
            except (ChannelError, RecordError, MessageError) as error:
                log.info("file not fetched", extra={"reason": str(error)})
                missing.append({"name": (pointer.file_name or "")[:200], "why": str(error)})
        return tuple(media), missing

    async def _be_polite(self, said: Said) -> None:
        """Accept somebody's request, and tell him that it was read."""
        sender = said.id.author
        if self._manners.approve_requests and not self._state.contact(sender).approved:
            self._remember(sender, approved=bool(await self._outgoing.approve(sender)))
        if self._manners.send_receipts:
            await self._outgoing.have_read(sender, [said.id])

    def _remember(self, sender: str, **what: Any) -> None:
        contact = self._state.contact(sender)
        if (known := replace(contact, **what)) != contact:
            self._state.set_contact(sender, known)
