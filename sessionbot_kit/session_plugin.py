"""The plugin `session`, which channels may depend on and ask for: everything that channels can do.

    session = self.registry.get_plugin("session")
    session.supports("telegram", "edit")
    await session.edit("telegram", chat, message_id, "Tuesday")
    await session.broadcast("Back in five minutes", exclude_channel="telegram")

Here things are said at once, by whoever has a reason to go past the outbox: nothing is tried
again. The one rule to remember: **what a plugin has to say, it returns**, and it is kept and sent
in order.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from sessionbot_kit.channel import Status, Verb
from sessionbot_kit.extension import Plugin, PluginMeta
from sessionbot_kit.models import Act, Media, OutgoingMessage, SendResult
from sessionbot_kit.outlet import Outlet
from sessionbot_kit.registry import call

log = logging.getLogger(__name__)

POINTS = tuple(
    f"session.{verb}"
    for verb in ("receive", "send", "typing", "presence", "edit", "delete", "react", "media")
)


class SessionPlugin(Plugin):
    """All channels of a gateway, by their names."""

    meta = PluginMeta(id="session", version="1", extension_points=POINTS, priority=10)

    def __init__(self, outlets: Callable[[], Mapping[str, Outlet]]) -> None:
        self._outlets = outlets

    def get_channels(self) -> list[str]:
        """The names of the channels."""
        return list(self._outlets())

    def supports(self, channel_type: str, verb: Verb) -> bool:
        """Whether a channel does this itself; otherwise there is a fallback."""
        outlet = self._outlets().get(channel_type)
        return outlet is not None and outlet.supports(verb)

    async def send(self, message: OutgoingMessage) -> SendResult:
        """Say something now; a failure is a result, whatever the channel does."""
        target = (message.act.target,) if message.act is not None else ()
        return await self._on(message.channel_type, lambda outlet: outlet.send(message, target))

    async def send_media(
        self, channel_type: str, channel_id: str, media: Media, text: str = ""
    ) -> SendResult:
        return await self.send(_message(channel_type, channel_id, text, media=(media,)))

    async def edit(
        self, channel_type: str, channel_id: str, message_id: str, content: str
    ) -> SendResult:
        act = Act(verb="edit", target=message_id)
        return await self.send(_message(channel_type, channel_id, content, act=act))

    async def delete(self, channel_type: str, channel_id: str, message_id: str) -> SendResult:
        act = Act(verb="delete", target=message_id)
        return await self.send(_message(channel_type, channel_id, "", act=act))

    async def react(
        self, channel_type: str, channel_id: str, message_id: str, emoji: str, remove: bool = False
    ) -> SendResult:
        act = Act(verb="react", target=message_id, emoji=emoji, remove=remove)
        return await self.send(_message(channel_type, channel_id, "", act=act))

    async def typing(self, channel_type: str, channel_id: str) -> SendResult:
        return await self._on(channel_type, lambda outlet: outlet.typing(channel_id))

    async def presence(self, status: Status, channel_type: str | None = None) -> None:
        """Show on one channel, or on all, whether the bot is there."""
        for id in self.get_channels():
            if channel_type in (None, id):
                await self._on(id, lambda outlet: outlet.presence(status))

    async def broadcast(self, content: str, exclude_channel: str | None = None) -> int:
        """Say something on every channel that has a default chat; on how many it was said."""
        reached = 0
        for id, outlet in self._outlets().items():
            chat_of = getattr(outlet.channel, "get_default_channel_id", None)
            if id == exclude_channel or chat_of is None:
                continue
            if (chat := await call(chat_of)) is not None:
                reached += bool(await self.send(_message(id, chat, content)))
        return reached

    async def _on(self, channel_type: str, do: Callable[[Outlet], Any]) -> SendResult:
        outlet = self._outlets().get(channel_type)
        if outlet is None:
            there = ", ".join(self._outlets()) or "none"
            return SendResult(
                ok=False, permanent=True, error=f"no channel {channel_type}; there are {there}"
            )
        try:
            result: SendResult = await do(outlet)
            return result
        except Exception as fault:  # somebody else's channel
            log.exception("channel failed", extra={"channel": channel_type})
            return SendResult(ok=False, error=f"{type(fault).__name__}: {fault}")


def _message(channel_type: str, channel_id: str, content: str, **more: Any) -> OutgoingMessage:
    return OutgoingMessage(
        channel_type=channel_type, channel_id=channel_id, content=content, **more
    )
