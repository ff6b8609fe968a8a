"""Who may open a WebSocket here."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection

from sessionbot_kit.errors import UsageError
from sessionbot_kit.links.websocket import Rules, one_token, serve_links
from sessionbot_kit.links.websocket.upgrade import MAX_FAILURES, Gate, host_of, is_loopback
from tests.link_people import Hall, hall, joined

CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "bad_frames.jsonl").read_text().splitlines()
]
REFUSED = {case["name"]: case for case in CASES if case["expect"].startswith("http(")}


async def knock(place: Hall, **headers: str | None) -> int:
    """Ask for a WebSocket with these headers, and read the status of the answer."""
    port = place.server.port
    sent: dict[str, str | None] = {
        "Host": f"127.0.0.1:{port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "x3JJHMbDL1EzLkh9GBhXDw==",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "sbk.json.v1",
        "Authorization": "Bearer good",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"{name}: {value}" for name, value in sent.items() if value is not None]
    writer.write("\r\n".join(["GET / HTTP/1.1", *lines, "", ""]).encode())
    status = int((await reader.readline()).split()[1])
    writer.close()
    await writer.wait_closed()
    return status


@pytest.fixture
async def guarded() -> AsyncIterator[Hall]:
    async with hall(check_token=one_token("good")) as place:
        yield place


async def test_who_shows_the_token_is_let_in(guarded: Hall) -> None:
    assert await knock(guarded) == 101
    assert await knock(guarded, Authorization="bearer  good") == 101


@pytest.mark.parametrize(
    "name",
    [
        "no_token",
        "bad_token",
        "expired_token",
        "origin_mismatch",
        "host_rebinding",
        "unknown_subprotocol",
    ],
)
async def test_who_must_not_come_in_is_refused_before_there_is_a_socket(
    guarded: Hall, name: str
) -> None:
    case = REFUSED[name]
    headers = {key.replace("-", "_"): value for key, value in case["http"]["headers"].items()}
    if name == "no_token":
        headers = {"Authorization": None}
    assert case["expect"] == f"http({await knock(guarded, **headers)})"
    assert guarded.server.links == ()


@pytest.mark.parametrize("value", ["", "good", "Basic good", "Bearer", "Bearer good good"])
async def test_a_token_in_another_form_is_refused(guarded: Hall, value: str) -> None:
    assert await knock(guarded, Authorization=value) == 401


async def test_one_connection_too_many_is_refused() -> None:
    async with hall(rules=Rules(max_connections=2)) as place, joined(place), joined(place):
        assert await knock(place) == 503


async def test_one_identity_cannot_take_all_connections() -> None:
    rules = Rules(max_connections=3, max_connections_of_one=1)
    async with hall(rules=rules, check_token=str) as place, joined(place, token="ada"):
        assert await knock(place, Authorization="Bearer ada") == 503
        assert await knock(place, Authorization="Bearer eve") == 101


async def test_who_guesses_tokens_is_told_to_wait_and_who_knows_one_is_not(guarded: Hall) -> None:
    for _ in range(MAX_FAILURES):
        assert await knock(guarded, Authorization="Bearer guess") == 401
    assert await knock(guarded, Authorization="Bearer guess") == 429
    assert await knock(guarded) == 101


async def test_a_handshake_that_drips_is_cut_off() -> None:
    async with hall(rules=Rules(open_timeout_s=0.05)) as place:
        reader, writer = await asyncio.open_connection("127.0.0.1", place.server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: ")
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_more_hosts_and_origins_can_be_allowed() -> None:
    async with hall(hosts=["bot.example"], origins=["https://bot.example"]) as place:
        assert await knock(place, Host="bot.example", Origin="https://bot.example") == 101
        assert await knock(place, Host="bot.example:443", Origin="http://bot.example") == 403


async def test_without_a_subprotocol_there_is_no_link(guarded: Hall) -> None:
    assert await knock(guarded, Sec_WebSocket_Protocol=None) == 400


async def test_an_original_peer_shows_no_token_and_still_needs_a_host_and_no_origin() -> None:
    async def hang_up(socket: ServerConnection) -> None:
        await socket.close()

    async with hall(check_token=one_token("good"), on_original_peer=hang_up) as place:
        plain: dict[str, str | None] = {"Authorization": None, "Sec_WebSocket_Protocol": None}
        assert await knock(place, **plain) == 101
        assert await knock(place, **plain, Origin="https://evil.example") == 403
        assert await knock(place, **plain, Host="evil.example") == 403
        assert await knock(place, Authorization=None) == 401


@pytest.mark.parametrize("options", [{}, {"check_token": str, "on_original_peer": print}])
def test_more_than_this_machine_is_served_only_with_a_token(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"0\.0\.0\.0 to anybody; give check_token"):
        serve_links(print, host="0.0.0.0", **options)  # type: ignore[arg-type]  # by design


async def test_a_failure_is_forgotten_after_a_while() -> None:
    gate = Gate(hosts=["h"], check_token=one_token("good"))
    times = [0.0] * 20 + [120.0]
    statuses = [(await gate.check({"Host": "h"}, "1.2.3.4", time))[0] for time in times]
    assert statuses == [401] * 10 + [429] * 10 + [401]


async def test_failures_are_counted_for_a_bounded_number_of_addresses() -> None:
    gate = Gate(hosts=["h"], check_token=one_token("good"))
    for number in range(3_000):
        await gate.check({"Host": "h"}, f"10.0.{number // 256}.{number % 256}", 0.0)
    assert len(gate._failures) == 1_000


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("Example.org", "example.org"),
        ("example.org:80", "example.org"),
        ("127.0.0.1:8089", "127.0.0.1"),
        ("[::1]:8089", "::1"),
        ("[::1]", "::1"),
        ("", ""),
        ("example.org:", "example.org:"),
    ],
)
def test_the_name_of_a_host_is_read_without_its_port(header: str, name: str) -> None:
    assert host_of(header) == name


def test_loopback_is_known_by_all_its_names() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "localhost", "::1", "127.8.8.8"]))
    assert not any(map(is_loopback, ["0.0.0.0", "example.org", "10.0.0.1", "::"]))
