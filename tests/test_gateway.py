import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sessionbot_kit.channel import Deliver
from sessionbot_kit.channels.loopback import Loopback
from sessionbot_kit.errors import KitError, LinkClosed
from sessionbot_kit.events import Sent
from sessionbot_kit.extension import Plugin, PluginMeta, plugin
from sessionbot_kit.gateway import Gateway
from sessionbot_kit.kernel import PluginKernel
from sessionbot_kit.link import Bye, Hello, Offer, Result
from sessionbot_kit.links.memory import MemoryLink, memory_link
from sessionbot_kit.logs import JsonFormatter
from sessionbot_kit.models import IncomingMessage, OutgoingMessage
from sessionbot_kit.plugins import echo
from sessionbot_kit.routes import Route
from sessionbot_kit.stores.sqlite import SqliteStore

ECHO = Hello("bot", "by hand", (Route("echo", prefixes=("!echo",)),))


@asynccontextmanager
async def a_gateway(path: Path, *channels: Any, **options: Any) -> AsyncIterator[Gateway]:
    async with (
        SqliteStore(path) as store,
        Gateway(store, channels=channels or (Loopback(),), **options) as gateway,
    ):
        yield gateway


@asynccontextmanager
async def a_kernel(gateway: Gateway, *plugins: Any) -> AsyncIterator[PluginKernel]:
    outer, inner = memory_link("test kernel")
    async with PluginKernel(*plugins) as kernel:
        gateway.serve(outer)
        serving = asyncio.get_running_loop().create_task(kernel.serve(inner))
        yield kernel
        await inner.close()
        await serving


def by_hand(gateway: Gateway) -> MemoryLink:
    """A link on whose other end the test plays the kernel."""
    outer, inner = memory_link("by hand")
    gateway.serve(outer)
    return inner


def loopback(gateway: Gateway) -> Loopback:
    channel: Loopback = gateway.channels.get_plugin("loopback")
    return channel


async def test_a_message_is_stored_before_any_kernel_is_there(tmp_path: Path) -> None:
    async with a_gateway(tmp_path / "bot.db") as gateway:
        receipt = await loopback(gateway).hear("!echo hello")
        assert [row.id for row in await gateway.store.waiting()] == [receipt.inbox_id]
        async with a_kernel(gateway, echo):
            await gateway.settle(receipt)
        assert loopback(gateway).answers(receipt) == ["hello"]


async def test_a_second_copy_of_a_message_is_dropped(tmp_path: Path) -> None:
    async with a_gateway(tmp_path / "bot.db") as gateway, a_kernel(gateway, echo):
        first = await loopback(gateway).hear("!echo hello", id="m1")
        second = await loopback(gateway).hear("!echo hello", id="m1")
        await gateway.settle()
        assert (first.duplicate, second.duplicate) == (False, True)
        assert loopback(gateway).said_to("you") == ["hello"]


async def test_what_was_not_answered_is_answered_after_a_restart(tmp_path: Path) -> None:
    async with a_gateway(tmp_path / "bot.db") as gateway:
        await loopback(gateway).hear("!echo one")
        await loopback(gateway).hear("!echo two")
    async with a_gateway(tmp_path / "bot.db") as gateway, a_kernel(gateway, echo):
        await gateway.settle()
        assert loopback(gateway).said_to("you") == ["one", "two"]


async def test_what_was_not_sent_is_sent_after_a_restart(tmp_path: Path) -> None:
    await leave_unsent(tmp_path / "bot.db", "hello")
    async with a_gateway(tmp_path / "bot.db") as gateway:
        await gateway.settle()
        assert loopback(gateway).said_to("you") == ["hello"]


async def test_what_was_not_sent_waits_until_its_channel_has_started(tmp_path: Path) -> None:
    class Slow(Loopback):
        started = False

        async def start(self) -> None:
            await super().start()
            await gateway.store.unsent()  # as long as it takes to find what is left
            self.started = True

        async def send(self, message: OutgoingMessage) -> Any:
            assert self.started
            return await super().send(message)

    await leave_unsent(tmp_path / "bot.db", "hello")
    async with SqliteStore(tmp_path / "bot.db") as store:
        gateway = Gateway(store, channels=[Slow()])
        watch = gateway.feed.open()
        async with gateway:
            assert isinstance(await watch.next(), Sent)


async def leave_unsent(path: Path, text: str) -> None:
    """Have an answer that no channel took, and end."""

    class Away(Loopback):
        async def send(self, message: OutgoingMessage) -> Any:
            raise OSError("the platform is away")

    async with a_gateway(path, Away(), drain_s=0) as gateway, a_kernel(gateway, echo):
        receipt = await loopback(gateway).hear(f"!echo {text}")
        await gateway.turns.settle(receipt.session_id)


async def test_a_turn_goes_to_the_next_kernel_when_its_own_has_gone(tmp_path: Path) -> None:
    async with a_gateway(tmp_path / "bot.db") as gateway:
        dying = by_hand(gateway)
        await dying.send(ECHO)
        receipt = await loopback(gateway).hear("!echo hello")
        assert isinstance(await dying.receive(), Offer)
        await dying.close()
        async with a_kernel(gateway, echo):
            await gateway.settle(receipt)
        assert loopback(gateway).answers(receipt) == ["hello"]


def late(offer: Offer, **changes: Any) -> Result:
    fields: dict[str, Any] = {"turn": offer.turn, "attempt": offer.attempt, "epoch": offer.epoch}
    reply = offer.message.reply("from the past", id=f"{offer.turn}/0")
    return Result(**fields | changes, replies=(reply,))


@pytest.mark.parametrize("stale", [{"attempt": 2}, {"epoch": 0}, {"turn": "another"}])
async def test_a_stale_result_is_refused(tmp_path: Path, stale: dict[str, Any]) -> None:
    async with a_gateway(tmp_path / "bot.db") as gateway:
        kernel = by_hand(gateway)
        await kernel.send(ECHO)
        receipt = await loopback(gateway).hear("!echo hello")
        offer = await kernel.receive()
        assert isinstance(offer, Offer)
        await kernel.send(late(offer, **stale))
        reply = offer.message.reply("now", id=f"{offer.turn}/0")
        await kernel.send(Result(offer.turn, offer.attempt, offer.epoch, replies=(reply,)))
        await gateway.settle(receipt)
        assert loopback(gateway).answers(receipt) == ["now"]


async def test_a_kernel_that_was_not_asked_answers_for_nobody(tmp_path: Path) -> None:
    async with a_gateway(tmp_path / "bot.db") as gateway:
        asked, stranger = by_hand(gateway), by_hand(gateway)
        await asked.send(ECHO)
        receipt = await loopback(gateway).hear("!echo hello")
        offer = await asked.receive()
        assert isinstance(offer, Offer)
        await stranger.send(late(offer))
        await stranger.send(Bye())
        with pytest.raises(LinkClosed):
            await stranger.receive()
        await asked.send(late(offer))
        await gateway.settle(receipt)
        assert len(loopback(gateway).answers(receipt)) == 1


async def test_a_channel_that_fails_is_listened_to_again(tmp_path: Path) -> None:
    again = asyncio.Event()

    class Flaky(Plugin):
        meta = PluginMeta(id="flaky", implements={"session.receive": "receive"})
        times = 0

        async def receive(self, deliver: Deliver) -> None:
            self.times += 1
            if self.times == 1:
                raise OSError("on purpose")
            again.set()
            await asyncio.Event().wait()

    async with a_gateway(tmp_path / "bot.db", Flaky()):
        await again.wait()


async def test_the_older_contract_answers_with_a_truth_value(tmp_path: Path) -> None:
    class Old(Loopback):
        def send(self, message: OutgoingMessage) -> bool:  # type: ignore[override]  # the older one
            self.said.append(message)
            return True

    async with a_gateway(tmp_path / "bot.db", Old()) as gateway, a_kernel(gateway, echo):
        receipt = await loopback(gateway).hear("!echo hello")
        await gateway.settle(receipt)
        assert loopback(gateway).answers(receipt) == ["hello"]


async def test_a_gateway_that_does_not_run_refuses_a_message(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "bot.db") as store:
        gateway = Gateway(store)
        with pytest.raises(KitError, match="the gateway of bot is not running; await its start"):
            await gateway.deliver(a_message())


async def test_a_message_that_is_too_large_is_refused_with_the_setting_to_raise(
    tmp_path: Path,
) -> None:
    async with a_gateway(tmp_path / "bot.db", max_message_bytes=100) as gateway:
        with pytest.raises(KitError, match="raise max_message_bytes, or send a link"):
            await loopback(gateway).hear("x" * 101)


async def test_channels_that_cannot_start_leave_the_store_to_others(tmp_path: Path) -> None:
    class Broken(Plugin):
        meta = PluginMeta(id="broken")

        def start(self) -> None:
            raise RuntimeError("on purpose")

    async with SqliteStore(tmp_path / "bot.db") as store:
        with pytest.raises(RuntimeError, match="on purpose"):
            await Gateway(store, channels=[Broken()]).start()  # type: ignore[list-item]  # no channel
        async with Gateway(store):
            pass


async def test_one_id_runs_from_inbound_to_outbound(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(JsonFormatter().format(record))

    keep, room = Keep(), logging.getLogger("sessionbot_kit")
    caplog.set_level(logging.INFO, logger="sessionbot_kit")
    room.addHandler(keep)
    try:
        async with a_gateway(tmp_path / "bot.db") as gateway, a_kernel(gateway, echo):
            receipt = await loopback(gateway).hear("!echo my secret")
            await gateway.settle(receipt)
    finally:
        room.removeHandler(keep)
    way = [line for line in lines if f'"correlation":"{receipt.inbox_id}"' in line]
    events = ("message received", "turn done", "reply sent")
    assert [event for event in events if any(f'"message":"{event}"' in line for line in way)] == [
        *events
    ]
    assert not any("my secret" in line for line in lines)


async def test_a_kernel_that_stops_says_good_bye(tmp_path: Path) -> None:
    outer, inner = memory_link()
    kernel = await PluginKernel(echo).start()
    serving = asyncio.get_running_loop().create_task(kernel.serve(inner))
    assert isinstance(await outer.receive(), Hello)
    await kernel.stop()
    assert isinstance(await outer.receive(), Bye)
    await outer.close()
    await serving
    assert not kernel.registry.running


async def test_a_plugin_that_joins_later_is_announced() -> None:
    outer, inner = memory_link()
    async with PluginKernel(echo) as kernel:
        serving = asyncio.get_running_loop().create_task(kernel.serve(inner))
        await outer.receive()
        await kernel.add(late_comer)
        hello = await outer.receive()
        assert isinstance(hello, Hello)
        assert [route.plugin for route in hello.routes] == ["echo", "late_comer"]
        await outer.close()
        await serving


@plugin("!late")
def late_comer() -> None: ...


def a_message() -> IncomingMessage:
    return IncomingMessage(
        id="1", channel_type="loopback", channel_id="ada", sender_id="ada", sender_name="Ada",
        content="hello", timestamp=datetime.now(UTC),
    )  # fmt: skip


async def test_observers_see_what_comes_and_what_was_sent_and_may_fail(tmp_path: Path) -> None:
    seen: list[str] = []

    class Diary(Plugin):
        meta = PluginMeta(
            id="diary",
            implements={"session.on_receive": "heard", "session.on_send": "said"},
        )

        async def heard(self, message: IncomingMessage) -> None:
            seen.append(f"< {message.content}")
            raise OSError("the pen is empty")

        def said(self, message: OutgoingMessage) -> None:
            seen.append(f"> {message.content}")
            loop.call_soon_threadsafe(both.set)

    loop, both = asyncio.get_running_loop(), asyncio.Event()
    async with a_gateway(tmp_path / "bot.db", Loopback(), Diary()) as gateway:
        async with a_kernel(gateway, echo):
            await gateway.settle(await loopback(gateway).hear("!echo hello"))
        await both.wait()
        assert seen == ["< !echo hello", "> hello"]
        assert not gateway.supports("diary", "send")


async def test_a_slow_channel_that_is_not_async_keeps_no_other_waiting(tmp_path: Path) -> None:
    let_go = threading.Event()

    class Slow(Plugin):
        meta = PluginMeta(id="slow", implements={"session.send": "send"})

        def send(self, message: OutgoingMessage) -> bool:
            return let_go.wait(20)

    async with a_gateway(tmp_path / "bot.db", Loopback(), Slow()) as gateway:
        outlet = gateway._outlets["slow"]
        message = a_message().reply("hello", id="r")
        async with asyncio.TaskGroup() as sends:
            for n in range(40):  # more than the loop has threads
                sends.create_task(outlet.send(message.model_copy(update={"id": f"r{n}"})))
            assert await asyncio.to_thread(lambda: "quick") == "quick"
            let_go.set()
