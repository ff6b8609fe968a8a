"""A language model behind HTTP, and what becomes of an answer when its server misbehaves."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from importlib.metadata import EntryPoint
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit import llms
from sessionbot_kit.errors import ModelError, SettingsError
from sessionbot_kit.llm import Completion, ToolCall, ToolSpec, Usage
from sessionbot_kit.llms import ModelLimits, OpenAICompatible, Scripted, open_model
from sessionbot_kit.llms.openai_compatible.answer_parts import MAX_TOOL_CALLS
from sessionbot_kit.llms.openai_compatible.server_events import EventStream
from tests.model_server import (
    DONE,
    Behavior,
    ModelServer,
    answer,
    endless,
    event,
    hang,
    model_server,
    nothing,
    say,
    slam,
    stream,
)

HELLO = [{"role": "user", "content": "Hello!"}]
IMPATIENT: dict[str, Any] = {"first_token_s": 0.05, "next_token_s": 0.05, "tries": 1}


class Naps(list[float]):
    """Sleeps that are written down and take no time."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


class Listener(list[str]):
    async def __call__(self, piece: str) -> None:
        self.append(piece)


@asynccontextmanager
async def talking(
    *behaviors: Behavior, key: str | None = None, **limits: Any
) -> AsyncIterator[tuple[OpenAICompatible, ModelServer, Naps]]:
    naps = Naps()
    async with (
        model_server(*behaviors) as server,
        OpenAICompatible(
            server.url, model="m", key=key, limits=ModelLimits(**limits), sleep=naps
        ) as model,
    ):
        yield model, server, naps


async def refusal(*behaviors: Behavior, streamed: bool = True, **more: Any) -> ModelError:
    async with talking(*behaviors, **more) as (model, _, _):
        with pytest.raises(ModelError) as caught:
            await model.chat(HELLO, stream=Listener() if streamed else None)
    return caught.value


# What goes well


async def test_an_answer_comes_piece_by_piece_and_whole() -> None:
    pieces = Listener()
    async with talking(say("Hel", "lo, ", "wörld")) as (model, server, _):
        completion = await model.chat(HELLO, stream=pieces, max_tokens=9, temperature=0.5)
    assert pieces == ["Hel", "lo, ", "wörld"]
    assert completion == Completion("Hello, wörld", model="served", usage=Usage(7, 3))
    sent = server.requests[0]
    assert (sent["messages"], sent["max_tokens"], sent["temperature"]) == (HELLO, 9, 0.5)


async def test_an_answer_may_come_as_a_whole_although_a_stream_was_wanted() -> None:
    whole = {"choices": [{"message": {"content": "Hello"}, "finish_reason": "length"}]}
    pieces = Listener()
    async with talking(answer(whole)) as (model, _, _):
        completion = await model.chat(HELLO, stream=pieces)
    assert (completion.content, completion.finish, list(pieces)) == ("Hello", "length", ["Hello"])
    assert completion.usage == Usage(2, 2, estimated=True)


async def test_pieces_of_a_tool_call_are_joined() -> None:
    parts = [
        event(delta={"tool_calls": [{"index": 0, "id": "a", "function": {"name": "add"}}]}),
        event(delta={"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]}),
        event(delta={"tool_calls": [{"index": 1, "id": "b", "function": {"name": "stop"}}]}),
        event(delta={"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]}),
    ]
    async with talking(stream(*parts, event(finish_reason="tool_calls"), DONE)) as (model, s, _):
        done = await model.chat(HELLO, stream=Listener(), tools=[ToolSpec("add", "Add.", {})])
    assert done.tool_calls == (ToolCall("a", "add", '{"a": 1}'), ToolCall("b", "stop", "{}"))
    assert s.requests[0]["tools"][0]["function"]["name"] == "add"


async def test_arguments_that_come_as_an_object_are_taken_as_text() -> None:
    call = {"id": "a", "function": {"name": "add", "arguments": {"a": 1}}}
    whole = {"choices": [{"message": {"content": None, "tool_calls": [call]}}]}
    async with talking(answer(whole)) as (model, _, _):
        done = await model.chat(HELLO)
    assert done.tool_calls == (ToolCall("a", "add", '{"a":1}'),)
    assert done.finish == "tool_calls"


async def test_texts_become_vectors_in_their_order_and_in_batches() -> None:
    def rows(*values: float) -> Behavior:
        data = [{"index": n, "embedding": [v, 0]} for n, v in enumerate(values)]
        return answer({"data": data[::-1]})

    async with talking(rows(1, 2), rows(3), embed_batch=2) as (model, server, _):
        assert await model.embed(["a", "b", "c"]) == [[1, 0], [2, 0], [3, 0]]
    assert [sent["input"] for sent in server.requests] == [["a", "b"], ["c"]]


async def test_a_server_says_which_models_it_has() -> None:
    async with talking(answer({"data": [{"id": "small"}, {"id": "large"}]})) as (model, _, _):
        assert await model.models() == ["small", "large"]


# What is tried again


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_busy_or_broken_server_is_asked_again(status: int) -> None:
    async with talking(answer({}, status), say("Hello")) as (model, server, naps):
        assert (await model.chat(HELLO, stream=Listener())).content == "Hello"
    assert (len(server.requests), len(naps)) == (2, 1)


async def test_a_server_that_slams_the_door_is_asked_again() -> None:
    async with talking(slam(), say("Hello")) as (model, _, naps):
        assert (await model.chat(HELLO)).content == "Hello"
    assert len(naps) == 1


async def test_the_server_says_when_to_come_back() -> None:
    async with talking(answer({}, 429, retry_after="7"), say("Hello")) as (model, _, naps):
        await model.chat(HELLO)
    assert naps == [7.0]


async def test_a_date_may_say_when_to_come_back() -> None:
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=9), usegmt=True)
    async with talking(answer({}, 503, retry_after=when), say("Hello")) as (model, _, naps):
        await model.chat(HELLO)
    assert 5 < naps[0] <= 9


async def test_who_shall_come_back_too_late_is_told_at_once() -> None:
    error = await refusal(answer({}, 429, retry_after="3600"))
    assert (error.status, error.retry_after) == (429, 3600.0)


async def test_tries_have_an_end() -> None:
    async with talking(answer({}, 500), tries=3) as (model, server, naps):
        with pytest.raises(ModelError, match="status 500"):
            await model.chat(HELLO)
    assert (len(server.requests), len(naps)) == (3, 2)


async def test_what_was_shown_is_not_said_twice() -> None:
    pieces = Listener()
    async with talking(stream(event("Half an")), say("never")) as (model, server, naps):
        with pytest.raises(ModelError, match="in the middle") as caught:
            await model.chat(HELLO, stream=pieces)
    assert (caught.value.partial, list(pieces), list(naps)) == ("Half an", ["Half an"], [])
    assert len(server.requests) == 1


# What is refused


async def test_a_server_that_never_answers_is_given_up() -> None:
    assert "is silent" in str(await refusal(nothing(), **IMPATIENT))


async def test_a_stream_that_only_keeps_its_connection_open_is_given_up() -> None:
    error = await refusal(hang(event("Half")), total_s=0.1, tries=1)
    assert "did not finish within 0.1 s" in str(error)
    assert error.partial == "Half"


async def test_a_stream_that_goes_silent_is_given_up_and_tells_what_it_had() -> None:
    async def behave(writer: asyncio.StreamWriter) -> None:
        await stream(event("Half"))(writer)
        await asyncio.Event().wait()

    error = await refusal(behave, first_token_s=5, next_token_s=0.05)
    assert "is silent" in str(error)
    assert error.partial == "Half"


async def test_a_server_that_is_not_there_is_named() -> None:
    async with model_server(say("Hello")) as server:
        url = server.url
    model = OpenAICompatible(url, model="m", limits=ModelLimits(tries=2), sleep=Naps())
    with pytest.raises(ModelError, match=f"m at {url} cannot be reached"):
        await model.chat(HELLO)
    await model.aclose()


@pytest.mark.parametrize(
    ("behavior", "words"),
    [
        (stream(b"data: {not json\n\n"), "not JSON"),
        (stream(b"data: \xff\xfe\x00garbage\n\n"), "not JSON"),
        (stream(b"data: [1, 2]\n\n"), "no answer"),
        (stream(b'data: {"choices": [3]}\n\n'), "not laid out"),
        (stream(b'data: {"choices": {"a": 1}}\n\n'), "not laid out"),
        (stream(b'data: {"error": {"message": "out of memory"}}\n\n'), "out of memory"),
        (stream(event("Half"), event()), "in the middle"),
        (stream(b""), "in the middle"),
        (answer(b"<html><h1>It works!</h1>", kind="text/html"), "web page"),
        (answer({"detail": "hm"}), "no choices"),
        (answer([]), "no answer"),
        (answer(b"", kind="text/plain"), "in the middle"),
        (answer(b"{"), "not JSON"),
        (answer({"error": "no such model"}, 404), "check the url"),
        (answer(b"<html>Sign in", 401, kind="text/html"), "check the key"),
        (endless(b"x" * 5_000), "a line of more than"),
    ],
)
async def test_what_is_no_answer_is_refused_with_what_to_do(behavior: Behavior, words: str) -> None:
    assert words in str(await refusal(behavior, tries=1))


async def test_a_million_tokens_are_cut_where_the_answer_may_end() -> None:
    async with talking(endless(event("word ")), answer_chars=10_000) as (model, server, _):
        completion = await model.chat(HELLO, stream=Listener())
        assert (len(completion.content), completion.finish) == (10_000, "length")
        async with asyncio.timeout(10):
            await server.dropped.wait()  # and the server is not listened to any longer


async def test_a_body_that_is_too_large_is_not_read_to_its_end() -> None:
    huge = answer(b" " * 50_000)
    assert "more than 10,000 bytes" in str(await refusal(huge, streamed=False, body_bytes=10_000))


async def test_too_many_calls_and_too_long_arguments_are_refused() -> None:
    calls = [{"index": n, "function": {"name": "a"}} for n in range(MAX_TOOL_CALLS + 1)]
    assert "tools called at once" in str(await refusal(stream(event(delta={"tool_calls": calls}))))
    long = [{"index": 0, "function": {"name": "a", "arguments": "x" * 60_000}}]
    twice = stream(*[event(delta={"tool_calls": long})] * 2)
    assert "100,000 characters" in str(await refusal(twice))


@pytest.mark.parametrize(
    "data",
    [
        [],
        [{"embedding": ["a"]}],
        [{"embedding": [1e999]}],
        [{}],
        ["row"],
        {"a": 1},
        [{"embedding": [1]}, {"embedding": [1]}],
    ],
)
async def test_vectors_that_are_none_are_refused(data: Any) -> None:
    async with talking(answer(json.dumps({"data": data}).encode()), tries=1) as (model, _, _):
        with pytest.raises(ModelError):
            await model.embed(["a text"])


async def test_vectors_of_several_lengths_are_refused() -> None:
    rows = [{"embedding": [1]}, {"embedding": [1, 2]}]
    async with talking(answer({"data": rows})) as (model, _, _):
        with pytest.raises(ModelError, match="several lengths"):
            await model.embed(["a", "b"])


async def test_who_is_canceled_hangs_up() -> None:
    first = asyncio.Event()

    async def show(piece: str) -> None:
        first.set()

    async with talking(hang(event("Half"))) as (model, server, _):
        talk = asyncio.ensure_future(model.chat(HELLO, stream=show))
        await first.wait()
        talk.cancel()
        with pytest.raises(asyncio.CancelledError):
            await talk
        async with asyncio.timeout(10):
            await server.dropped.wait()


async def test_the_key_goes_to_the_server_and_nowhere_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    told = answer({"error": "Incorrect API key: sk-t0psecret"}, 401)
    async with talking(told, key="sk-t0psecret") as (model, server, _):
        with pytest.raises(ModelError) as caught:
            await model.chat(HELLO)
        assert "Bearer sk-t0psecret" in server.headers[0]
        seen = f"{caught.value!r} {model!r} {caplog.text}"
    assert "***" in str(caught.value)
    assert "sk-t0psecret" not in seen


async def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with talking(say("Hello"), tries=1) as (model, _, _):
        assert (await model.chat(HELLO)).content == "Hello"


@given(st.lists(st.text(max_size=5), max_size=8), st.data())
def test_a_stream_may_be_cut_anywhere(texts: list[str], data: st.DataObject) -> None:
    lines = [json.dumps(text) for text in texts]
    raw = "".join(f": note\r\nevent: x\r\ndata: {line}\r\n\r\n" for line in lines).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6)))
    events, found = EventStream(max_line_bytes=1_000), []
    for begin, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        found += events.feed(raw[begin:end])
    assert [part.decode() for part in found + events.end()] == lines


# Which model


async def test_without_a_url_there_is_no_model_and_no_call() -> None:
    assert open_model({}) is None
    assert open_model({"model": "llama3.2", "key": "sk-1"}) is None


async def test_settings_make_a_model_with_its_limits() -> None:
    model = open_model({"url": "http://localhost:1/v1/", "model": "m", "tries": 2})
    assert isinstance(model, OpenAICompatible)
    assert (repr(model), model.limits.tries) == ("m at http://localhost:1/v1", 2)


@pytest.mark.parametrize(
    "section",
    [
        {"url": "localhost:11434", "model": "m"},
        {"url": "http://localhost:1/v1"},
        {"kind": "openai_compatible"},
        {"kind": "telepathy"},
        {"url": "http://localhost:1", "model": "m", "tries": 0},
    ],
)
def test_a_model_that_cannot_work_is_refused(section: Mapping[str, Any]) -> None:
    with pytest.raises(SettingsError):
        open_model(section)


async def test_a_model_may_come_from_another_package(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("mine", "tests.test_llms:make_mine", llms.GROUP)

    def found(*, group: str, name: str = "mine") -> list[EntryPoint]:
        return [entry] if (group, name) == (llms.GROUP, "mine") else []

    monkeypatch.setattr(llms, "entry_points", found)
    model = open_model({"kind": "mine", "greeting": "Hello from afar"})
    assert model is not None
    assert (await model.chat(HELLO)).content == "Hello from afar"


def make_mine(section: Mapping[str, Any]) -> Scripted:
    return Scripted([section["greeting"]])


# The script


async def test_the_script_says_plainly_that_it_is_no_model() -> None:
    completion = await Scripted().chat(HELLO)
    assert completion.content == (
        "(No language model is at work here: this is a script.) You said: Hello!"
    )
    assert completion.model == "scripted"


async def test_a_script_says_its_lines_and_calls_its_tools() -> None:
    pieces, call = Listener(), ToolCall("1", "add")
    model = Scripted([call, "It is three.", Completion("cut", finish="length")])
    assert (await model.chat(HELLO)).tool_calls == (call,)
    assert (await model.chat(HELLO, stream=pieces)).content == "".join(pieces) == "It is three."
    assert (await model.chat(HELLO)).finish == "length"
    assert (await model.chat([])).content.endswith("script.)")


async def test_a_function_may_be_the_script() -> None:
    model = Scripted(lambda messages: f"{len(messages)} messages")
    assert (await model.chat(HELLO)).content == "1 messages"
    assert model.asked[0].messages == tuple(HELLO)


async def test_vectors_of_the_script_are_near_when_words_are_alike() -> None:
    model = Scripted()
    a, b, c = await model.embed(["a red cat", "the red cat", "quarterly figures"])
    assert likeness(a, b) > likeness(a, c)
    assert likeness(a, a) == pytest.approx(1.0)


def likeness(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def test_what_was_used_adds_up() -> None:
    assert Usage(1, 2) + Usage(3, 4, estimated=True) == Usage(4, 6, estimated=True)
    assert Usage(1, 2).total_tokens == 3
