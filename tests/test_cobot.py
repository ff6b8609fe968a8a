"""A channel that was written for cobot runs here, with other import lines and another address."""

import asyncio
import json
import queue
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest

from sessionbot_kit import Bot, Chat, IncomingMessage, plugin
from sessionbot_kit.compat import cobot
from sessionbot_kit.errors import MessageError
from sessionbot_kit.plugins import echo

EXAMPLE = Path(__file__).parent / "data" / "cobot" / "telegram_example.txt"
IMPORTS = """\
from cobot.plugins.base import Plugin, PluginMeta
# Import from session plugin
from cobot.plugins.session.plugin import IncomingMessage, OutgoingMessage
"""
OURS = (
    "from sessionbot_kit.compat.cobot import IncomingMessage, OutgoingMessage, Plugin, PluginMeta"
)
ADA = {"id": 7, "first_name": "Ada"}


class Telegram:
    """As much of the platform as the example asks for."""

    url = ""

    def __init__(self) -> None:
        self.updates: list[dict[str, Any]] = []
        self.called: queue.SimpleQueue[tuple[str, dict[str, Any]]] = queue.SimpleQueue()
        self.offsets: list[int] = []

    def hears(self, text: str, **more: Any) -> None:
        number = len(self.updates) + 1
        sent = {"message_id": 100 + number, "chat": {"id": -5}, "from": ADA, "date": 1_750_000_000}
        self.updates.append({"update_id": number, "message": {**sent, "text": text, **more}})

    def answer(self, method: str, given: dict[str, Any]) -> list[dict[str, Any]]:
        if method != "getUpdates":
            self.called.put((method, given))
            return []
        self.offsets.append(int(given["offset"]))
        return [one for one in self.updates if one["update_id"] >= int(given["offset"])]


@pytest.fixture
def telegram() -> Iterator[Telegram]:
    platform = Telegram()

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlparse(self.path)
            self._answer(url.path, {key: value[0] for key, value in parse_qs(url.query).items()})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(self.path, json.loads(body))

        def _answer(self, path: str, given: dict[str, Any]) -> None:
            assert path.startswith("/botsecret/")
            result = platform.answer(path.rpartition("/")[2], given)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"ok": True, "result": result}).encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        platform.url = f"http://127.0.0.1:{server.server_port}"
        yield platform
        server.shutdown()


@pytest.fixture
def example(telegram: Telegram) -> Any:
    """The example, with its imports and its address exchanged."""
    text = EXAMPLE.read_text("utf-8")
    assert IMPORTS in text
    assert "https://api.telegram.org" in text
    text = text.replace(IMPORTS, OURS).replace("https://api.telegram.org", telegram.url)
    names: dict[str, Any] = {}
    exec(compile(text, str(EXAMPLE), "exec"), names)
    return names["TelegramPlugin"]()


SECTIONS: dict[str, Any] = {"telegram": {"bot_token": "secret", "groups": [{"id": -5}]}}


async def called(telegram: Telegram) -> tuple[str, dict[str, Any]]:
    return await asyncio.to_thread(telegram.called.get, timeout=20)


async def test_the_example_hears_and_answers(telegram: Telegram, example: Any) -> None:
    telegram.hears("!echo hello")
    async with Bot(echo, example, sections=SECTIONS):
        answer = {"chat_id": "-5", "text": "hello", "reply_to_message_id": "101"}
        assert await called(telegram) == ("sendMessage", answer)


async def test_its_messages_say_who_spoke_where_and_when(telegram: Telegram, example: Any) -> None:
    heard: list[IncomingMessage] = []

    @plugin
    async def listen(message: IncomingMessage) -> str:
        heard.append(message)
        return "yes"

    telegram.hears("hello", reply_to_message={"message_id": 99})
    async with Bot(listen, example, sections=SECTIONS):
        await called(telegram)
    (message,) = heard
    assert (message.channel_type, message.channel_id, message.sender_name) == (
        "telegram", "-5", "Ada",
    )  # fmt: skip
    assert message.timestamp == datetime.fromtimestamp(1_750_000_000, UTC)
    assert (message.id, message.reply_to) == ("101", "99")
    assert message.metadata["raw"] == telegram.updates[0]["message"]


async def test_it_shows_typing_and_is_asked_only_for_what_is_new(
    telegram: Telegram, example: Any
) -> None:
    @plugin
    async def slow(chat: Chat) -> str:
        await chat.typing()
        return "done"

    telegram.hears("work")
    async with Bot(slow, example, sections=SECTIONS):
        calls = [await called(telegram), await called(telegram)]
        assert ("sendChatAction", {"chat_id": "-5", "action": "typing"}) in calls
        telegram.hears("more work")
        while (await called(telegram))[1].get("text") != "done":
            pass
    assert telegram.offsets[0] == 1
    assert telegram.offsets == sorted(telegram.offsets)
    assert telegram.offsets[-1] > 1


async def test_the_session_plugin_speaks_through_it(telegram: Telegram, example: Any) -> None:
    async with Bot(echo, example, sections=SECTIONS) as bot:
        session = bot.gateway.channels.get_plugin("session")
        assert sorted(session.get_channels()) == ["loopback", "telegram"]
        assert session.supports("telegram", "typing")
        assert not session.supports("telegram", "edit")
        assert await session.broadcast("Back soon", exclude_channel="loopback") == 1
        assert await called(telegram) == ("sendMessage", {"chat_id": "-5", "text": "Back soon"})
        result = await session.edit("telegram", "-5", "101", "Tuesday")
        assert result.fallback == "edit: said again, as a new message"
        assert (await called(telegram))[1]["text"] == "(edited) Tuesday"


def test_a_time_without_a_zone_is_that_of_this_machine_here_and_refused_elsewhere() -> None:
    given: dict[str, Any] = {
        "id": "1", "channel_type": "t", "channel_id": "c", "sender_id": "s", "sender_name": "S",
        "content": "", "timestamp": datetime.fromtimestamp(1_750_000_000),
    }  # fmt: skip
    assert cobot.IncomingMessage(**given).timestamp == datetime.fromtimestamp(1_750_000_000, UTC)
    with pytest.raises(MessageError, match="has no time zone"):
        IncomingMessage(**given)


async def test_the_session_plugin_says_what_it_cannot_do() -> None:
    async with Bot(echo) as bot:
        session = bot.gateway.channels.get_plugin("session")
        result = await session.react("pigeon", "c", "1", "\U0001f44d")
        assert result.error == "no channel pigeon; there are loopback"
        await session.presence("away")
        assert bot.loopback.status == "away"
        assert await session.delete("loopback", "you", "1")
        assert await session.typing("loopback", "you")
        assert await session.broadcast("nobody has a default chat") == 0
