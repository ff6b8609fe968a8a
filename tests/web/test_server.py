"""What the server does with connections that nobody should have."""

import asyncio

import pytest

from sessionbot_kit.errors import UsageError
from sessionbot_kit.rest import exchange
from sessionbot_kit.web import server
from tests.web.people import House, house


async def raw(home: House, sent: bytes, *, half_close: bool = False) -> bytes:
    """Send bytes as they are; what came back until the other side closed."""
    reader, writer = await asyncio.open_connection(*home.address)
    try:
        writer.write(sent)
        if half_close:
            writer.write_eof()
        async with asyncio.timeout(15):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def post(path: str, *lines: str, body: bytes = b"") -> bytes:
    head = [f"POST {path} HTTP/1.1", "Host: localhost", *lines, "", ""]
    return "\r\n".join(head).encode() + body


async def alive(home: House) -> bool:
    return (await home.client.get("/healthz")).status_code == 200


async def test_a_body_that_says_that_it_is_too_large_is_refused_before_it_is_read(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "DISCARD_S", 0.05)
    kind = "Content-Type: application/json"
    answer = await raw(home, post("/api/session", kind, "Content-Length: 999999999"))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"too_large"' in answer


async def test_a_body_that_lies_about_its_length_ends_with_its_connection(home: House) -> None:
    body = b'{"cookie": false}'
    sent = post("/api/session", "Content-Type: application/json", "Content-Length: 5000", body=body)
    assert await raw(home, sent, half_close=True) == b""
    assert await alive(home)


async def test_a_body_that_comes_too_slowly_is_refused(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "BODY_TIMEOUT_S", 0.1)
    sent = post("/api/session", "Content-Type: application/json", "Content-Length: 50", body=b"{")
    answer = await raw(home, sent)
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_a_head_that_comes_too_slowly_is_cut(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEAD_TIMEOUT_S", 0.1)
    assert await raw(home, b"GET / HTTP/1.1\r\nHost: loc") == b""
    assert await alive(home)


async def test_a_connection_on_which_nothing_comes_is_cut(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEAD_TIMEOUT_S", 0.1)
    assert await raw(home, b"") == b""


async def test_a_head_without_end_is_cut(home: House) -> None:
    lines = b"".join(b"X-%d: %s\r\n" % (number, b"x" * 1000) for number in range(200))
    assert await raw(home, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + lines) == b""
    assert await alive(home)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x00" * 500,
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_what_is_no_http_is_refused_and_harms_nobody(home: House, nonsense: bytes) -> None:
    answer = await raw(home, nonsense, half_close=True)
    assert answer == b"" or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 404", b"HTTP/1.1 421"))
    assert await alive(home)


async def test_paths_with_strange_bytes_are_not_found(home: House) -> None:
    for path in ("/%00", "/%ff%fe", "/..%2f..%2fetc/passwd", "/assets/..%2fchat.js", "//api/chat"):
        answer = await raw(
            home,
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode(),
        )
        assert answer.startswith(b"HTTP/1.1 404"), path


async def test_a_download_that_nobody_reads_is_cut(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "READ_TIMEOUT_S", 0.1)
    visitor = await home.visitor()
    data = b"x" * 9_000_000
    note = (await home.client.post("/api/uploads", content=data, headers=visitor)).json()
    reader, writer = await asyncio.open_connection(*home.address, limit=1024)
    writer.write(
        f"GET /api/uploads/{note['id']} HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: {visitor['Authorization']}\r\n\r\n".encode()
    )
    assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport of a socket
    lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    poll = asyncio.create_task(_until_cut(writer, lost))
    async with asyncio.timeout(15):
        await lost
    await poll
    assert await alive(home)


async def _until_cut(writer: asyncio.StreamWriter, lost: "asyncio.Future[None]") -> None:
    try:
        while not writer.transport.is_closing():
            writer.write(b"\r\n")
            await writer.drain()
            await asyncio.wait({lost}, timeout=0.02)
    except ConnectionError:
        pass
    writer.transport.abort()
    lost.set_result(None)


async def test_more_connections_than_there_is_room_for_are_sent_away(tmp_path: object) -> None:
    from pathlib import Path

    async with house(Path(str(tmp_path)), max_chats=1) as home, home.talk():
        from websockets.asyncio.client import connect
        from websockets.exceptions import InvalidStatus

        with pytest.raises(InvalidStatus) as refusal:
            await connect(home.ws())
        assert refusal.value.response.status_code == 503


async def test_a_port_that_is_taken_is_said_in_a_sentence(home: House) -> None:
    from sessionbot_kit.web import serve

    with pytest.raises(UsageError, match="choose another port"):
        async with serve(home.bot, port=home.address[1]):
            pass


async def test_a_door_without_a_lock_is_not_opened_to_the_street(home: House) -> None:
    from sessionbot_kit.web import serve

    with pytest.raises(UsageError, match="--dev opens the session API to everybody"):
        async with serve(home.bot, host="0.0.0.0", dev=True):
            pass
