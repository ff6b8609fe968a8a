import asyncio
from typing import Any

import pytest

from sessionbot_kit.errors import PluginError
from sessionbot_kit.extension import Plugin, PluginMeta, plugin
from sessionbot_kit.registry import Registry, call


class Recorder(Plugin):
    """Notes in a shared diary what happens to it."""

    def __init__(self, id: str, diary: list[str], *, fails: bool = False, **meta: Any) -> None:
        self.meta = PluginMeta(id=id, **meta)
        self.diary = diary
        self.fails = fails

    def configure(self, config: Any) -> None:
        if config:
            self.diary.append(f"configure {self.meta.id} {dict(config)}")

    async def start(self) -> None:
        if self.fails:
            raise RuntimeError("on purpose")
        self.diary.append(f"start {self.meta.id}")

    def stop(self) -> None:
        self.diary.append(f"stop {self.meta.id}")


async def test_plugins_start_in_order_and_stop_in_reverse() -> None:
    diary: list[str] = []
    registry = Registry(
        [Recorder("top", diary, dependencies=("base",), priority=1), Recorder("base", diary)]
    )
    await registry.start({"base": {"depth": 3}})
    await registry.stop()
    assert diary == [
        "configure base {'depth': 3}", "start base", "start top", "stop top", "stop base",
    ]  # fmt: skip


async def test_one_that_cannot_start_stops_those_that_had() -> None:
    diary: list[str] = []
    registry = Registry(
        [Recorder("a", diary), Recorder("b", diary, fails=True), Recorder("c", diary)]
    )
    with pytest.raises(RuntimeError, match="on purpose"):
        await registry.start()
    assert diary == ["start a", "stop a"]
    assert not registry.running


async def test_one_that_cannot_stop_keeps_nobody_from_stopping(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Stubborn(Recorder):
        def stop(self) -> None:
            raise RuntimeError("on purpose")

    diary: list[str] = []
    registry = Registry([Recorder("a", diary), Stubborn("b", diary)])
    await registry.start()
    await registry.stop()
    assert diary == ["start a", "start b", "stop a"]
    assert "plugin did not stop" in caplog.messages


async def test_a_start_that_never_ends_is_given_up() -> None:
    class Sleeper(Plugin):
        meta = PluginMeta(id="sleeper")

        async def start(self) -> None:
            await asyncio.Event().wait()

    with pytest.raises(PluginError, match=r"sleeper did not start within 0\.01 s"):
        await Registry([Sleeper()], start_timeout_s=0.01).start()


def test_two_plugins_never_share_an_id() -> None:
    with pytest.raises(PluginError, match="there is a plugin a already"):
        Registry([Recorder("a", []), Recorder("a", [])])


def test_two_plugins_never_share_a_prefix() -> None:
    @plugin("!go", "!run")
    def one() -> None: ...

    @plugin("!run")
    def two() -> None: ...

    with pytest.raises(PluginError, match="two and one both want !run; change one of them"):
        Registry([one, two])


def test_what_is_no_plugin_is_refused_with_the_mend() -> None:
    def echo() -> None: ...

    with pytest.raises(PluginError, match="echo is no plugin; write @plugin above it"):
        Registry([echo])  # type: ignore[list-item]  # the mistake under test
    with pytest.raises(PluginError, match="Recorder is no plugin"):
        Registry([Recorder])  # type: ignore[list-item]  # the mistake under test


def test_a_class_is_no_instance() -> None:
    class Tarot(Plugin):
        meta = PluginMeta(id="tarot")

    with pytest.raises(PluginError, match=r"join an instance: Tarot\(\)"):
        Registry([Tarot])


def test_a_method_that_is_not_there_is_named() -> None:
    with pytest.raises(PluginError, match=r"a implements llm by think, which it does not have"):
        Registry([Recorder("a", [], implements={"llm": "think"})])


def test_implementations_come_in_order_of_priority_and_id() -> None:
    class Llm(Recorder):
        def think(self) -> None: ...

    point = {"llm": "think"}
    registry = Registry(
        [Llm("c", [], implements=point), Llm("b", [], implements=point),
         Llm("a", [], implements=point, priority=60)]
    )  # fmt: skip
    found = registry.get_implementations("llm")
    assert [(id, method) for id, _, method in found] == [
        ("b", "think"), ("c", "think"), ("a", "think"),
    ]  # fmt: skip
    assert registry.get_implementations("tools") == []


async def test_everybody_is_asked_and_none_is_left_out() -> None:
    class Counter(Recorder):
        def count(self, start: int) -> int | None:
            return None if self.meta.id == "b" else start + len(self.meta.id)

    registry = Registry(
        [Counter(id, [], extension_points=("count.up",), implements={"count.up": "count"})
         for id in ("a", "b", "ccc")]
    )  # fmt: skip
    assert await registry.call_extension("count.up", 10) == [11, 13]


async def test_a_chain_passes_its_context_on_until_somebody_aborts() -> None:
    class Link(Recorder):
        async def add(self, ctx: dict[str, Any]) -> dict[str, Any] | None:
            ctx["seen"].append(self.meta.id)
            return {**ctx, "abort": True} if self.meta.id == "b" else None

    registry = Registry([Link(id, [], implements={"chat.before": "add"}) for id in ("a", "b", "c")])
    ctx = await registry.call_extension_chain("chat.before", {"seen": []})
    assert ctx == {"seen": ["a", "b"], "abort": True}


async def test_a_plugin_can_join_while_the_others_run() -> None:
    diary: list[str] = []
    registry = Registry([Recorder("a", diary)])
    await registry.start()
    assert await registry.swap(Recorder("b", diary)) is None
    with pytest.raises(PluginError, match=r"c did not start: RuntimeError: on purpose \(.*:\d+ in"):
        await registry.swap(Recorder("c", diary, fails=True))
    assert "c" not in registry
    await registry.stop()
    assert diary == ["start a", "start b", "stop b", "stop a"]


async def test_a_running_plugin_is_not_removed() -> None:
    registry = Registry([Recorder("a", [])])
    await registry.start()
    with pytest.raises(PluginError, match="a is running; stop it first"):
        registry.remove("a")
    await registry.stop()
    registry.remove("a")
    assert len(registry) == 0


async def test_sync_code_runs_in_a_thread_and_async_code_in_the_loop() -> None:
    import threading

    async def here() -> int:
        return threading.get_ident()

    assert await call(threading.get_ident) != threading.get_ident()
    assert await call(here) == threading.get_ident()


def test_an_object_that_only_has_a_meta_is_no_plugin() -> None:
    class Hollow:
        meta = PluginMeta(id="hollow")

    with pytest.raises(PluginError, match="hollow has a meta and nothing else; name what it does"):
        Registry([Hollow()])


async def test_a_point_that_nobody_declares_is_a_misspelled_one() -> None:
    with pytest.raises(PluginError, match=r"no extension point chat.befor; did you mean chat.bef"):
        await Registry().call_extension("chat.befor")
    with pytest.raises(PluginError, match="point zzz; declare it in extension_points"):
        await Registry().call_extension_chain("zzz", {})
