"""Conversations over a WebSocket, on a real port."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from sessionbot_kit.web.socket import MAX_BAD_FRAMES
from tests.web.people import House, Talk, house


async def test_what_is_said_is_answered(home: House) -> None:
    async with home.talk() as talk:
        assert await talk.says("!echo hello") == "hello"


async def test_one_sees_ones_own_words_with_their_id_and_then_the_answer(home: House) -> None:
    async with home.talk() as talk:
        await talk.says("!echo hello", id="my-own-id")
        mine, answer = [frame for frame in talk.frames if frame["type"] == "message"]
        assert (mine["id"], mine["who"], mine["content"]) == ("my-own-id", "user", "!echo hello")
        assert answer["reply_to"] == "my-own-id"
        assert answer["is_complete"]
        assert mine["n"] < answer["n"]


async def test_a_question_with_choices_comes_with_a_suggestion(home: House) -> None:
    async with home.talk() as talk:
        await talk.says("!size")
        assert (await talk.next("suggestion"))["choices"] == ["small", "large"]
        assert await talk.says("large", id="message-2") == "One large pizza."


async def test_typing_is_shown_while_a_plugin_writes(home: House) -> None:
    async with home.talk() as talk:
        await talk.send({"type": "message", "id": "message-1", "content": "!slow"})
        assert await talk.next("typing") == {"type": "typing"}


async def test_a_stream_is_shown_as_it_grows_and_kept_when_it_is_whole(home: House) -> None:
    visitor = await home.visitor()
    session = await home.bot.sessions.get_session(visitor["x-session"])
    assert session is not None
    async with home.talk(visitor) as talk:
        await home.channel.stream(session.key.chat, "x/0", "Once upon")
        frame = await talk.next()
        assert (frame["content"], frame["is_complete"]) == ("Once upon", False)
        assert await home.channel.page(session.key.chat).newer() == []


async def test_the_history_is_there_for_whoever_comes_back(home: House) -> None:
    visitor = await home.visitor()
    async with home.talk(visitor) as talk:
        await talk.says("!echo hello")
    async with home.talk(visitor) as talk:
        assert [row["content"] for row in talk.frames[0]["messages"]] == ["!echo hello", "hello"]


async def test_a_reconnect_brings_only_what_is_newer(home: House) -> None:
    visitor = await home.visitor()
    async with home.talk(visitor) as talk:
        await talk.says("!echo one")
        seen = talk.frames[-1]["n"]
    await home.client.post("/api/chat", json={"content": "!echo two"}, headers=visitor)
    async with home.talk(visitor, after=seen) as talk:
        assert [row["content"] for row in talk.frames[0]["messages"]] == ["!echo two", "two"]


async def test_a_message_that_is_sent_again_is_answered_once(home: House) -> None:
    async with home.talk() as talk:
        await talk.says("!echo hello", id="the-same-one")
        await talk.send({"type": "message", "id": "the-same-one", "content": "!echo hello"})
        again = await talk.next(who="user")
        assert again["n"] == talk.frames[1]["n"]
        assert await talk.says("!echo next", id="another-one") == "next"


async def test_two_browsers_of_one_person_see_the_same(home: House) -> None:
    visitor = await home.visitor()
    async with home.talk(visitor) as one, home.talk(visitor) as other:
        await one.says("!echo hello")
        assert (await other.next(who="bot"))["content"] == "hello"


async def test_what_the_bot_changes_reaches_the_page_and_stays(home: House) -> None:
    visitor = await home.visitor()
    async with home.talk(visitor) as talk:
        await talk.says("!echo hello")
        answer = talk.frames[-1]
        session = await home.bot.sessions.get_session(visitor["x-session"])
        assert session is not None
        chat = session.key.chat
        assert await home.channel.edit(chat, answer["id"], "hallo")
        assert (await talk.next())["content"] == "hallo"
        assert await home.channel.react(chat, "message-1", "👍")
        assert (await talk.next())["reactions"] == {"👍": ["bot"]}
        assert await home.channel.delete(chat, answer["id"])
        assert (await talk.next())["deleted"]
    async with home.talk(visitor) as talk:
        mine, answer = talk.frames[0]["messages"]
        assert mine["reactions"] == {"👍": ["bot"]}
        assert (answer["content"], answer["deleted"]) == ("", True)


async def test_presence_is_a_status(home: House) -> None:
    visitor = await home.visitor()
    session = await home.bot.sessions.get_session(visitor["x-session"])
    assert session is not None
    async with home.talk(visitor) as talk:
        await home.channel.presence("away")
        assert (await talk.next("status"))["state"] == "away"


async def test_a_conversation_goes_on_after_a_restart(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        visitor = await home.visitor()
        async with home.talk(visitor) as talk:
            assert await talk.says("!size") == "Small or large?"
            seen = talk.frames[-1]["n"]
    async with house(tmp_path) as home, home.talk(visitor, after=seen) as talk:
        assert talk.frames[0]["messages"] == []
        assert await talk.says("small", id="message-2") == "One small pizza."


# Who may not


async def refused(home: House, frame: Any, **options: Any) -> tuple[dict[str, Any], int]:
    async with connect(home.ws(), **options) as socket:
        talk = Talk(socket)
        await socket.send(frame if isinstance(frame, str | bytes) else orjson.dumps(frame).decode())
        error = await talk.next("error")
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        return error, closed.value.rcvd.code if closed.value.rcvd else 0


async def test_a_stolen_guess_is_refused_by_name(home: House) -> None:
    error, code = await refused(home, {"type": "hello", "token": "x" * 43})
    assert (error["code"], code) == ("token_unknown", 4401)


async def test_no_token_at_all_is_refused(home: House) -> None:
    error, code = await refused(home, {"type": "hello"})
    assert (error["code"], code) == ("token_unknown", 4401)


async def test_whoever_does_not_say_hello_is_refused(home: House) -> None:
    error, code = await refused(home, {"type": "message", "id": "12345678", "content": "hi"})
    assert (error["code"], code) == ("hello_first", 4400)


async def test_a_rotated_token_ends_the_conversation_it_has_open(home: House) -> None:
    visitor = await home.visitor()
    async with home.talk(visitor) as talk:
        await home.client.post("/api/session/token", headers=visitor)
        await talk.send({"type": "message", "id": "message-1", "content": "!echo stolen"})
        assert (await talk.next("error"))["code"] == "token_unknown"


async def test_the_token_of_a_closed_session_says_that_it_has_ended(home: House) -> None:
    visitor = await home.visitor()
    await home.client.delete("/api/session", headers=visitor)
    token = visitor["Authorization"].removeprefix("Bearer ")
    error, _ = await refused(home, {"type": "hello", "token": token})
    assert error["code"] == "session_ended"


async def test_the_page_of_another_site_cannot_even_connect(home: House) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        await connect(home.ws(), origin="https://evil.example")  # type: ignore[arg-type]  # an Origin is a str
    assert refusal.value.response.status_code == 403


async def test_a_name_that_is_not_ours_is_refused(home: House) -> None:
    host, port = home.address
    with pytest.raises(InvalidStatus) as refusal:
        await connect(f"ws://rebound.example:{port}/ws", host=host, port=port)
    assert refusal.value.response.status_code == 421


async def test_a_cookie_serves_our_own_page_and_no_program_without_an_origin(home: House) -> None:
    headers = {"Origin": home.door.url}
    begun = await home.client.post("/api/session", json={"cookie": True}, headers=headers)
    name, value = next(iter(begun.cookies.items()))
    cookie = {"Cookie": f"{name}={value}"}
    origin: Any = home.door.url
    async with connect(home.ws(), origin=origin, additional_headers=cookie) as socket:
        await socket.send('{"type":"hello"}')
        assert (await Talk(socket).next("ready"))["session_id"] == begun.json()["session_id"]
    error, _ = await refused(home, {"type": "hello"}, additional_headers=cookie)
    assert error["code"] == "foreign_origin"


# What makes no sense


async def test_a_frame_that_makes_no_sense_is_named_and_the_next_one_is_answered(
    home: House,
) -> None:
    async with home.talk() as talk:
        await talk.send({"type": "message", "id": "no", "content": "hi"})
        assert (await talk.next("error"))["code"] == "invalid"
        assert await talk.says("!echo hello") == "hello"


async def test_whoever_sends_only_nonsense_is_cut(home: House) -> None:
    async with home.talk() as talk:
        for _ in range(MAX_BAD_FRAMES + 1):
            await talk.socket.send("nonsense")
        with pytest.raises(ConnectionClosed):
            await talk.next("ready")
        assert talk.socket.close_code == 4400


async def test_a_frame_that_is_too_large_ends_its_connection_alone(home: House) -> None:
    async with home.talk() as talk, home.talk() as other:
        await talk.socket.send("x" * 300_000)
        with pytest.raises(ConnectionClosed):
            await talk.next("ready")
        assert await other.says("!echo hello") == "hello"


async def test_too_many_messages_are_told_when_to_come_back(home: House) -> None:
    async with home.talk() as talk:
        for number in range(70):
            frame = {"type": "message", "id": f"message-{number}", "content": "!echo hello"}
            await talk.send(frame)
        error = await talk.next("error")
        assert error["code"] == "rate_limited"
        assert error["again_s"] >= 1


async def test_a_client_that_never_reads_is_let_go_of_and_holds_up_nobody(home: House) -> None:
    visitor = await home.visitor()
    session = await home.bot.sessions.get_session(visitor["x-session"])
    assert session is not None
    token = visitor["Authorization"].removeprefix("Bearer ")
    reader, writer = await asyncio.open_connection(*home.address)
    writer.write(
        b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    hello = orjson.dumps({"type": "hello", "token": token})
    writer.write(bytes([0x81, 0x80 | len(hello)]) + bytes(4) + hello)
    await reader.readuntil(b'"messages":[]}')
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport of a socket
    for _ in range(200):
        await home.channel.stream(session.key.chat, "x/0", "x" * 100_000)
        await asyncio.sleep(0)
    assert home.channel.viewers == 0
    writer.transport.abort()
    async with home.talk() as talk:
        assert await talk.says("!echo hello") == "hello"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
FIELDS = {"type": st.sampled_from(["hello", "message", "typing", "ready"]) | JSON}
FRAMES = st.one_of(
    st.text(max_size=200),
    st.binary(max_size=200),
    st.builds(lambda value: orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode(), JSON),
    st.fixed_dictionaries(
        FIELDS, optional={name: JSON for name in ("id", "content", "files", "token", "after")}
    ).map(lambda frame: orjson.dumps(frame, default=str).decode()),
)


@given(frames=st.lists(FRAMES, min_size=1, max_size=6))
@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
async def test_no_frame_whatever_breaks_the_door(home: House, frames: list[str | bytes]) -> None:
    try:
        async with connect(home.ws()) as socket:
            for frame in frames:
                await socket.send(frame)
            await socket.recv()
    except ConnectionClosed as closed:
        assert closed.rcvd is None or closed.rcvd.code in (4400, 4401)
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{home.door.url}/healthz")).status_code == 200
