"""Plugins of the original contract run unchanged."""

import base64
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sessionbot_kit import Bot
from sessionbot_kit.errors import MessageError, PluginError
from sessionbot_kit.models import IncomingMessage, Media
from sessionbot_kit.original_plugins import OriginalPlugin

FOLDER = Path(__file__).parent / "data" / "original_plugins"


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def message(text: str, *media: Media) -> IncomingMessage:
    return IncomingMessage(
        id="1",
        channel_type="web",
        channel_id="c",
        sender_id="ada",
        sender_name="Ada",
        content=text.partition(" ")[2],
        raw_content=text,
        timestamp=datetime(2026, 1, 2, tzinfo=UTC),
        media=media,
    )


class Observer:
    def __init__(self, manager: Any, prefix: str = "!old") -> None:
        self.manager = manager
        self.word = prefix
        self.heard: list[Any] = []

    def prefix(self) -> str:
        return self.word

    async def notify(self, msg: str, to: str, attachments: list[dict[str, str]]) -> None:
        self.heard.append((msg, to, attachments))
        await self.manager.notify(msg[::-1], to, attachments)


class Old:
    def __init__(self, observable: Any, data_path: str = "/data") -> None:
        self.observable = observable
        self.stopped = False

    def start(self) -> None:
        self.observer = Observer(self.observable)
        self.observable.subscribe(self.observer)

    def stop(self) -> None:
        self.stopped = True


async def test_a_plugin_in_a_folder_runs_in_a_bot_unchanged() -> None:
    async with Bot(OriginalPlugin(FOLDER / "shout")) as bot:
        assert await bot.hear("!shout hello there") == ["one moment", "HELLO THERE"]


async def test_an_observer_gets_the_rest_the_person_and_the_files() -> None:
    plugin = OriginalPlugin(Old, id="old")
    await plugin.start()
    cat = Media.from_bytes(b"meow", name="cat.png")
    (reply,) = await plugin.answer(message("!old abc", cat))
    assert (reply.content, reply.media) == ("cba", (cat,))
    content = base64.b64encode(b"meow").decode()
    observer = plugin.observers["!old"]
    assert isinstance(observer, Observer)
    assert observer.heard == [
        ("abc", "ada", [{"name": "cat.png", "type": "image/png", "content": content}])
    ]


async def test_without_its_prefix_the_first_observer_gets_the_whole_text() -> None:
    plugin = OriginalPlugin(Old, id="old", default=True)
    await plugin.start()
    assert [reply.content for reply in await plugin.answer(message("hello you"))] == ["uoy olleh"]


async def test_prefixes_are_known_when_it_has_started_and_gone_when_it_has_stopped() -> None:
    plugin = OriginalPlugin(Old, id="old")
    assert list(plugin.prefixes) == []
    await plugin.start()
    assert list(plugin.prefixes) == ["!old"]
    old = plugin._plugin
    assert isinstance(old, Old)
    await plugin.stop()
    assert old.stopped
    assert list(plugin.prefixes) == []


async def test_an_observer_can_leave() -> None:
    plugin = OriginalPlugin(Old, id="old")
    await plugin.start()
    other = Observer(plugin, "!other")
    plugin.subscribe(other)
    plugin.unsubscribe(other)
    assert plugin.prefixes == ("!old",)


async def test_an_answer_outside_a_turn_is_dropped_and_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    plugin = OriginalPlugin(Old, id="old")
    await plugin.notify("late", "ada", [])
    assert "an answer outside a turn was dropped" in caplog.text


async def test_two_turns_of_one_person_at_once_are_refused() -> None:
    plugin = OriginalPlugin(Old, id="old")
    await plugin.start()

    class Nested(Observer):
        async def notify(self, msg: str, to: str, attachments: list[dict[str, str]]) -> None:
            await plugin.answer(message("!old again"))

    plugin.subscribe(Nested(plugin))
    with pytest.raises(MessageError, match="is answering ada already"):
        await plugin.answer(message("!old once"))


async def test_a_plugin_that_subscribes_nobody_says_what_to_do() -> None:
    class Silent(Old):
        def start(self) -> None:
            pass

    with pytest.raises(PluginError, match=r"call observable\.subscribe\(observer\) in start"):
        await OriginalPlugin(Silent, id="silent").start()


def test_a_folder_without_its_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="holds no package"):
        OriginalPlugin(tmp_path)


def test_a_package_without_a_plugin_is_refused(tmp_path: Path) -> None:
    package = tmp_path / "empty_one" / "empty_one"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    with pytest.raises(PluginError, match="has no Plugin; export the class"):
        OriginalPlugin(tmp_path / "empty_one")


def test_a_package_that_needs_what_is_not_here_is_refused(tmp_path: Path) -> None:
    package = tmp_path / "needy_one" / "needy_one"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import not_installed_anywhere")
    with pytest.raises(PluginError, match="not_installed_anywhere"):
        OriginalPlugin(tmp_path / "needy_one")
