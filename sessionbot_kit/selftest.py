"""Whether everything works together here: a whole bot is run, talked to, and taken away again.

    async for finding in selftest():
        finding.fine, finding.what, finding.says      # True, "answers", "to a message, in 3 ms"

It has a store and a port of its own, and touches nothing of yours. The one rule to remember: what
is looked at is what a person would see, not what a room says of itself.
"""

import logging
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from sessionbot_kit.bot import Bot
from sessionbot_kit.doctor import Finding
from sessionbot_kit.extension import plugin
from sessionbot_kit.models import IncomingMessage

LINES: Final = 60
MOST_BYTES: Final = 100_000_000


@plugin(default=True)
async def say_again(message: IncomingMessage) -> str:
    """Say it again."""
    return message.content


async def selftest() -> AsyncIterator[Finding]:
    """Look at the eight signs that a bot is well."""
    # Here, because the page is an extra.
    import httpx

    from sessionbot_kit.web import WebChannel, serve

    heard = _Heard()
    log = logging.getLogger("sessionbot_kit")
    before = _resident()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        level = log.level
        log.addHandler(heard)
        log.setLevel(logging.INFO)
        stack.callback(log.setLevel, level)
        stack.callback(log.removeHandler, heard)
        channel = WebChannel(folder / "files")
        bot = await stack.enter_async_context(
            Bot(say_again, store=folder / "bot.db", channels=[channel])
        )
        door = await stack.enter_async_context(serve(bot, port=0, dev=True))
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=door.url))

        async def ask(path: str, body: dict[str, Any] | None = None, token: str = "") -> Any:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            if body is None:
                return (await client.get(path, headers=headers)).json()
            return (await client.post(path, json=body, headers=headers)).json()

        begun = await ask("/api/session", {})
        id, token = begun["session_id"], begun["token"]
        began = perf_counter()
        said = await ask("/api/chat", {"content": "Hello!"}, token)
        ms = (perf_counter() - began) * 1000
        answers = [reply["content"] for reply in said["replies"]]
        yield _finding("answers", answers == ["Hello!"], f"to a message, in {ms:.0f} ms")
        for number in range(LINES):
            line = {"role": "user", "content": f"line {number} " + "word " * 90}
            await ask("/api/sessions", {"action": "addMessage", "sessionId": id, "data": line})
        full = (await ask(f"/api/sessions?id={id}"))["data"]
        held = len(full["summaries"]) > 0 and full["total_tokens"] <= full["token_limit"]
        yield _finding("long talks", held, f"{full['message_count']} lines, summarized")
        cleared = await ask("/api/sessions", {"action": "clearMessages", "sessionId": id})
        yield _finding("clearing", cleared["data"]["messages"] == [], "forgets what was said")
        ready = await ask("/readyz")
        yield _finding("API", ready == {"status": "ok"}, "returns what it is asked")
        stats = (await ask("/api/sessions?stats=true"))["data"]
        active = stats["active_sessions"]
        yield _finding("statistics", active == 1, f"show {active} active session")
        yield _finding("logs", "turn done" in heard.messages, "show what happens in sessions")
        size = _size(folder)
        yield _finding("database", size > 0, f"grows with conversations: {size:,} bytes")
    grown = max(0, _resident() - before)
    yield _finding("memory", grown < MOST_BYTES, f"grew by {grown / 1e6:.0f} MB")


def _finding(what: str, fine: bool, says: str) -> Finding:
    wrong = f"{says}: not so here; run it again with --debug, and report what it shows"
    return Finding(what, fine, says if fine else wrong)


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.messages: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.add(record.getMessage())


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("bot.db*"))


def _resident() -> int:
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except FileNotFoundError:
        return 0
    return int(pages) * 4096
