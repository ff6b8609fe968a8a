"""One browser that is connected: frames both ways over a WebSocket.

    >  {"type":"hello","after":0,"token":"..."}           or, from our page, a cookie
    <  {"type":"ready","session_id":"...","bot":"bot","cursor":17,"messages":[...]}
    >  {"type":"message","id":"0f3a...","content":"Hello!"}
    <  {"type":"message","id":"0f3a...","n":18,"who":"user",...,"is_complete":true}
    <  {"type":"typing"}  {"type":"suggestion","choices":[...]}  {"type":"status","state":"away"}
    <  {"type":"error","code":"rate_limited","detail":"...","id":"0f3a..."}

What a browser has not seen as a row with its id, it sends again after the next `ready`. The one
rule to remember: nobody waits for a browser; one that does not read is let go of, and comes back
with the number of the last row that it has.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from sessionbot_kit.channels.web import WebChannel
from sessionbot_kit.channels.web.channel import as_frame
from sessionbot_kit.crew import Crew
from sessionbot_kit.errors import AccessError, KitError, TokenUnknown
from sessionbot_kit.rest.exchange import Receive, Request, Scope, Send
from sessionbot_kit.rest.operations import Room
from sessionbot_kit.rest.problems import Problem, problem_of
from sessionbot_kit.rest.shapes import MAX_TEXT_CHARS
from sessionbot_kit.sessions import Conversation

log = logging.getLogger(__name__)

HELLO_TIMEOUT_S: Final = 10.0
MAX_WAITING_FRAMES: Final = 500
MAX_WAITING_BYTES: Final = 1_000_000
MAX_BAD_FRAMES: Final = 10

BAD: Final = 4400
REFUSED: Final = 4401
TOO_SLOW: Final = 1013

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")]


class _Frame(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Hello(_Frame):
    type: Literal["hello"]
    token: str | None = Field(None, max_length=512)
    after: int = Field(0, ge=0, le=2**53)


class Say(_Frame):
    type: Literal["message"]
    id: Id
    content: str = Field("", max_length=MAX_TEXT_CHARS)
    files: list[Annotated[str, Field(max_length=64)]] = Field(default_factory=list, max_length=10)
    reply_to: str | None = Field(None, min_length=1, max_length=200, pattern=r"^[!-~]+$")


Frame: Final[TypeAdapter[Hello | Say]] = TypeAdapter(
    Annotated[Hello | Say, Field(discriminator="type")]
)


class Browser:
    """One connection, and what waits to be shown in it."""

    def __init__(self, send: Send, abort: Callable[[], None], crew: Crew) -> None:
        self._send = send
        self._abort = abort
        self._crew = crew
        self._waiting: deque[str] = deque()
        self._waiting_chars = 0
        self._writing = False
        self._held = True  # until the history is on its way, rows must not overtake it
        self.gone = False

    def show(self, frame: dict[str, Any]) -> None:
        """Take a frame; it is written when there is room."""
        self._put(frame)
        if frame["type"] == "message" and (choices := frame.get("choices")):
            self._put({"type": "suggestion", "for": frame["id"], "choices": choices})

    def begin(self, ready: dict[str, Any]) -> None:
        """Show the history, and after it what has come meanwhile."""
        self._waiting.appendleft(orjson.dumps(ready).decode())
        self._held = False
        self._write()

    async def close(self, code: int, reason: str) -> None:
        """Write what waits, say why, and end."""
        try:
            async with asyncio.timeout(1.0):
                await self._write_all()
                self.gone = True
                await self._send({"type": "websocket.close", "code": code, "reason": reason[:100]})
        except Exception:  # it has gone already, or it never reads
            self.gone = True
            self._abort()

    def _put(self, frame: dict[str, Any]) -> None:
        if self.gone:
            return
        text = orjson.dumps(frame).decode()
        self._waiting.append(text)
        self._waiting_chars += len(text)
        if len(self._waiting) > MAX_WAITING_FRAMES or self._waiting_chars > MAX_WAITING_BYTES:
            log.info("browser let go of", extra={"reason": "it does not read"})
            self.gone = True
            self._waiting.clear()
            return self._abort()
        self._write()

    def _write(self) -> None:
        # A task while there is something to write: a chat in which nothing happens has none.
        if not self._writing and not self._held and self._waiting:
            self._writing = True
            self._crew.start(self._write_all(), "browser")

    async def _write_all(self) -> None:
        try:
            while self._waiting and not self.gone:
                text = self._waiting.popleft()
                self._waiting_chars = max(0, self._waiting_chars - len(text))
                await self._send({"type": "websocket.send", "text": text})
        except OSError:  # gone; its reader notices too
            self.gone = True
        finally:
            self._writing = False


async def converse(scope: Scope, receive: Receive, send: Send, room: Room, crew: Crew) -> None:
    """Serve one connection from its handshake to its end."""
    request = Request(scope, receive)
    if not await _admitted(request, receive, send, room):
        return
    browser = Browser(send, scope.get("sessionbot.abort", lambda: None), crew)
    try:
        async with asyncio.timeout(HELLO_TIMEOUT_S):
            token, after = await _greeting(request, receive, room)
            session = await room.guard.session_of(token, room, request.client)
    except TimeoutError:
        return await browser.close(BAD, "say hello first")
    except (KitError, Problem) as error:
        problem = error if isinstance(error, Problem) else problem_of(error)
        await _refuse(send, browser, problem)
        return
    if session is None:
        return
    chat, channel = session.key.chat, room.channel
    channel.join(chat, browser)
    try:
        await _catch_up(browser, room, session, after)
        await _listen(receive, browser, room, session, token)
    finally:
        browser.gone = True
        channel.leave(chat, browser)


async def _admitted(request: Request, receive: Receive, send: Send, room: Room) -> bool:
    try:
        room.guard.check_host(request)
        # A browser always says whose page it is; a program need not.
        room.guard.check_origin(request, needed=False)
        room.guard.check_pace(request)
    except (KitError, Problem) as error:
        problem = error if isinstance(error, Problem) else problem_of(error)
        await receive()
        headers = [*problem.headers, (b"content-type", b"application/problem+json")]
        start = {"type": "websocket.http.response.start", "status": problem.status}
        await send({**start, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": problem.body()})
        return False
    await receive()  # websocket.connect
    await send({"type": "websocket.accept"})
    return True


async def _greeting(request: Request, receive: Receive, room: Room) -> tuple[str, int]:
    hello = _read(await receive())
    if not isinstance(hello, Hello):
        raise Problem(400, "hello_first", "the first frame is a hello")
    if hello.token:
        return hello.token, hello.after
    cookie = request.cookie(room.cookie)
    if not cookie:
        raise TokenUnknown("no token came with this; get one: POST /api/session")
    room.guard.check_origin(request)
    return cookie, hello.after


async def _catch_up(browser: Browser, room: Room, session: Conversation, after: int) -> None:
    rows = await room.channel.page(session.key.chat).newer(than=after)
    browser.begin(
        {
            "type": "ready",
            "session_id": session.id,
            "bot": room.bot.name,
            "cursor": max((row["n"] for row in rows), default=after),
            "messages": [as_frame(row) for row in rows],
        }
    )


async def _listen(
    receive: Receive, browser: Browser, room: Room, session: Conversation, token: str
) -> None:
    bad = 0
    while not browser.gone:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return
        id = None
        try:
            frame = _read(event)
            if isinstance(frame, Hello):
                raise Problem(400, "hello_again", "one hello is enough")
            id = frame.id
            await _say(frame, room.channel, room, session, token)
            bad = 0
            continue
        except (AccessError, Problem, KitError) as error:
            problem = error if isinstance(error, Problem) else problem_of(error)
        except Exception:  # ours to repair; the browser tries again
            log.exception("frame failed")
            problem = Problem(500, "internal")
        browser.show(_error(problem, id))
        bad += problem.status == 400
        if problem.status in (401, 403, 410):
            return await browser.close(REFUSED, problem.code)
        if bad > MAX_BAD_FRAMES:
            return await browser.close(BAD, "too many frames that make no sense")


async def _say(
    frame: Say, channel: WebChannel, room: Room, session: Conversation, token: str
) -> None:
    # Looked at each time: a token may have been replaced while its connection was open.
    current = await room.sessions.check_token(token, of=session.id)
    room.sessions.admit(current.id)
    await channel.hear(
        chat=session.key.chat,
        user=current.key.user,
        id=frame.id,
        content=frame.content,
        files=frame.files,
        reply_to=frame.reply_to,
    )


def _read(event: Any) -> Hello | Say:
    if event["type"] == "websocket.disconnect":
        raise Problem(400, "gone", "it has gone")
    text = event.get("text")
    if text is None:
        raise Problem(400, "not_text", "frames are JSON in text")
    try:
        return Frame.validate_python(orjson.loads(text))
    except orjson.JSONDecodeError as error:
        raise Problem(400, "not_json", f"the frame is no JSON: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"][1:]))
        raise Problem(400, "invalid", f"{where}: {first['msg']}") from None


def _error(problem: Problem, id: str | None) -> dict[str, Any]:
    frame: dict[str, Any] = {"type": "error", "code": problem.code, "detail": problem.detail}
    if problem.status == 429 or problem.status >= 500:
        frame["again_s"] = int(dict(problem.headers).get(b"retry-after", b"1"))
    return frame if id is None else {**frame, "id": id}


async def _refuse(send: Send, browser: Browser, problem: Problem) -> None:
    try:
        async with asyncio.timeout(1.0):
            text = orjson.dumps(_error(problem, None)).decode()
            await send({"type": "websocket.send", "text": text})
    except (OSError, TimeoutError):
        return
    code = BAD if problem.status == 400 else REFUSED
    await browser.close(code, problem.code)
