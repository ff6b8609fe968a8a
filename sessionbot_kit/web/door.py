"""The door itself: which bot a path leads to, and whether it is a page, the API or a chat.

    async with serve(bot, port=8080) as door:
        door.url                               # http://127.0.0.1:8080
    async with serve({"/": shop, "/support": support}) as door: ...

The bots run already, each with a `WebChannel` among its channels; the door goes before they do.
The one rule to remember: on loopback alone unless somebody says otherwise.
"""

import logging
from collections.abc import Mapping
from typing import Any

from sessionbot_kit.bot import Bot
from sessionbot_kit.channels.web import WebChannel
from sessionbot_kit.crew import Crew
from sessionbot_kit.errors import KitError, UsageError
from sessionbot_kit.rest import Api, Guard, Room, Terms
from sessionbot_kit.rest.exchange import (
    Answer,
    Hangup,
    Receive,
    Request,
    Scope,
    Send,
    problem_answer,
    reply,
)
from sessionbot_kit.rest.guard import allowed_hosts, check_terms
from sessionbot_kit.rest.metrics import TYPE, Metrics
from sessionbot_kit.rest.problems import Problem, problem_of
from sessionbot_kit.web.server import listening
from sessionbot_kit.web.site import HEADERS, Site
from sessionbot_kit.web.socket import converse

log = logging.getLogger(__name__)


class Door:
    """An ASGI application for one or more bots."""

    def __init__(
        self,
        bots: Mapping[str, Bot],
        guard: Guard,
        *,
        secure: bool = False,
        max_chats: int = 2_000,
    ) -> None:
        self.metrics = Metrics()
        self.url = ""
        self._api = Api(self.metrics)
        self._site = Site()
        self._guard = guard
        self._max_chats = max_chats
        self._crew = Crew("browsers")
        self.rooms = {
            path: Room(path, bot, _web_channel(bot), guard, secure)
            for path, bot in ((_path(name), bot) for name, bot in bots.items())
        }
        # The longest first: /support/api is not the api of /.
        self._paths = sorted(self.rooms, key=len, reverse=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        room, path = self._room_of(scope["path"])
        if scope["type"] == "websocket":
            return await self._chat(scope, receive, send, room, path)
        request = Request(scope, receive, path)
        try:
            answer = await self._answer(request, room)
            await reply(answer, request, send, HEADERS)
        except Hangup:
            return

    async def stop(self) -> None:
        await self._crew.stop()

    async def _answer(self, request: Request, room: Room | None) -> Answer:
        try:
            self._guard.check_host(request)
            if request.scope["path"] == "/metrics":
                return await self._metrics(request, room or next(iter(self.rooms.values())))
            if request.method in ("GET", "HEAD"):
                if (asset := self._site.asset(request)) is not None:
                    return asset
                if room is not None and request.path in ("", "/"):
                    return self._site.page(request)
            room = room or next(iter(self.rooms.values()))
        except Problem as problem:
            return problem_answer(problem)
        except KitError as error:
            return problem_answer(problem_of(error))
        return await self._api.answer(request, room)

    async def _chat(
        self, scope: Scope, receive: Receive, send: Send, room: Room | None, path: str
    ) -> None:
        chats = sum(each.channel.viewers for each in self.rooms.values())
        if room is None or path != "/ws" or chats >= self._max_chats:
            await receive()
            status = 503 if path == "/ws" else 404
            start = {"type": "websocket.http.response.start", "status": status, "headers": []}
            await send(start)
            return await send({"type": "websocket.http.response.body", "body": b""})
        await converse(scope, receive, send, room, self._crew)

    async def _metrics(self, request: Request, room: Room) -> Answer:
        await self._guard.keeper(request, room, "watch")
        rooms = self.rooms.values()
        self.metrics.set(
            "chats", "Browsers that look", {r.bot.name: r.channel.viewers for r in rooms}
        )
        self.metrics.set(
            "sessions_in_memory",
            "Sessions that are loaded",
            {r.bot.name: len(r.sessions.store.loaded()) for r in rooms if r.bot.running},
        )
        return Answer(200, self.metrics.text(), TYPE)

    def _room_of(self, path: str) -> tuple[Room | None, str]:
        for prefix in self._paths:
            if path == prefix or path.startswith(f"{prefix}/"):
                return self.rooms[prefix], path[len(prefix) :]
        return None, path


def serve(
    bots: Bot | Mapping[str, Bot],
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    admin_token: str | None = None,
    dev: bool = False,
    hosts: tuple[str, ...] = (),
    origins: tuple[str, ...] = (),
    proxies: tuple[str, ...] = (),
    secure: bool = False,
    max_chats: int = 2_000,
    drain_s: float = 5.0,
    **limits: Any,
) -> "Opening":
    """Open the door for bots that run; `limits` are those of `Terms`."""
    terms = Terms(
        admin_token=admin_token,
        dev=dev,
        hosts=allowed_hosts(host, frozenset(hosts)),
        origins=frozenset(origin.lower().rstrip("/") for origin in origins),
        **limits,
    )
    check_terms(terms, host)
    guard = Guard(terms)
    named = bots if isinstance(bots, Mapping) else {"/": bots}
    door = Door(named, guard, secure=secure, max_chats=max_chats)
    return Opening(door, host, port, drain_s, 2 * max_chats, proxies)


class Opening:
    """A door that opens and closes, with `async with` or `start` and `stop`."""

    def __init__(
        self,
        door: Door,
        host: str,
        port: int,
        drain_s: float,
        max_connections: int,
        proxies: tuple[str, ...],
    ) -> None:
        self.door = door
        self._host = host
        self._server = listening(
            door,
            host=host,
            port=port,
            drain_s=drain_s,
            max_connections=max_connections,
            proxies=proxies,
        )

    async def start(self) -> Door:
        """Open it; `door.url` says where."""
        port = await self._server.__aenter__()
        shown = f"[{self._host}]" if ":" in self._host else self._host
        self.door.url = f"http://{shown}:{port}"
        return self.door

    async def stop(self) -> None:
        """Close it; the bots behind it go on."""
        await self.door.stop()
        await self._server.__aexit__(None, None, None)

    async def __aenter__(self) -> Door:
        return await self.start()

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()


def _web_channel(bot: Bot) -> WebChannel:
    for channel in bot.channels:
        if isinstance(channel, WebChannel):
            return channel
    raise UsageError(f"{bot.name} has no page; give it one: Bot(..., channels=[WebChannel()])")


def _path(name: str) -> str:
    path = "/" + name.strip("/")
    if path in ("/assets", "/api", "/ws", "/metrics", "/healthz", "/readyz"):
        raise UsageError(f"{path} is a path of the door itself; choose another for this bot")
    return "" if path == "/" else path
