"""Says things, once: what was written down to be sent is sent as it was written down.

    outgoing = Outgoing(identity, swarm, files, state, name="Tarot bot")
    result = await outgoing.say(message)

A message becomes one record or several, each with its time, each sealed once. They are written
down before the first byte leaves, so a second try, or a second process, sends the very same
records: the swarm keeps one copy of each, and the reader sees one message.
"""

from collections.abc import Callable, Iterable

from sessionbot_kit.channels.session_messenger import compose
from sessionbot_kit.channels.session_messenger.content import Content
from sessionbot_kit.channels.session_messenger.envelope import pack
from sessionbot_kit.channels.session_messenger.events import KEPT_MS, MessageId
from sessionbot_kit.channels.session_messenger.files import FileClient
from sessionbot_kit.channels.session_messenger.identity import Identity, key_of
from sessionbot_kit.channels.session_messenger.state import Part, State
from sessionbot_kit.channels.session_messenger.swarm import SwarmClient
from sessionbot_kit.errors import ChannelError, MessageError, SendRefused, UsageError
from sessionbot_kit.ids import new_id
from sessionbot_kit.models import Media, OutgoingMessage, SendResult

TYPING_TTL_MS = 20_000
SHORTEST_TTL_MS = 60_000  # a swarm takes ten seconds and more; the reader must have a chance
MAX_FILES = 32
PART_BYTES = 76_000  # of text in one record, about
TEXT_FILE = "message.txt"


class Outgoing:
    """One for each bot. A text that needs more than `most_parts` records goes as a file."""

    def __init__(
        self,
        identity: Identity,
        swarm: SwarmClient,
        files: FileClient,
        state: State,
        *,
        name: str | None = None,
        most_parts: int = 8,
    ) -> None:
        self._me = identity
        self._swarm = swarm
        self._files = files
        self._state = state
        self._name = name
        self._most_parts = most_parts

    async def say(self, message: OutgoingMessage) -> SendResult:
        """Send a message; what went wrong is in the result."""
        id = message.id or new_id()
        try:
            parts = self._state.parts(id) or await self._prepare(id, message)
            for number, part in enumerate(parts):
                if part.data is not None:
                    hash = await self._swarm.store(part.recipient, part.data, ttl=_kept(message))
                    self._state.mark_sent(id, number, hash)
        except (UsageError, SendRefused) as error:
            self._state.forget_sent(id)
            return SendResult(ok=False, error=str(error), permanent=True)
        except ChannelError as error:
            return SendResult(ok=False, error=str(error))
        ids = tuple(str(MessageId(self._me.session_id, part.timestamp)) for part in parts)
        return SendResult(ok=True, ids=ids, fallback=self._fallback(message, len(ids)))

    async def react(self, chat: str, target: MessageId, emoji: str, *, remove: bool) -> SendResult:
        return await self._signal(
            chat,
            lambda now: compose.react(target, emoji, timestamp=now, remove=remove, name=self._name),
        )

    async def typing(self, chat: str, *, started: bool) -> SendResult:
        return await self._signal(
            chat, lambda now: compose.typing(started, timestamp=now), ttl=TYPING_TTL_MS
        )

    async def have_read(self, chat: str, targets: Iterable[MessageId]) -> SendResult:
        return await self._signal(chat, lambda now: compose.have_read(targets, timestamp=now))

    async def unsend(self, chat: str, target: MessageId) -> SendResult:
        return await self._signal(chat, lambda now: compose.unsend(target, timestamp=now))

    async def approve(self, chat: str) -> SendResult:
        return await self._signal(chat, lambda now: compose.approve(timestamp=now, name=self._name))

    async def _signal(
        self, chat: str, write: Callable[[int], Content], *, ttl: int = KEPT_MS
    ) -> SendResult:
        try:
            await self._meet(chat)
            now = self._swarm.clock.new_ms()
            await self._swarm.store(chat, self._seal(write(now), chat, now), ttl=ttl)
        except (UsageError, SendRefused) as error:
            return SendResult(ok=False, error=str(error), permanent=True)
        except ChannelError as error:
            return SendResult(ok=False, error=str(error))
        return SendResult(ok=True, ids=(str(MessageId(self._me.session_id, now)),))

    async def _prepare(self, id: str, message: OutgoingMessage) -> tuple[Part, ...]:
        chat, text, media = message.channel_id, message.content, message.media
        if not text and not media:
            raise MessageError("a message has neither text nor files; give it one of them")
        if self._goes_as_file(message):
            media = (*media, Media.from_bytes(text.encode("utf-8", "replace"), name=TEXT_FILE))
            text = ""
        if len(media) > MAX_FILES:
            raise MessageError(f"a message has {len(media)} files; send at most {MAX_FILES}")
        await self._meet(chat)
        pointers = [await self._files.upload(one) for one in media]
        quote, expiry = self._quote(message), self._state.contact(chat).expiry
        frame = compose.say(
            "",
            timestamp=self._swarm.clock.now_ms(),
            name=self._name,
            quote=quote,
            attachments=pointers,
            expiry=expiry,
        )
        texts = compose.split(text, frame)
        parts = []
        for number, piece in enumerate(texts, start=1):
            now = self._swarm.clock.new_ms()
            content = compose.say(
                piece,
                timestamp=now,
                name=self._name,
                quote=quote if number == 1 else None,
                attachments=pointers if number == len(texts) else (),
                expiry=expiry,
            )
            parts.append(Part(chat, now, self._seal(content, chat, now)))
        self._state.prepare(id, tuple(parts))
        return tuple(parts)

    async def _meet(self, chat: str) -> None:
        """Find the swarm of somebody; from then on the network's time is known, too."""
        key_of(chat)
        if chat == self._me.session_id:
            raise MessageError("a bot does not write to itself; give another Session ID")
        await self._swarm.swarm_of(chat)

    def _seal(self, content: Content, chat: str, now: int) -> bytes:
        return pack(content, sender=self._me, recipient=chat, timestamp=now)

    def _goes_as_file(self, message: OutgoingMessage) -> bool:
        size = len(message.content.encode("utf-8", "replace"))
        return size > self._most_parts * PART_BYTES

    def _quote(self, message: OutgoingMessage) -> MessageId | None:
        # What is answered may have been said on another channel, or by a third person: then there
        # is nothing here to point at.
        try:
            target = MessageId.parse(message.reply_to or "")
        except MessageError:
            return None
        return target if target.author in (message.channel_id, self._me.session_id) else None

    def _fallback(self, message: OutgoingMessage, count: int) -> str | None:
        if self._goes_as_file(message):
            return f"the text was sent as the file {TEXT_FILE}"
        return f"the text was sent in {count} parts" if count > 1 else None


def _kept(message: OutgoingMessage) -> int:
    """How long the swarm keeps it: what will be taken back, not longer than it is to stay."""
    match message.metadata.get("delete_after"):
        case int() | float() as seconds if 0 < seconds < KEPT_MS / 1000:
            return max(int(seconds * 1000), SHORTEST_TTL_MS)
    return KEPT_MS
