"""`/api/sessions` as programs written for MyBot and BotServer know it."""

import asyncio
from datetime import UTC, datetime

from sessionbot_kit.models import IncomingMessage, OutgoingMessage
from sessionbot_kit.store import InboxRow, Turn
from tests.web.people import AS_ADMIN, House


async def test_the_documented_actions_have_their_documented_shapes(home: House) -> None:
    made = (await home.admin("create", conversationId=123)).json()
    id = made["data"]["id"]
    assert made["success"]
    assert made["data"]["conversation_id"] == 123
    data = {"role": "user", "content": "Hello!"}
    added = (await home.admin("addMessage", sessionId=id, data=data)).json()["data"]
    assert added["messages"][0]["content"] == "Hello!"
    assert added["message_count"] == 1
    assert (added["input_tokens"], added["output_tokens"]) == (2, 0)
    window = (await home.admin("buildContext", sessionId=id)).json()["data"]
    assert window == {
        "messages": [{"role": "user", "content": "Hello!"}],
        "totalTokens": 2,
        "hasSummaries": False,
    }
    state = {"preferences": {"tone": "short"}}
    updated = (await home.admin("updateState", sessionId=id, data=state)).json()["data"]
    assert updated["state"]["preferences"] == {"tone": "short"}
    cleared = (await home.admin("clearMessages", sessionId=id)).json()["data"]
    assert cleared["messages"] == []
    assert (await home.admin("cleanup")).json() == {
        "success": True,
        "message": "Cleanup initiated",
    }
    assert (await home.admin("deactivate", sessionId=id)).json() == {"success": True}
    assert (await home.admin("deactivate", sessionId=id)).json() == {"success": False}


async def test_a_session_is_found_by_its_number_its_id_and_its_conversation(home: House) -> None:
    made = (await home.admin("create", conversationId="abc")).json()["data"]
    for query in ({"id": made["id"]}, {"id": made["uuid"]}, {"conversationId": "abc"}):
        found = await home.client.get("/api/sessions", params=query, headers=AS_ADMIN)
        assert found.json()["data"]["uuid"] == made["uuid"]


async def test_all_that_are_active_are_listed_in_pages(home: House) -> None:
    for number in range(1, 6):
        await home.admin("create", conversationId=number)
    seen, params = [], {"limit": "2"}
    while True:
        page = (await home.client.get("/api/sessions", params=params, headers=AS_ADMIN)).json()
        assert page["count"] == len(page["data"])
        seen += [session["id"] for session in page["data"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert seen == [5, 4, 3, 2, 1]


async def test_statistics_have_their_names(home: House) -> None:
    await home.admin("create", conversationId=1)
    asked = await home.client.get("/api/sessions?stats=true", headers=AS_ADMIN)
    assert asked.json()["data"]["total_sessions"] == 1
    assert set(asked.json()["data"]) == {
        "total_sessions",
        "active_sessions",
        "total_messages",
        "total_tokens",
        "average_session_length",
        "sessions_by_interface",
        "cacheSize",
        "cacheHitRate",
    }


async def test_what_is_wrong_has_the_status_that_it_had(home: House) -> None:
    get = home.client.get
    data = {"role": "user", "content": "x"}
    asked = [
        (await get("/api/sessions"), 401, "Unauthorized"),
        (await get("/api/sessions?id=nonsense", headers=AS_ADMIN), 400, "Invalid session ID"),
        (await get("/api/sessions?id=999", headers=AS_ADMIN), 404, "Session not found"),
        (await home.admin("dance"), 400, "Unknown action"),
        (await home.admin("addMessage"), 400, "sessionId is required"),
        (await home.admin("addMessage", sessionId=999, data=data), 404, "Session not found"),
        (await home.admin("create"), 400, "conversationId is required"),
        (
            await home.client.delete("/api/sessions?id=999", headers=AS_ADMIN),
            404,
            "Session not found or already deleted",
        ),
    ]
    for answer, status, error in asked:
        assert (answer.status_code, answer.json()["error"]) == (status, error)


async def test_an_unknown_session_has_an_empty_context(home: House) -> None:
    window = (await home.admin("buildContext", sessionId=999)).json()["data"]
    assert window == {"messages": [], "totalTokens": 0, "hasSummaries": False}


async def test_a_number_that_no_session_can_have_is_refused(home: House) -> None:
    for id in (0, -1, 2**63, 2**70, "9" * 30, "0193'; DROP TABLE sessions;--"):
        answer = await home.admin("buildContext", sessionId=id)
        assert answer.status_code == 400, id


async def test_a_session_that_is_removed_is_gone_with_its_words(home: House) -> None:
    id = (await home.admin("create", conversationId=1)).json()["data"]["id"]
    gone = await home.client.delete(f"/api/sessions?id={id}", headers=AS_ADMIN)
    assert gone.json() == {"success": True}
    left = await home.client.get(f"/api/sessions?id={id}", headers=AS_ADMIN)
    assert left.status_code == 404


async def test_without_an_action_a_session_begins_as_botserver_has_it(home: House) -> None:
    begun = await home.client.post("/api/sessions", json={}, headers=AS_ADMIN)
    assert set(begun.json()) == {"session_id", "title", "created_at"}


async def test_the_words_of_a_session_are_read_and_copied(home: House) -> None:
    id = (await home.admin("create", conversationId=1)).json()["data"]["id"]
    data = {"role": "user", "content": "Hello!"}
    await home.admin("addMessage", sessionId=id, data=data)
    lines = await home.client.get(f"/api/sessions/{id}/messages", headers=AS_ADMIN)
    assert [line["content"] for line in lines.json()["messages"]] == ["Hello!"]
    copy = await home.client.get(f"/api/sessions/{id}/export?format=md", headers=AS_ADMIN)
    assert "Hello!" in copy.text


async def test_sixty_four_clients_add_a_hundred_lines_and_none_is_lost(home: House) -> None:
    id = (await home.admin("create", conversationId=1)).json()["data"]["id"]

    async def one(number: int) -> int:
        data = {"role": "user", "content": f"line {number}"}
        return (await home.admin("addMessage", sessionId=id, data=data)).status_code

    assert set(await asyncio.gather(*map(one, range(100)))) == {200}
    found = await home.client.get(f"/api/sessions?id={id}", headers=AS_ADMIN)
    assert found.json()["data"]["message_count"] == 100


async def test_a_dead_letter_is_seen_sent_again_and_forgotten(home: House) -> None:
    visitor = await home.visitor()
    session_id = visitor["x-session"]
    reply = OutgoingMessage(channel_type="pigeon", channel_id="c", content="private", id="turn/0")
    store = home.bot.gateway.store
    lease = home.bot.gateway._lease
    assert lease is not None
    message = IncomingMessage(
        id="m1",
        channel_type="pigeon",
        channel_id="c",
        sender_id="c",
        sender_name="c",
        content="hi",
        timestamp=datetime.now(UTC),
    )
    await store.accept(InboxRow("turn", session_id, message))
    await store.commit(Turn("turn", session_id, lease.epoch, replies=(reply,)))
    await store.bury("turn/0", "no such channel")
    listed = (await home.client.get("/api/dead-letters", headers=AS_ADMIN)).json()["items"]
    assert [(each["id"], each["error"]) for each in listed] == [("turn/0", "no such channel")]
    assert "private" not in str(listed)
    assert "items" in (await home.client.get("/api/outbox", headers=AS_ADMIN)).json()
    again = await home.client.post("/api/dead-letters/turn%2F0/retry", headers=AS_ADMIN)
    assert again.json() == {"success": True}
    await home.bot.gateway.courier.settle()
    gone = await home.client.delete("/api/dead-letters/turn%2F0", headers=AS_ADMIN)
    assert gone.status_code == 204
    missing = await home.client.delete("/api/dead-letters/turn%2F0", headers=AS_ADMIN)
    assert missing.status_code == 404


async def test_plugins_are_listed(home: House) -> None:
    listed = (await home.client.get("/api/plugins", headers=AS_ADMIN)).json()["plugins"]
    assert {each["id"] for each in listed} >= {"echo", "size", "slow"}
