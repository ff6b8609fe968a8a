"""What a visitor may ask of the API."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import orjson

from sessionbot_kit.tokens import SCOPES, Tokens
from tests.web.people import House, house


async def test_the_documented_calls_work_as_they_are_written(home: House) -> None:
    begun = await home.client.post("/api/session")
    assert begun.status_code == 201
    assert set(begun.json()) == {"session_id", "token"}
    headers = {"Authorization": f"Bearer {begun.json()['token']}"}
    said = await home.client.post("/api/chat", json={"content": "Hello!"}, headers=headers)
    assert [reply["content"] for reply in said.json()["replies"]] == ["You said: Hello!"]
    history = (await home.client.get("/api/chat", headers=headers)).json()
    assert [line["role"] for line in history["messages"]] == ["user", "assistant"]


async def test_without_a_token_there_is_no_chat(home: House) -> None:
    refusal = await home.client.post("/api/chat", json={"content": "Hello!"})
    assert refusal.status_code == 401
    assert refusal.headers["www-authenticate"].startswith("Bearer")
    assert refusal.headers["content-type"] == "application/problem+json"
    assert refusal.json()["error"] == "Unauthorized"


async def test_the_four_refusals_are_told_apart(home: House) -> None:
    one, other = await home.visitor(), await home.visitor()
    unknown = {"Authorization": f"Bearer {'x' * 43}"}
    expired = await home.bot.sessions.issue_token(one["x-session"], lives_s=1e-6)
    ended = await home.visitor()
    await home.client.delete("/api/session", headers=ended)
    asked = {
        "token_unknown": (unknown, "/api/chat", 401),
        "token_expired": ({"Authorization": f"Bearer {expired}"}, "/api/chat", 401),
        "token_foreign": (one, f"/api/chat?session_id={other['x-session']}", 403),
        "session_ended": (ended, "/api/chat", 410),
    }
    for code, (headers, path, status) in asked.items():
        refusal = await home.client.get(path, headers=headers)
        assert (refusal.json()["code"], refusal.status_code) == (code, status)


async def test_the_id_of_another_session_opens_nothing_anywhere(home: House) -> None:
    one, other = await home.visitor(), await home.visitor()
    asked = [
        ("GET", "/api/session"),
        ("DELETE", "/api/session"),
        ("POST", "/api/session/token"),
        ("POST", "/api/chat"),
        ("GET", "/api/chat"),
        ("GET", "/api/export"),
        ("POST", "/api/uploads"),
        ("GET", f"/api/uploads/{'x' * 43}"),
    ]
    for method, path in asked:
        for id in (other["x-session"], "2"):
            answer = await home.client.request(
                method, path, params={"session_id": id}, json={"content": "x"}, headers=one
            )
            assert (answer.status_code, answer.json()["code"]) == (403, "token_foreign"), path


async def test_the_session_api_refuses_the_token_of_a_visitor(home: House) -> None:
    visitor = await home.visitor()
    id = visitor["x-session"]
    for method, path in [
        ("GET", "/api/sessions"),
        ("GET", f"/api/sessions?id={id}"),
        ("POST", "/api/sessions"),
        ("DELETE", f"/api/sessions?id={id}"),
        ("GET", f"/api/sessions/{id}/messages"),
        ("GET", f"/api/sessions/{id}/export"),
        ("GET", "/api/stats"),
        ("GET", "/api/plugins"),
        ("GET", "/api/outbox"),
        ("GET", "/api/dead-letters"),
        ("POST", "/api/dead-letters/x/retry"),
        ("DELETE", "/api/dead-letters/x"),
        ("GET", "/metrics"),
    ]:
        answer = await home.client.request(method, path, headers=visitor)
        assert answer.status_code == 401, path


async def test_a_token_of_the_command_opens_as_much_as_its_scope_says(home: House) -> None:
    tokens = Tokens(home.bot.gateway.store)
    opened = {}
    for scope in SCOPES:
        headers = {"Authorization": f"Bearer {await tokens.issue(scope)}"}
        for path in ("/api/sessions", "/api/stats"):
            answer = await home.client.get(path, headers=headers)
            opened[scope, path] = answer.status_code, answer.json().get("code")
    narrow = (403, "token_too_narrow")
    assert opened["admin", "/api/sessions"] == opened["admin", "/api/stats"] == (200, None)
    assert opened["watch", "/api/stats"] == opened["kernel", "/api/stats"] == (200, None)
    assert opened["watch", "/api/sessions"] == opened["chat", "/api/stats"] == narrow
    assert opened["shadow", "/api/sessions"] == opened["shadow", "/api/stats"] == narrow


async def test_a_token_of_the_command_that_has_expired_or_was_revoked_opens_nothing(
    home: House,
) -> None:
    tokens = Tokens(home.bot.gateway.store)
    old = await tokens.issue("admin", days=1e-9)
    gone = await tokens.issue("admin")
    await tokens.revoke((await tokens.known(gone)).id)
    codes = [
        (
            await home.client.get("/api/sessions", headers={"Authorization": f"Bearer {token}"})
        ).json()["code"]
        for token in (old, gone)
    ]
    assert codes == ["token_expired", "token_unknown"]


async def test_a_token_that_was_replaced_opens_nothing(home: House) -> None:
    visitor = await home.visitor()
    fresh = (await home.client.post("/api/session/token", headers=visitor)).json()["token"]
    assert (await home.client.get("/api/session", headers=visitor)).status_code == 401
    headers = {"Authorization": f"Bearer {fresh}"}
    assert (await home.client.get("/api/session", headers=headers)).status_code == 200


async def test_a_login_replaces_the_token_that_somebody_may_have_planted(home: House) -> None:
    visitor = await home.visitor()
    moved = await home.bot.sessions.login(visitor["x-session"], "ada")
    assert (await home.client.get("/api/session", headers=visitor)).status_code == 401
    headers = {"Authorization": f"Bearer {moved.token}"}
    assert (await home.client.get("/api/session", headers=headers)).status_code == 200


async def test_a_program_that_does_not_wait_reads_the_answer_later(home: House) -> None:
    visitor = await home.visitor()
    said = await home.client.post(
        "/api/chat", json={"content": "!slow", "wait_s": 0}, headers=visitor
    )
    assert (said.status_code, said.json()["complete"]) == (202, False)


async def test_a_message_with_the_same_key_is_answered_once_even_after_a_restart(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as home:
        visitor = await home.visitor()
        headers = visitor | {"Idempotency-Key": "order-1"}
        first = await home.client.post("/api/chat", json={"content": "Hi"}, headers=headers)
    async with house(tmp_path) as home:
        again = await home.client.post("/api/chat", json={"content": "Hi"}, headers=headers)
        history = (await home.client.get("/api/chat", headers=visitor)).json()
    assert again.json()["duplicate"]
    assert again.json()["replies"] == first.json()["replies"]
    assert len(history["messages"]) == 2


async def test_the_history_comes_in_pages(home: House) -> None:
    visitor = await home.visitor()
    for number in range(3):
        await home.client.post("/api/chat", json={"content": f"!echo {number}"}, headers=visitor)
    seen: list[str] = []
    cursor = "0"
    while cursor is not None:
        params = {"limit": "2", "cursor": cursor}
        page = (await home.client.get("/api/chat", params=params, headers=visitor)).json()
        seen += [line["content"] for line in page["messages"]]
        cursor = page["next_cursor"]
    assert seen == ["!echo 0", "0", "!echo 1", "1", "!echo 2", "2"]


async def test_too_many_messages_are_told_when_to_come_back(home: House) -> None:
    visitor = await home.visitor()
    body = {"content": "!echo hi", "wait_s": 0}
    answers = [await home.client.post("/api/chat", json=body, headers=visitor) for _ in range(65)]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert answers[-1].json()["code"] == "rate_limited"


async def test_guessing_tokens_is_slowed_down(tmp_path: Path) -> None:
    async with house(tmp_path, failures_per_minute=5) as home:
        codes = [
            (
                await home.client.get(
                    "/api/chat", headers={"Authorization": f"Bearer {number:043}"}
                )
            ).json()["code"]
            for number in range(8)
        ]
    assert codes[:5] == ["token_unknown"] * 5
    assert codes[-1] == "rate_limited"


async def test_making_sessions_is_slowed_down(tmp_path: Path) -> None:
    async with house(tmp_path, sessions_per_minute=3) as home:
        answers = [(await home.client.post("/api/session")).status_code for _ in range(5)]
        chats = await Tokens(home.bot.gateway.store).issue("chat")
        program = {"Authorization": f"Bearer {chats}"}
        answers.append((await home.client.post("/api/session", headers=program)).status_code)
    assert answers == [201, 201, 201, 429, 429, 201]


# Cookies


async def test_our_page_gets_a_cookie_that_no_script_can_read(home: House) -> None:
    begun = await home.client.post(
        "/api/session", json={"cookie": True}, headers={"Origin": home.door.url}
    )
    cookie = begun.headers["set-cookie"]
    assert begun.json()["token"] is None
    assert all(part in cookie for part in ("HttpOnly", "SameSite=Strict", "Path=/"))


async def test_a_browser_that_has_a_session_keeps_it(home: House) -> None:
    headers = {"Origin": home.door.url}
    first = await home.client.post("/api/session", json={"cookie": True}, headers=headers)
    again = await home.client.post("/api/session", json={"cookie": True}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["session_id"] == again.json()["session_id"]


async def test_what_changes_something_by_cookie_comes_from_our_own_page(home: House) -> None:
    headers = {"Origin": home.door.url}
    await home.client.post("/api/session", json={"cookie": True}, headers=headers)
    body = {"content": "!echo hi"}
    for origin in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {}):
        refusal = await home.client.post("/api/chat", json=body, headers=origin)
        assert (refusal.status_code, refusal.json()["code"]) == (403, "foreign_origin")
    ours = await home.client.post("/api/chat", json=body, headers=headers)
    assert ours.status_code == 200


async def test_a_cookie_is_for_tls_alone_where_it_is_wished(tmp_path: Path) -> None:
    async with house(tmp_path, secure=True) as home:
        begun = await home.client.post(
            "/api/session", json={"cookie": True}, headers={"Origin": home.door.url}
        )
    assert begun.headers["set-cookie"].endswith("; Secure")


# Files


async def test_a_file_goes_up_travels_with_a_message_and_comes_down(home: House) -> None:
    visitor = await home.visitor()
    data = os.urandom(300_000)
    note = (
        await home.client.post(
            "/api/uploads?name=cat.png", content=data, headers=visitor | {"content-type": ""}
        )
    ).json()
    assert (note["name"], note["mime"], note["size"]) == ("cat.png", "image/png", len(data))
    body = {"content": "!echo look", "files": [note["id"]]}
    said = await home.client.post("/api/chat", json=body, headers=visitor)
    assert said.status_code == 200
    down = await home.client.get(f"/api/uploads/{note['id']}", headers=visitor)
    assert down.content == data
    assert down.headers["x-content-type-options"] == "nosniff"


async def test_a_file_is_nothing_in_another_chat(home: House) -> None:
    one, other = await home.visitor(), await home.visitor()
    note = (await home.client.post("/api/uploads", content=b"secret", headers=one)).json()
    path = f"/api/uploads/{note['id']}"
    assert (await home.client.get(path, headers=other)).status_code == 404
    body = {"content": "mine", "files": [note["id"]]}
    assert (await home.client.post("/api/chat", json=body, headers=other)).status_code == 400


async def test_a_page_that_was_uploaded_is_never_shown_as_one(home: House) -> None:
    visitor = await home.visitor()
    for mime in ("text/html", "image/svg+xml", "application/xhtml+xml"):
        note = (
            await home.client.post(
                "/api/uploads?name=x.html",
                content=b"<script>alert(1)</script>",
                headers=visitor | {"content-type": mime},
            )
        ).json()
        down = await home.client.get(f"/api/uploads/{note['id']}", headers=visitor)
        assert down.headers["content-type"] == "application/octet-stream"
        assert down.headers["content-disposition"] == "attachment"
        assert "sandbox" in down.headers["content-security-policy"]


async def test_a_path_is_no_way_out_of_the_folder(home: House, tmp_path: Path) -> None:
    visitor = await home.visitor()
    name = "../../../../etc/passwd\x00.png"
    note = (
        await home.client.post("/api/uploads", params={"name": name}, content=b"x", headers=visitor)
    ).json()
    assert note["name"] == "passwd.png"
    inside = {path for path in (tmp_path / "files").rglob("*") if path.is_file()}
    assert all(path.resolve().is_relative_to(tmp_path / "files") for path in inside)
    for id in ("..%2f..%2fbot.db", "....//bot.db", "%2e%2e%2fbot.db", "chat.txt", "x" * 43):
        answer = await home.client.get(f"/api/uploads/{id}", headers=visitor)
        assert answer.status_code == 404, id


async def test_an_upload_that_is_too_large_leaves_nothing(home: House, tmp_path: Path) -> None:
    visitor = await home.visitor()

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b"x" * 65_536

    answer = await home.client.post("/api/uploads", content=endless(), headers=visitor)
    assert answer.status_code == 413
    assert [
        p for p in (tmp_path / "files").rglob("*") if p.is_file() and p.name != "chat.txt"
    ] == []


# Copies and health


async def test_a_copy_of_ones_conversation_comes_in_four_forms(home: House) -> None:
    visitor = await home.visitor()
    await home.client.post("/api/chat", json={"content": "!echo hello"}, headers=visitor)
    for form in ("txt", "md", "json", "jsonl"):
        copy = await home.client.get(f"/api/export?format={form}", headers=visitor)
        assert "hello" in copy.text
        assert copy.headers["content-disposition"] == f'attachment; filename="conversation.{form}"'
    refusal = await home.client.get("/api/export?format=../../x", headers=visitor)
    assert refusal.status_code == 400


async def test_health_is_told_to_anybody_and_figures_to_the_administrator(home: House) -> None:
    for path in ("/healthz", "/readyz"):
        assert (await home.client.get(path)).json() == {"status": "ok"}
    visitor = await home.visitor()
    await home.client.post("/api/chat", json={"content": "!echo hello"}, headers=visitor)
    figures = await home.client.get(
        "/metrics", headers={"Authorization": "Bearer the-admin-token-of-the-tests"}
    )
    assert 'sessionbot_requests_total{operation="post_chat",status="200"} 1.0' in figures.text


async def test_whoever_asks_with_a_foreign_name_is_sent_away(home: House) -> None:
    answer = await home.client.get("/api/identity", headers={"Host": "rebound.example"})
    assert (answer.status_code, answer.json()["code"]) == (421, "unknown_host")


async def test_what_a_path_does_not_take_is_said(home: House) -> None:
    answer = await home.client.put("/api/chat")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")
    assert (await home.client.get("/nothing")).status_code == 404


async def test_a_head_has_no_body(home: House) -> None:
    answer = await home.client.head("/api/identity")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 10


async def test_a_key_cannot_be_used_for_something_else(home: House) -> None:
    headers = {"Authorization": "Bearer the-admin-token-of-the-tests", "Idempotency-Key": "k1"}
    body = {"action": "create", "conversationId": 1}
    first = await home.client.post("/api/sessions", json=body, headers=headers)
    add = {"action": "addMessage", "sessionId": 1, "data": {"role": "user", "content": "x"}}
    refusal = await home.client.post("/api/sessions", json=add, headers=headers)
    again = await home.client.post("/api/sessions", json=body, headers=headers)
    assert (refusal.status_code, refusal.json()["code"]) == (422, "key_used")
    assert again.content == first.content


async def test_a_body_that_is_no_json_is_refused_with_where_it_is_wrong(home: House) -> None:
    visitor = await home.visitor()
    kind = {"content-type": "application/json"}
    bad = await home.client.post("/api/chat", content=b"{", headers=visitor | kind)
    assert (bad.status_code, bad.json()["code"]) == (400, "not_json")
    form = await home.client.post("/api/chat", data={"content": "x"}, headers=visitor)
    assert form.status_code == 415
    wrong = await home.client.post("/api/chat", json={"content": 5}, headers=visitor)
    assert wrong.json()["errors"][0]["pointer"] == "/content"


async def test_nobody_needs_a_token_for_the_session_api_while_it_is_developed_here(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, dev=True) as home:
        assert (await home.client.get("/api/sessions")).status_code == 200
        evil = {"Origin": "https://evil.example"}
        assert (await home.client.get("/api/sessions", headers=evil)).status_code == 403


async def test_an_error_of_ours_is_a_plain_500_and_the_door_stays_open(home: House) -> None:
    visitor = await home.visitor()
    home.bot.sessions.rate.take = None  # type: ignore[method-assign,assignment]  # a bug of ours
    answer = await home.client.post("/api/chat", json={"content": "x"}, headers=visitor)
    assert answer.status_code == 500
    assert orjson.loads(answer.content)["detail"] == "Internal Server Error"
    assert (await home.client.get("/healthz")).status_code == 200


async def test_the_policy_of_the_page_lets_no_other_script_in(home: House) -> None:
    page = await home.client.get("/")
    policy = page.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


async def test_the_page_and_all_it_loads_weigh_little(home: House) -> None:
    raw = 0
    for path in ("/", "/assets/chat.js", "/assets/chat.css", "/assets/icon.svg"):
        answer = await home.client.get(path)
        assert answer.status_code == 200
        raw += len(answer.content)
        tag = {"If-None-Match": answer.headers["etag"]}
        assert (await home.client.get(path, headers=tag)).status_code == 304
    assert raw <= 60_000


async def test_several_bots_live_by_path_and_know_nothing_of_each_other(tmp_path: Path) -> None:
    from sessionbot_kit import Bot
    from sessionbot_kit.plugins.echo import echo
    from sessionbot_kit.web import WebChannel, serve

    async with (
        Bot(echo, name="shop", channels=[WebChannel(tmp_path / "a")]) as shop,
        Bot(echo, name="support", channels=[WebChannel(tmp_path / "b")]) as support,
        serve({"/": shop, "/support": support}, port=0) as door,
        httpx.AsyncClient(base_url=door.url) as client,
    ):
        named = [
            (await client.get(f"{path}/api/identity")).json()["bot"] for path in ("", "/support")
        ]
        token = (await client.post("/support/api/session")).json()["token"]
        headers = {"Authorization": f"Bearer {token}"}
        here = await client.get("/support/api/chat", headers=headers)
        there = await client.get("/api/chat", headers=headers)
    assert named == ["shop", "support"]
    assert (here.status_code, there.status_code) == (200, 401)
