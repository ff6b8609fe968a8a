"""What whoever looks after a bot may see: its plugins, what waits, what was given up; its health.

    GET  /api/dead-letters                 replies that no channel took, and why
    POST /api/dead-letters/{id}/retry      send one once more

The one rule to remember: what people wrote is not shown here, only that it waits.
"""

from sessionbot_kit.registry import prefixes_of
from sessionbot_kit.rest.exchange import Answer, json_answer
from sessionbot_kit.rest.operations import Ask
from sessionbot_kit.rest.problems import Problem
from sessionbot_kit.store import OutboxRow

MANY = 1_000


async def stats(ask: Ask) -> Answer:
    return json_answer({"success": True, "data": await ask.room.sessions.get_stats()})


async def plugins(ask: Ask) -> Answer:
    found = [
        {
            "id": plugin.meta.id,
            "version": plugin.meta.version,
            "prefixes": list(prefixes_of(plugin)),
            "default": bool(getattr(plugin, "default", False)),
            "summary": getattr(plugin, "summary", ""),
        }
        for plugin in ask.room.bot.kernel.registry.all_plugins()
    ]
    return json_answer({"plugins": found})


async def outbox(ask: Ask) -> Answer:
    return _page(ask, await ask.room.sessions.store.unsent())


async def dead_letters(ask: Ask) -> Answer:
    return _page(ask, await ask.room.sessions.store.dead_letters(limit=MANY))


async def retry(ask: Ask) -> Answer:
    """Send a dead letter once more, as if it had never been tried."""
    row = await _dead(ask)
    await ask.room.sessions.store.retry(row.id)
    ask.room.bot.gateway.courier.post(OutboxRow(row.id, row.session_id, row.message))
    return json_answer({"success": True})


async def drop(ask: Ask) -> Answer:
    """Forget a dead letter."""
    await ask.room.sessions.store.drop((await _dead(ask)).id)
    return Answer(204)


async def health(ask: Ask) -> Answer:
    """The process answers; that is all that this says."""
    return json_answer({"status": "ok"})


async def ready(ask: Ask) -> Answer:
    """Whether messages are taken: the store answers, and the channel is open."""
    if not ask.room.bot.running or not ask.room.channel.is_open:
        raise Problem(503, "not_ready", "the bot is not running", headers=((b"retry-after", b"1"),))
    await ask.room.sessions.store.stats()
    return json_answer({"status": "ok"})


def _page(ask: Ask, rows: list[OutboxRow]) -> Answer:
    limit = ask.request.query_number("limit", 50, most=200)
    begin = ask.request.query_number("cursor", 0, least=0, most=10**15 - 1)
    shown = rows[begin : begin + limit]
    return json_answer(
        {
            "items": [
                {
                    "id": row.id,
                    "session_id": row.session_id,
                    "channel": row.message.channel_type,
                    "attempts": row.attempts,
                    "error": row.error,
                }
                for row in shown
            ],
            "next_cursor": str(begin + limit) if len(rows) > begin + limit else None,
        }
    )


async def _dead(ask: Ask) -> OutboxRow:
    wanted = ask.request.params["id"]
    for row in await ask.room.sessions.store.dead_letters(limit=MANY):
        if row.id == wanted:
            return row
    raise Problem(
        404, "not_found", "there is no such dead letter; list them: GET /api/dead-letters"
    )
